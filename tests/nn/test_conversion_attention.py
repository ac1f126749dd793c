"""torch's own attention in a model that exists: it is narrowed by whole heads, with all that is as wide."""

import copy
from functools import cache

import pytest
import torch
from conversions import check_children
from torch import nn

from asng import nn as snn
from asng.errors import InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
]


class Encoder(nn.Module):
    """As a vision Transformer: torch's encoder behind patches, a class token and positions."""

    def __init__(self, **options):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 24, dropout=0.3, batch_first=True, **options)
        self.patches, self.encoder = (
            nn.Linear(6, 16),
            nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
        )
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 6, 16))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), -1, -1), self.patches(x)], dim=1)
        return self.head(self.encoder(x + self.places)[:, 0])


class Padded(nn.Module):
    """Sequences of several lengths, which torch packs for a fused function; items come second."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True)
        self.tokens, self.encoder = nn.Embedding(9, 16, padding_idx=0), nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 3)

    def forward(self, ids):
        return self.head(self.encoder(self.tokens(ids), src_key_padding_mask=ids == 0).mean(1))


class Translator(nn.Module):
    """A decoder that attends to what another layer makes; the sequence comes first."""

    def __init__(self):
        super().__init__()
        self.tokens, self.memory = nn.Embedding(9, 16), nn.Linear(4, 16)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 2, 24), 2)
        self.head = nn.Linear(16, 9)

    def forward(self, ids):
        memory = self.memory(torch.linspace(-1.0, 1.0, 4).expand(5, ids.shape[1], 4))
        return self.head(self.decoder(self.tokens(ids), memory))


class Attending(nn.Module):
    """Attention by names, and a residual sum; nothing normalises."""

    def __init__(self, *, weights=False, **options):
        super().__init__()
        self.first, self.other, self.weights = nn.Linear(6, 16), nn.Linear(6, 16), weights
        self.attention = nn.MultiheadAttention(16, 8, batch_first=True, **options)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        query, key = self.first(x), self.other(torch.tanh(x))
        y, weights = self.attention(query=query, key=key, value=key, need_weights=self.weights)
        y = self.head(torch.tanh(query + y))
        return (y, weights) if self.weights else y


class Vision(nn.Module):
    """As torchvision's: patches are reshaped to a size that the model keeps, and one is checked."""

    def __init__(self):
        super().__init__()
        self.hidden_dim, self.patch_size = 16, 2
        self.patches, self.encoder = nn.Conv2d(3, 16, 2, 2), Encoder(norm_first=True).encoder
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = self.patches(x).reshape(len(x), self.hidden_dim, -1).permute(0, 2, 1)
        if x.shape[-1] != self.hidden_dim:
            raise ValueError
        return self.head(self.encoder(x).mean(1))


class Whole(nn.Module):
    """torch's Transformer asks for the size that it keeps."""

    def __init__(self):
        super().__init__()
        self.source, self.target, self.d_model = nn.Embedding(9, 16), nn.Embedding(9, 16), 16
        self.both, self.head = nn.Transformer(16, 4, 1, 1, 24), nn.Linear(16, 9)

    def forward(self, ids):
        return self.head(self.both(self.source(ids) * self.d_model**0.5, self.target(ids.flip(0))))


def patches():
    return torch.randn(3, 5, 6)


def padded():
    ids = torch.randint(1, 9, (3, 5))
    ids[0, 3:], ids[2, 2:] = 0, 0
    return ids


INNER = {f"encoder.layers.{i}.linear1": 1 for i in (0, 1)}
MODELS = {
    "encoder": (Encoder, patches, {"patches": 7, **INNER}),
    "encoder, norms first": (
        lambda: Encoder(norm_first=True, activation="gelu"),
        patches,
        {"patches": 7, **INNER},
    ),
    "padded": (Padded, padded, {"tokens": 5, **INNER}),
    "decoder": (
        Translator,
        lambda: torch.randint(0, 9, (6, 3)),
        {"tokens": 8, **{f"decoder.layers.{i}.linear1": 1 for i in (0, 1)}},
    ),
    "vision": (Vision, lambda: torch.randn(3, 3, 4, 6), {"patches": 6, **INNER}),
    "whole": (
        Whole,
        lambda: torch.randint(0, 9, (6, 3)),
        {"source": 8, **{f"both.{i}.layers.0.linear1": 1 for i in ("encoder", "decoder")}},
    ),
    "by names": (Attending, patches, {"first": 3}),
    "without biases": (lambda: Attending(bias=False), patches, {"first": 3}),
}
every_model = pytest.mark.parametrize("name", MODELS)


@cache
def converted(name, order=None):
    make, inputs, _ = MODELS[name]
    torch.manual_seed(1)
    model, x = make().eval(), inputs()
    return model, x, snn.searchable(model, x, depth=False, order=order)


@every_model
def test_what_is_as_wide_as_an_attention_is_found(name):
    found = converted(name)[-1].conversion.groups
    assert {group.name: len(group.widths) + len(group.numbers) for group in found} == MODELS[name][-1]


@every_model
@pytest.mark.parametrize("order", [None, "outputs", "magnitude"])
def test_children_are_plain_and_compute_what_the_supernet_computes(name, order):
    check_children(*converted(name, order))


@pytest.mark.parametrize("name", ["by names", "without biases"])
@pytest.mark.parametrize("order", [None, "magnitude"])
def test_a_child_is_the_whole_network_whose_lost_heads_and_channels_are_nought(name, order):
    model, x, supernet = converted(name, order)
    (group,) = supernet.conversion.groups
    assert group.step == 2  # a head
    for units in range(group.least, group.units):
        whole, kept = copy.deepcopy(model), group.made(units)["first"]
        gone = ~torch.isin(torch.arange(16), kept)
        with torch.no_grad():
            for layer in (whole.first, whole.other, whole.attention.out_proj):
                for tensor in layer.parameters():
                    tensor[gone] = 0.0
            whole.attention.out_proj.weight[:, len(kept) :] = 0.0
        child = supernet.extract({"first": len(kept)}, example=x).eval()
        assert (child.attention.embed_dim, child.attention.num_heads) == (len(kept), len(kept) // 2)
        assert torch.allclose(child(x), whole(x), atol=1e-6)


def test_sequences_that_torch_would_pack_are_computed_as_in_training():
    """In evaluation torch's fused function gives nought behind the end of a sequence; a child does not."""
    model, x, supernet = converted("padded")
    whole = supernet.extract({key: v.high for key, v in supernet.space.items()}, example=x).eval()
    unfused = copy.deepcopy(model)
    unfused.encoder.enable_nested_tensor = False
    for layer in unfused.encoder.layers:
        layer.activation_relu_or_gelu = 0
    assert torch.allclose(whole(x), unfused(x), atol=1e-6)


def test_gradients_reach_the_heads_that_are_there():
    _, x, supernet = converted("by names")
    supernet.zero_grad()
    supernet(x, architecture={"first": 6}).square().sum().backward()
    attention = supernet.model.attention
    rows = attention.in_proj_weight.grad.unflatten(0, (3, 16)) != 0.0
    assert bool(rows[2, :6, :6].all())
    assert not bool(rows[:, 6:].any() or rows[..., 6:].any())
    assert int((attention.out_proj.weight.grad != 0.0).sum()) == 36


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"add_bias_kv": True}, "attention: MultiheadAttention is not cut"),
        ({"weights": True}, "first: the narrowed network"),
    ],
)
def test_an_attention_whose_heads_are_asked_for_stays(options, why):
    with pytest.raises(InputError, match=rf"got none in Attending\..*{why}"):
        snn.searchable(Attending(**options), patches())


def test_steps_are_of_whole_heads():
    conversion = snn.searchable(Attending(), patches(), step=4).conversion
    assert [group.step for group in conversion.groups] == [4]
    with pytest.raises(InputError, match="first: its number of channels has no parts in heads of 2"):
        snn.searchable(Attending(), patches(), step=1)
