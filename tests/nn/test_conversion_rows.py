"""Layers along another dimension than that of the channels, to which a lost channel is a lost row."""

import pytest
import torch
from conversions import check_children
from torch import nn

from asng import nn as snn
from asng.errors import InputError


class Mixer(nn.Module):
    """Layers over tokens between layers over channels."""

    def __init__(self):
        super().__init__()
        self.patch, self.norm1, self.norm2 = nn.Conv2d(3, 16, 4, 4), nn.LayerNorm(16), nn.LayerNorm(16)
        self.tokens = nn.Sequential(nn.Linear(4, 12), nn.GELU(), nn.Linear(12, 4))
        self.channels = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return self.head((x + self.channels(self.norm2(x))).mean(1))


class NormedHeads(nn.Module):
    """Queries and keys that are normalised head by head."""

    def __init__(self, norm=nn.RMSNorm):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(8, 16)
        self.out = nn.Linear(16, 3)
        self.norm_q, self.norm_k = norm(4), norm(4)

    def forward(self, x):
        q, k, v = (f(x).unflatten(-1, (-1, 4)).transpose(1, 2) for f in (self.q, self.k, self.v))
        weights = (self.norm_q(q) @ self.norm_k(k).mT).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


def test_layers_over_tokens_do_not_fix_the_width():
    model, x = Mixer().eval(), torch.randn(3, 3, 8, 8)
    supernet = snn.searchable(model, x)
    widths = {group.name: list(group.widths) for group in supernet.conversion.groups}
    assert widths == {
        "patch": ["patch", "channels.2"],
        "tokens.0": ["tokens.0"],
        "channels.0": ["channels.0"],
    }
    check_children(model, x, supernet)
    child = supernet.extract({"patch": 8, "tokens.0": 6, "channels.0": 12}, example=x)
    assert child.tokens[0].weight.shape == (6, 4)
    assert child.norm1.normalized_shape == (8,)


@pytest.mark.parametrize("norm", [nn.RMSNorm, nn.LayerNorm])
def test_heads_whose_queries_are_normalised_each_alone_can_go(norm):
    model, x = NormedHeads(norm).eval(), torch.randn(2, 5, 8)
    supernet = snn.searchable(model, x)
    assert [group.units for group in supernet.conversion.groups] == [4]
    check_children(model, x, supernet)
    child = supernet.extract({"q": 8}, example=x)
    assert [child.q.out_features, child.v.out_features, child.out.in_features] == [8, 8, 8]
    assert child.norm_q.normalized_shape == (4,)


class Along(nn.Module):
    """A layer to which tokens are channels, and channels are places."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        if isinstance(self.layer, nn.GRU):
            return self.layer(x.permute(2, 0, 1))[0].permute(1, 2, 0)  # channels are steps
        return self.layer(x)


MIXING = {
    "convolution": lambda: nn.Conv1d(6, 6, 3, padding=1),
    "depthwise convolution": lambda: nn.Conv1d(6, 6, 3, padding=1, groups=6),
    "recurrent": lambda: nn.GRU(6, 3, bidirectional=True),
    "group norm": lambda: nn.GroupNorm(2, 6),
    "instance norm": lambda: nn.InstanceNorm1d(6, affine=True),
}


@pytest.mark.parametrize("kind", MIXING)
def test_a_layer_that_mixes_rows_fixes_the_width(kind):
    model = nn.Sequential(nn.Linear(3, 8), Along(MIXING[kind]()), nn.Linear(8, 2))
    with pytest.raises(InputError, match="0: "):
        snn.searchable(model.eval(), torch.randn(2, 6, 3))


def test_a_convolution_of_one_place_leaves_rows_apart():
    x = torch.randn(2, 6, 3)
    model = nn.Sequential(nn.Linear(3, 8), Along(nn.Conv1d(6, 6, 1)), nn.Linear(8, 2)).eval()
    supernet = snn.searchable(model, x)
    assert [list(group.widths) for group in supernet.conversion.groups] == [["0"]]
    check_children(model, x, supernet)
