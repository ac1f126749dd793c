"""What every searchable module must do. A new one joins by a line in CASES."""

import pickle
from random import Random

import pytest
import torch
from plain_blocks import Branches, Residual
from torch import nn

from asng.errors import InputError
from asng.nn import Activation, Choice, InputChoice, Repeat, Searchable, Supernet
from asng.space import Integer
from asng.testing import LAYER_CLAIMS, LayerCase

CASES = {
    "choice by name": lambda: Choice({"a": nn.Linear(4, 3), "b": nn.Sequential(nn.Linear(4, 4), nn.ReLU())}),
    "choice by index": lambda: Choice([nn.Linear(4, 3), nn.Identity()]),
    "choice of choices": lambda: Choice({"a": Choice([nn.Linear(4, 3), nn.Identity()]), "b": nn.Tanh()}),
    "one input": lambda: Branches(InputChoice(3)),
    "sum of two inputs": lambda: Branches(InputChoice(3, 2)),
    "mean of three inputs": lambda: Branches(InputChoice(3, 3, reduce="mean")),
    "two inputs side by side": lambda: Branches(InputChoice(3, 2, reduce="concat", label="in")),
    "activation": lambda: Activation(["ReLU", "GELU", "Tanh"]),
    "repeat": lambda: Repeat(lambda _: Residual(nn.Linear(4, 4)), Integer(0, 3)),
    "repeat of a fixed depth": lambda: Repeat([Choice([nn.Linear(4, 4), nn.Identity()]), nn.ReLU()], 2),
}


X = torch.linspace(-1, 1, 12).reshape(3, 4)


@pytest.mark.parametrize("claim", LAYER_CLAIMS, ids=lambda claim: claim.__name__)
@pytest.mark.parametrize("name", CASES)
def test_every_searchable_module_keeps_what_it_promises(name, claim):
    claim(lambda: LayerCase(CASES[name](), [(X,)]))


@pytest.mark.parametrize("name", CASES)
def test_child_needs_no_example(name):
    supernet = Supernet(CASES[name]()).eval()
    rng = Random(0)
    for a in [supernet.space.sample(rng) for _ in range(12)]:
        assert torch.equal(supernet.extract(a)(X), supernet(X, architecture=a))


def test_pickled_supernet_is_a_supernet():
    supernet = Supernet(CASES["choice of choices"]()).eval()
    a = supernet.space.sample(Random(0))
    twin = pickle.loads(pickle.dumps(supernet))  # noqa: S301 - our own bytes
    assert torch.equal(twin(X, architecture=a), supernet(X, architecture=a))


def test_outside_of_a_supernet_there_is_no_architecture():
    choice = Choice([nn.Identity()], label="op")
    with pytest.raises(InputError, match=r"Choice, slot 'choice', has no architecture to follow: call it th"):
        choice(X)
    Supernet(choice)
    with pytest.raises(InputError, match=r"asng\.nn\.Choice 'op' has no architecture to follow"):
        choice(X)


def test_module_that_the_supernet_could_not_find_is_named():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.op = Choice([nn.Identity()])
            self.hidden = [Choice([nn.Identity()])]

        def forward(self, x):
            return self.hidden[0](self.op(x))

    supernet = Supernet(Hidden())
    with pytest.raises(InputError, match=r"unknown to the supernet that runs it: register the module"):
        supernet(X, architecture={"op": 0})


def test_searchable_class_says_its_variables():
    with pytest.raises(NotImplementedError, match=r"Searchable\.variables: expected in every searchable"):
        Searchable().variables()
