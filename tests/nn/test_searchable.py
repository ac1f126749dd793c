"""What every searchable module must do. A new one joins by a line in CASES."""

import copy
import pickle
from random import Random

import pytest
import torch
from plain_blocks import Branches, Residual
from torch import nn

from asng.errors import InputError
from asng.nn import Activation, Choice, InputChoice, Repeat, Searchable, Supernet
from asng.space import Integer

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


@pytest.fixture(params=CASES)
def supernet(request):
    torch.manual_seed(0)
    return Supernet(CASES[request.param]()).eval()


def _architectures(supernet, count=12):
    rng = Random(0)
    return [supernet.space.sample(rng) for _ in range(count)]


X = torch.linspace(-1, 1, 12).reshape(3, 4)


def test_child_computes_what_the_supernet_computes(supernet):
    for a in _architectures(supernet):
        assert torch.equal(supernet.extract(a)(X), supernet(X, architecture=a))


def test_child_holds_nothing_of_asng(supernet):
    for a in _architectures(supernet):
        for module in supernet.extract(a).modules():
            assert not type(module).__module__.startswith("asng")
            assert not isinstance(module, Searchable)


def test_child_is_independent_of_the_supernet(supernet):
    a = _architectures(supernet)[0]
    before = {name: t.clone() for name, t in supernet.state_dict().items()}
    child = supernet.extract(a)
    with torch.no_grad():
        for parameter in child.parameters():
            parameter.add_(1)
    child.train()
    assert all(torch.equal(t, before[name]) for name, t in supernet.state_dict().items())
    assert not any(module.training for module in supernet.modules())


def test_extraction_draws_no_random_number(supernet):
    state = torch.random.get_rng_state()
    supernet.extract(_architectures(supernet)[0], example=X)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_forward_reads_variables_of_the_space_only(supernet):
    for a in _architectures(supernet):
        supernet(X, architecture=a)
        assert supernet.active
        assert supernet.active <= set(supernet.space)


def test_variables_not_read_do_not_matter(supernet):
    rng = Random(1)
    for a in _architectures(supernet):
        y = supernet(X, architecture=a)
        other = supernet.space.sample(rng)
        mixed = {name: a[name] if name in supernet.active else other[name] for name in supernet.space}
        assert torch.equal(supernet(X, architecture=mixed), y)


def test_deep_copy_of_a_supernet_is_a_supernet(supernet):
    a = _architectures(supernet)[0]
    twin = copy.deepcopy(supernet)
    assert twin.space == supernet.space
    assert torch.equal(twin(X, architecture=a), supernet(X, architecture=a))


def test_pickled_supernet_is_a_supernet():
    supernet = Supernet(CASES["choice of choices"]()).eval()
    a = _architectures(supernet)[0]
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
