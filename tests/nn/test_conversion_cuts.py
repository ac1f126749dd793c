"""Tensors that code cuts apart by a size that its module stores: the size is the child's."""

import copy

import pytest
import torch
from conversions import check_children
from torch import nn
from torch.nn import functional

from asng import nn as snn


class Gated(nn.Module):
    """A gated unit: one layer makes the gates and what they gate."""

    def __init__(self, halves):
        super().__init__()
        self.hidden_dim, self.halves = 12, halves
        self.both, self.last = nn.Linear(8, 24), nn.Linear(12, 8)

    def forward(self, x):
        one, other = self.halves(self.both(x), self.hidden_dim)
        return x + self.last(functional.silu(one) * other)


HALVES = {
    "slice": lambda y, n: (y[..., :n], y[..., n:]),
    "slice by position": lambda y, n: (y[:, :, None, :n].squeeze(2), y[:, :, n:]),
    "split": lambda y, n: y.split(n, dim=-1),
    "split by position": lambda y, n: torch.split(y, n, 2),
    "view": lambda y, n: y.view(*y.shape[:-1], 2, n).unbind(-2),
}


@pytest.mark.parametrize("name", HALVES)
def test_a_gated_unit_is_searched_however_it_is_cut(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), Gated(HALVES[name]), nn.Linear(8, 2)).eval()
    x = torch.randn(2, 5, 3)
    supernet = snn.searchable(model, x, depth=False)
    group = next(g for g in supernet.conversion.groups if g.name == "1.both")
    assert (group.blocks, dict(group.numbers)) == (2, {"1.hidden_dim": 12})
    check_children(model, x, supernet)
    largest = {key: variable.high for key, variable in supernet.space.items()}
    child = supernet.extract({**largest, "1.both": group.variable.low}, example=x).eval()
    kept = child[1].hidden_dim
    assert 0 < kept == child[1].last.in_features < 12
    whole = copy.deepcopy(model)
    with torch.no_grad():
        whole[1].last.weight[:, kept:] = 0.0
    assert torch.allclose(child(x), whole(x), atol=1e-6)


def test_a_recurrent_cell_written_by_hand_is_searched():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden_size = 16
            self.given, self.state, self.last = nn.Linear(6, 64), nn.Linear(16, 64), nn.Linear(16, 3)

        def forward(self, x):
            h = c = x.new_zeros(len(x), self.hidden_size)
            for step in x.unbind(1):
                i, f, g, o = (self.given(step) + self.state(h)).split(self.hidden_size, dim=1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
            return self.last(h)

    model, x = Cell().eval(), torch.randn(2, 5, 6)
    supernet = snn.searchable(model, x)
    (group,) = supernet.conversion.groups
    assert (group.blocks, group.numbers) == (4, {"hidden_size": 16})
    check_children(model, x, supernet)
    child = supernet.extract({key: v.low for key, v in supernet.space.items()}, example=x)
    assert child(torch.randn(3, 9, 6)).shape == (3, 3)


def test_widths_beside_channels_that_are_cut_off_are_searched():
    """As in GhostNet, whose modules make too many channels if their number is odd."""

    class Ghost(nn.Module):
        def __init__(self, given, out_chs):
            super().__init__()
            self.out_chs, half = out_chs, (out_chs + 1) // 2
            self.first = nn.Conv2d(given, half, 1)
            self.cheap = nn.Conv2d(half, half, 3, padding=1, groups=half)

        def forward(self, x):
            y = torch.relu(self.first(x))
            return torch.cat([y, self.cheap(y)], dim=1)[:, : self.out_chs]

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.last = nn.Conv2d(3, 8, 3), nn.Linear(8, 2)
            self.wide, self.narrow = Ghost(8, 15), Ghost(15, 8)

        def forward(self, x):
            x = self.stem(x)
            return self.last((x + self.narrow(self.wide(x))).mean((2, 3)))

    model, x = Net().eval(), torch.randn(2, 3, 7, 7)
    supernet = snn.searchable(model, x, depth=False)
    group = next(g for g in supernet.conversion.groups if g.name == "stem")
    assert (list(group.widths), group.numbers) == (["stem", "narrow.first"], {"narrow.out_chs": 8})
    check_children(model, x, supernet)
    child = supernet.extract({**{k: v.high for k, v in supernet.space.items()}, "stem": 1}, example=x)
    assert child.narrow.out_chs == child.stem.out_channels == 2


def test_a_tensor_that_is_as_long_as_some_layer_by_chance_fixes_no_layer():
    """As the segments of Funnel, of which there are as many as classes."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.last = nn.Linear(3, 16), nn.Linear(16, 8), nn.Linear(8, 2)
            self.segments = nn.Parameter(torch.randn(2, 16))

        def forward(self, x):
            one, other = (self.first(x) @ self.segments.T).split(1, dim=-1)
            return self.last(self.second(self.first(x)) * (one - other))

    model, x = Net().eval(), torch.randn(4, 3)
    supernet = snn.searchable(model, x)
    assert [g.name for g in supernet.conversion.groups] == ["first", "second"]
    check_children(model, x, supernet)
