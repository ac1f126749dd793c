"""Whether two outputs are the same, and what leaves no trace."""

import math
from collections import OrderedDict

import pytest
import torch
from torch import nn

from asng.training.compare import TOLERANCE, copied, difference
from asng.training.modes import left_alone

X = torch.tensor([1.0, -2.0, math.nan, math.inf])


@pytest.mark.parametrize(
    "value", [X, {"a": [X, 3, None, "text"]}, (X, {"b": X}), math.nan, torch.tensor(True)]
)
def test_what_is_the_same_differs_in_nothing(value):
    assert difference(copied(value), value) is None


@pytest.mark.parametrize(
    ("got", "expected", "told"),
    [
        ({"a": X}, {"b": X}, r"the names \['a'\], not \['b'\]"),
        ([X], (X,), "list, not tuple"),
        ([X, X], [X], "2 parts, not 1"),
        ({"y": [X[:2]]}, {"y": [X[:3]]}, r"\['y'\]\[0\]: shape \(2,\), not \(3,\)"),
        (3, X, "int, not a tensor"),
        (1.0, 2.0, "1.0, not 2.0"),
        (torch.tensor([1, 2]), torch.tensor([1, 3]), "1 of 2 numbers differ"),
        (torch.tensor([1.0, math.nan]), torch.tensor([1.0, 2.0]), "other numbers are finite"),
        (torch.tensor([1.0, 2.1]), torch.tensor([1.0, 2.0]), r"up to 0\.1 apart, where the greatest is 2"),
        (OrderedDict(a=1), {"a": 1}, "OrderedDict, not dict"),
    ],
)
def test_what_differs_is_told(got, expected, told):
    with pytest.raises(ValueError, match=told):
        raise ValueError(difference(got, expected))


def test_a_tolerance_is_a_share_of_the_greatest_number():
    a, b = torch.tensor([1e-9, 100.0]), torch.tensor([0.0, 100.01])
    assert difference(a, b) is not None
    assert difference(a, b, tolerance=TOLERANCE) is None
    assert difference(a.double(), b.double(), tolerance=TOLERANCE) is not None
    assert difference(a, b + 50, tolerance=math.inf) is None


class Busy(nn.Module):
    """Changes whatever a pass can."""

    def __init__(self):
        super().__init__()
        self.norm, self.count, self.kept = nn.BatchNorm1d(2), 0, None
        self.register_buffer("seen", torch.zeros(2))

    def forward(self, x):
        self.count, self.kept, self.new = self.count + 1, x, "new"
        self.seen = self.seen + 1
        self.norm.weight.data.mul_(2)
        self.late = nn.Linear(2, 2)
        return self.norm(x)


def test_a_pass_that_is_left_alone_leaves_no_trace():
    model = Busy().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with left_alone(model):
        model.train()(torch.randn(4, 2))
    assert {
        name: torch.equal(value, before[name]) for name, value in model.state_dict().items()
    } == dict.fromkeys(before, True)
    assert (model.count, model.kept, hasattr(model, "new"), hasattr(model, "late")) == (0, None, False, False)
    assert not model.training


class Hooking(nn.Module):
    """Hooks its parts in its first pass, as models of transformers do to collect what layers give."""

    def __init__(self):
        super().__init__()
        self.part, self.hooked, self.heard = nn.Linear(2, 2), False, []

    def forward(self, x):
        if not self.hooked:
            self.part.register_forward_hook(lambda *_: self.heard.append(1))
            self.hooked = True
        return self.part(x)


def test_hooks_and_lists_of_a_pass_that_is_left_alone_are_gone_with_it():
    model = Hooking()
    with left_alone(model) as before:
        for _ in range(2):
            model(torch.ones(1, 2))
            before.restore(for_now=True)
    assert (model.hooked, model.heard, len(model.part._forward_hooks)) == (False, [], 0)
    model(torch.ones(1, 2))
    assert model.heard == [1]


class Writes(nn.Module):
    """Changes weights in its pass, so that torch counts it or not."""

    def __init__(self, *, past_torch):
        super().__init__()
        self.weight, self.other, self.past_torch = (
            nn.Parameter(torch.ones(3)),
            nn.Parameter(torch.ones(3)),
            past_torch,
        )

    def forward(self, x):
        with torch.no_grad():
            (self.weight.data if self.past_torch else self.weight).mul_(2)
        return x * self.weight


@pytest.mark.parametrize("past_torch", [False, True])
def test_weights_that_a_pass_writes_are_put_back_each_time(past_torch):
    model = Writes(past_torch=past_torch)
    with left_alone(model) as before:
        for _ in range(3):
            assert model(torch.ones(3)).tolist() == [2, 2, 2]
            before.restore(for_now=True)
            assert model.weight.tolist() == [1, 1, 1]


def test_weights_that_are_written_late_and_unseen_are_put_back_in_the_end():
    model = Writes(past_torch=True)
    with left_alone(model) as before:
        before.restore(for_now=True)
        model(torch.ones(3))
    assert model.weight.tolist() == [1, 1, 1]


def test_sharded_weights_are_no_child():
    from asng import nn as snn
    from asng.errors import InputError
    from asng.space import Integer

    class DTensor(nn.Parameter):
        """By its name, what torch makes of a weight that is sharded."""

    supernet = snn.Supernet(nn.Sequential(nn.Linear(2, 2), snn.Linear(2, Integer(1, 2, label="w"))))
    supernet.model[0].weight = DTensor(torch.ones(2, 2))
    with pytest.raises(
        InputError, match=r"0\.weight: expected whole weights to extract a child from, got shard"
    ):
        supernet.extract({"w": 1}, example=torch.ones(1, 2))
