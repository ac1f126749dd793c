"""Gradient checkpointing: what is computed again in backward follows the architecture of its pass."""

import copy
import threading

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from asng import nn as snn
from asng.errors import InputError
from asng.nn import Supernet, following
from asng.space import Integer

X = torch.randn(3, 4)
WIDTH = Integer(2, 8, label="w")


class Net(nn.Module):
    """Runs its body once, or once more in backward."""

    def __init__(self, body, **how):
        super().__init__()
        self.first, self.body, self.how = nn.Linear(4, 8), body, how

    def forward(self, x):
        h = self.first(x)
        return checkpoint(self.body, h, **self.how) if self.how else self.body(h)


class Nested(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.inner, self.outer, self.reentrant = snn.Linear(8, WIDTH), snn.Linear(8, 2), reentrant

    def forward(self, x):
        return self.outer(checkpoint(self.inner, x, use_reentrant=self.reentrant))


class InPieces(nn.Sequential):
    def forward(self, x):
        return checkpoint_sequential(list(self), 2, x, use_reentrant=False)


def _bodies(reentrant):
    torch.manual_seed(0)
    choice = snn.Choice(
        [nn.Linear(8, 8), nn.Sequential(snn.Linear(8, WIDTH), nn.Tanh(), snn.Linear(8, 8))], label="c"
    )
    return {
        "twin": snn.Linear(8, WIDTH),
        "choice": choice,
        "nested": Nested(reentrant),
        "pieces": InPieces(snn.Linear(8, WIDTH), nn.Tanh(), snn.Linear(8, 8)),
    }


@pytest.fixture(params=[True, False], ids=["reentrant", "not reentrant"])
def reentrant(request):
    return request.param


def _gradients(supernet, architectures):
    """Of the sum of passes of several architectures, so that backward comes after all of them."""
    supernet.zero_grad()
    sum(supernet(X, architecture=a).square().sum() for a in architectures).backward()
    return [p.grad.clone() for p in supernet.parameters()]


@pytest.mark.parametrize("name", ["twin", "choice", "nested", "pieces"])
def test_gradients_of_several_passes_are_those_without_checkpointing(name, reentrant):
    body = _bodies(reentrant)[name]
    plain, again = Net(body), Net(copy.deepcopy(body), use_reentrant=reentrant)
    again.load_state_dict(plain.state_dict())
    plain, again = Supernet(plain), Supernet(again)
    architectures = [
        {n: v for n, v in a.items() if n in plain.space} for a in ({"w": 3, "c": 1}, {"w": 7, "c": 0})
    ]
    for one, other in zip(_gradients(again, architectures), _gradients(plain, architectures), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_backward_in_another_thread_follows_the_pass(reentrant):
    supernet = Supernet(Net(snn.Linear(8, WIDTH), use_reentrant=reentrant))
    thread = threading.Thread(target=supernet(X, architecture={"w": 3}).sum().backward)
    thread.start()
    thread.join()
    used = supernet.model.body.weight.grad.abs().sum(1) > 0
    assert used.tolist() == [True] * 3 + [False] * 5


def test_child_with_checkpointing_computes_the_same_and_trains(reentrant):
    supernet = Supernet(Net(snn.Linear(8, WIDTH), use_reentrant=reentrant))
    child = supernet.extract({"w": 3}, example=X)
    assert torch.equal(child(X), supernet(X, architecture={"w": 3}))
    child(X).sum().backward()
    assert child.body.weight.grad is not None


class Recomputing(torch.autograd.Function):
    """Another tool that computes again in backward."""

    @staticmethod
    def forward(ctx, module, x):
        ctx.module = module
        ctx.save_for_backward(x)
        with torch.no_grad():
            return module(x)

    @staticmethod
    def backward(ctx, gradient):
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            torch.autograd.backward(ctx.module(x), gradient)
        return None, x.grad


def test_other_tools_that_recompute_want_following_around_backward():
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.body = nn.Linear(4, 8), snn.Linear(8, WIDTH)

        def forward(self, x):
            return Recomputing.apply(self.body, self.first(x))

    supernet = Supernet(Again())
    with pytest.raises(InputError, match="no architecture to follow"):
        supernet(X, architecture={"w": 3}).sum().backward()
    y = supernet(X, architecture={"w": 3})
    with following({"w": 3}):
        y.sum().backward()
    assert supernet.model.body.weight.grad[:3].abs().sum() > 0
