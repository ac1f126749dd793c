"""Inputs by position and by name: what an example stands for, and children of models that take names only."""

import copy
from collections import UserDict

import pytest
import torch
from torch import nn

from asng import nn as snn
from asng.errors import InputError
from asng.nn.inputs import Inputs, calls_of
from asng.space import Integer

X, Z = torch.randn(5, 4), torch.randn(5, 3)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        width = Integer(2, 8, label="w")
        self.a, self.b, self.out = snn.Linear(4, width), snn.Linear(3, width), snn.Linear(8, 2)

    def forward(self, *, x, z=None):
        return self.out(self.a(x) if z is None else self.a(x) + self.b(z))


class Any(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Named()

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


@pytest.mark.parametrize("model", [Named, Any])
@pytest.mark.parametrize("example", [{"x": X, "z": Z}, UserDict(x=X, z=Z), Inputs((), {"x": X, "z": Z})])
def test_a_child_of_named_inputs_computes_the_same(model, example):
    supernet, a = snn.Supernet(model()), {"w": 3}
    child = supernet.extract(a, example=example)
    assert torch.equal(child(x=X, z=Z), supernet(x=X, z=Z, architecture=a))


def test_several_calls_reach_what_each_of_them_does():
    supernet, a = snn.Supernet(Named()), {"w": 3}
    child = supernet.extract(a, example=[Inputs((), {"x": X}), Inputs((), {"x": X, "z": Z})])
    assert torch.equal(child(x=X, z=Z), supernet(x=X, z=Z, architecture=a))
    assert torch.equal(child(x=X), supernet(x=X, architecture=a))


class OfDict(nn.Module):
    def forward(self, batch, scale=1.0):
        return batch["x"] * scale


def test_a_mapping_that_is_no_names_is_one_input():
    assert calls_of(OfDict(), {"x": 1}) == [({"x": 1},)]
    assert calls_of(OfDict(), {"x": 1, 2: 3}) == [({"x": 1, 2: 3},)]
    [call] = calls_of(OfDict(), {"batch": {"x": 1}, "scale": 2.0})
    assert (call, call.named) == ((), {"batch": {"x": 1}, "scale": 2.0})


def test_names_that_the_model_does_not_take_are_told():
    with pytest.raises(InputError, match=r"by the names of Named\.forward\(\*, x, z=None\), got \['y'\]"):
        snn.Supernet(Named()).extract({"w": 3}, example={"y": X})


def test_inputs_are_copied_with_their_names():
    inputs = copy.deepcopy(Inputs([1], {"x": [2]}, training=True))
    assert (inputs, inputs.named, inputs.training) == ((1,), {"x": [2]}, True)
    assert Inputs.of(inputs) is inputs
    assert Inputs.of((1, 2)).call(lambda a, b: a + b) == 3


def test_a_call_in_training_leaves_no_trace_in_the_supernet():
    norm = nn.BatchNorm1d(4)
    supernet = snn.Supernet(nn.Sequential(norm, snn.Linear(4, Integer(2, 4, label="w")))).eval()
    supernet.extract({"w": 3}, example=[Inputs([X], training=True)])
    assert (norm.running_mean == 0).all()
    assert not norm.training


@pytest.mark.parametrize("wrong", [(X,), ((X,), X), ((X,), [("z", X)])])
def test_inputs_that_are_no_tuple_or_no_mapping_are_told(wrong):
    with pytest.raises(InputError, match=r"Inputs: expected .* got (Tensor|list)\. Write asng\.nn\.Inputs"):
        Inputs(*wrong)


@pytest.mark.parametrize(
    "example", [torch.ones(3, 2), {"input": torch.ones(3, 2)}, Inputs((torch.ones(3, 2),))]
)
def test_an_example_on_the_cpu_is_moved_to_where_the_model_is(example):
    (call,) = calls_of(nn.Linear(2, 1, device="meta"), example)
    assert call.call(lambda input: input).is_meta


def test_an_example_that_is_partly_placed_stays_as_it_is():
    x, lengths = torch.ones(3, 2, device="meta"), torch.tensor([2, 1, 1])  # torch wants lengths on the CPU
    assert calls_of(nn.Linear(2, 1, device="meta"), Inputs((x, lengths)))[0][1] is lengths
    assert calls_of(nn.Linear(2, 1), Inputs((x, lengths)))[0][0] is x
