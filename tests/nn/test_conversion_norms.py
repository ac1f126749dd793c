"""Norms of other libraries: a batch norm with a forward of its own is as wide as what it is given."""

import copy

import pytest
import torch
from conversions import check_children, outputs
from torch import nn
from torch.nn import functional

from asng import nn as snn
from asng.training import give_averages


class NormAct(nn.BatchNorm2d):
    """As in timm: the activation is a part of the norm, which calls torch's function by itself."""

    def __init__(self, size, **options):
        super().__init__(size, **options)
        self.drop, self.act = nn.Identity(), nn.ReLU(inplace=True)

    def forward(self, x):
        by_batch = self.training or self.running_mean is None
        averages = None if self.training and not self.track_running_stats else self.running_mean
        other = None if averages is None else self.running_var
        x = functional.batch_norm(x, averages, other, self.weight, self.bias, by_batch, self.momentum or 0.0)
        return self.act(self.drop(x))


class Doubled(nn.BatchNorm1d):
    """A norm of sequences whose channels come last."""

    def forward(self, x):
        return 2.0 * super().forward(x.transpose(1, 2)).transpose(1, 2)


class Mixing(nn.BatchNorm2d):
    """Each channel also gets something of its neighbour."""

    def forward(self, x):
        x = super().forward(x)
        return x + 0.1 * x.roll(1, dims=1)


class GroupNorm(nn.GroupNorm):
    """As in timm: the channels come first, and torch's function is called by itself."""

    def __init__(self, channels, groups):
        super().__init__(groups, channels)

    def forward(self, x):
        return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class Rooted(nn.GroupNorm):
    """A norm that divides by the root of a width."""

    def forward(self, x):
        return super().forward(x) * x.shape[1] ** -0.5


class Images(nn.Module):
    def __init__(self, norm, **options):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 16, 3, padding=1), norm(16, **options)
        self.conv2, self.norm2 = nn.Conv2d(16, 16, 3, padding=1), norm(16, **options)
        self.conv3, self.norm3 = nn.Conv2d(16, 24, 3, stride=2), norm(24, **options)
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        x = self.norm1(self.conv1(x))
        x = x + self.norm2(self.conv2(x))
        return self.head(self.norm3(self.conv3(x)).mean((2, 3)))


def _trained(model, x):
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
        for _ in range(3):
            model.train()(x)
    return model.eval()


@pytest.mark.parametrize(
    "options", [{}, {"affine": False}, {"track_running_stats": False}, {"momentum": None}]
)
def test_a_batch_norm_with_a_forward_of_its_own_is_narrowed(options):
    x = torch.randn(4, 3, 9, 9)
    model = _trained(Images(NormAct, **options), x)
    supernet = snn.searchable(model, x)
    assert [tuple(group.widths) for group in supernet.conversion.groups] == [("conv1", "conv2"), ("conv3",)]
    assert list(supernet.conversion.fixed) == ["head"]
    child = supernet.extract({"conv1": 6, "conv3": 9}, example=x).eval()
    assert [type(part) for part in child.modules()] == [type(part) for part in model.modules()]
    assert (child.norm2.num_features, child.norm3.num_features) == (6, 9)
    again = copy.deepcopy(supernet)
    for mode in (True, False):
        for part in (child, supernet, again):
            part.train(mode)
        for one in (supernet, again):
            given = outputs(one, x, architecture={"conv1": 6, "conv3": 9})
            assert torch.equal(given[0], outputs(child, x)[0])


def test_a_narrowed_batch_norm_of_another_class_forgets_its_averages():
    x = torch.randn(4, 3, 9, 9)
    model = _trained(Images(NormAct), x)
    before = copy.deepcopy(model.state_dict())
    supernet = snn.searchable(model, x)
    assert not any("running" in name for name in supernet.model.state_dict())
    supernet.model.load_state_dict(model.state_dict())
    whole = {name: v.high for name, v in supernet.space.items()}
    expected = outputs(lambda x: [m.train() for m in model.modules()] and model(x), x)
    assert torch.equal(outputs(supernet.eval(), x, architecture=whole)[0], expected[0])
    child = give_averages(supernet.extract({"conv1": 6, "conv3": 9}, example=x))
    assert child.norm1.running_mean.shape == (6,)
    child.train()(x)
    assert child.norm1.running_mean.abs().sum() > 0
    child.load_state_dict(child.state_dict())
    assert before.keys() == model.state_dict().keys()


def test_a_batch_norm_of_channels_that_come_last_is_narrowed():
    x = torch.randn(4, 5, 6)
    model = nn.Sequential(nn.Linear(6, 16), Doubled(16), nn.Linear(16, 3)).eval()
    supernet = snn.searchable(model, x)
    assert [group.name for group in supernet.conversion.groups] == ["0"]
    child = supernet.extract({"0": 8}, example=x).eval()
    assert torch.equal(child(x), outputs(supernet.eval(), x, architecture={"0": 8})[0])


def test_a_batch_norm_that_mixes_channels_stays():
    layers = nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 1), Mixing(16), nn.Conv2d(16, 3, 1)
    model, x = nn.Sequential(*layers).eval(), torch.randn(4, 3, 9, 9)
    supernet = snn.searchable(model, x)
    assert [group.name for group in supernet.conversion.groups] == ["0"]
    check_children(model, x, supernet)


def test_a_group_norm_with_a_weight_alone_is_narrowed():
    model, x = Images(GroupNorm, groups=4).eval(), torch.randn(4, 3, 9, 9)
    model.norm1 = nn.GroupNorm(4, 16)
    model.norm1.bias = model.norm2.bias = None
    check_children(model, x, snn.searchable(model, x))


@pytest.mark.parametrize("groups", [1, 4])
def test_a_group_norm_with_a_forward_of_its_own_is_narrowed(groups):
    x = torch.randn(4, 3, 9, 9)
    model = Images(GroupNorm, groups=groups).eval()
    supernet = snn.searchable(model, x)
    assert [tuple(group.widths) for group in supernet.conversion.groups] == [("conv1", "conv2"), ("conv3",)]
    check_children(model, x, supernet)


def test_a_group_norm_that_computes_something_else_stays():
    layers = nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 1), Rooted(1, 16), nn.Conv2d(16, 3, 1)
    model, x = nn.Sequential(*layers).eval(), torch.randn(4, 3, 9, 9)
    supernet = snn.searchable(model, x)
    assert [group.name for group in supernet.conversion.groups] == ["0"]
    check_children(model, x, supernet)
