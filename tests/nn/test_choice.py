import pytest
import torch
from torch import nn

from asng import Categorical
from asng.errors import InputError, SpaceError
from asng.nn import Choice, Supernet


def test_only_the_chosen_candidate_runs():
    calls = []
    ops = {name: nn.Linear(2, 2) for name in "abc"}
    for name, op in ops.items():
        op.register_forward_hook(lambda *_, name=name: calls.append(name))
    Supernet(Choice(ops, label="op"))(torch.ones(1, 2), architecture={"op": "b"}).sum().backward()
    assert calls == ["b"]
    assert [op.weight.grad is not None for op in ops.values()] == [False, True, False]


def test_a_sequence_is_named_by_index():
    assert Supernet(Choice([nn.ReLU(), nn.Tanh()], label="op")).space["op"] == Categorical([0, 1])


@pytest.mark.parametrize("one", [1, 1.0, True])
def test_values_that_equal_an_index_choose_alike(one):
    assert Supernet(Choice([nn.ReLU(), nn.Identity()]))(-1, architecture={"choice": one}) == -1


def test_all_arguments_reach_the_candidate():
    class Add(nn.Module):
        def forward(self, x, *, y):
            return x + y

    assert Supernet(Choice([Add()]))(1, architecture={"choice": 0}, y=2) == 3


@pytest.mark.parametrize("candidates", [{}, []])
def test_no_candidate_is_an_error(candidates):
    with pytest.raises(SpaceError, match=r"candidates: expected at least one module, got none"):
        Choice(candidates)


def test_a_candidate_that_is_no_module_is_an_error():
    with pytest.raises(InputError, match=r"candidates\['skip'\].*got None. Use torch.nn.Identity\(\)"):
        Choice({"conv": nn.ReLU(), "skip": None})
    with pytest.raises(InputError, match=r"candidates\[0\]: expected a torch.nn.Module, got <built-in"):
        Choice([torch.relu])


@pytest.mark.parametrize("name", ["", "conv1.5", "pop", "training", 1, ("a",)])
def test_a_name_that_cannot_name_a_submodule_is_an_error(name):
    with pytest.raises(InputError, match=r"candidates: expected names that can name a submodule, got"):
        Choice({name: nn.ReLU()})
