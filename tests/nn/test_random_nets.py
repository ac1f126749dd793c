"""What holds for every net of searchable layers, however nested, and every architecture of it."""

import copy
from random import Random

import pytest
import torch
from foreign import objects_of_asng
from hypothesis import given, settings
from hypothesis import strategies as st
from random_nets import KINDS, nets

from asng.nn import Choice, Supernet

every_kind = pytest.mark.parametrize("kind", KINDS)
MODES = (
    torch.enable_grad,
    torch.no_grad,
    torch.inference_mode,
    lambda: torch.autocast("cpu", torch.bfloat16),
)


def drawn(data, kind):
    """A supernet, an architecture and an input. No two numbers among the weights are equal."""
    torch.manual_seed(0)
    supernet = Supernet(data.draw(nets(KINDS[kind]), label="net")).eval()
    total = sum(p.numel() for p in supernet.parameters())
    _set(supernet, (torch.randperm(total) + 1) / total - 0.5)
    a = supernet.space.sample(Random(data.draw(st.integers(0, 99), label="seed")))
    return supernet, a, KINDS[kind].inputs()


def flat(module, of=lambda p: p.detach()):
    """What there is of each weight, in one row."""
    return torch.cat([of(p).flatten() for p in module.parameters()])


def gradient(p):
    return torch.zeros_like(p) if p.grad is None else p.grad


def places(child, supernet):
    """Where in the row of the supernet's weights the child's are found, by their numbers."""
    order = flat(supernet).argsort()
    at = order[torch.searchsorted(flat(supernet)[order], flat(child))]
    assert torch.equal(flat(supernet)[at], flat(child))
    return at


def _set(module, row):
    weights = list(module.parameters())
    with torch.no_grad():
        for p, part in zip(weights, row.split([p.numel() for p in weights]), strict=True):
            p.copy_(part.view_as(p))


@every_kind
@settings(max_examples=20)
@given(data=st.data())
def test_child_computes_the_same_to_the_last_bit(kind, data):
    supernet, a, x = drawn(data, kind)
    if kind == "maps" and data.draw(st.booleans(), label="channels_last"):
        supernet.to(memory_format=torch.channels_last)
        x = x.to(memory_format=data.draw(st.sampled_from([torch.channels_last, torch.contiguous_format])))
    if data.draw(st.booleans(), label="frozen"):
        chance = Random(0)
        for p in supernet.parameters():
            p.requires_grad_(chance.random() < 0.5)
    child = supernet.extract(a, example=x)
    for mode in MODES:
        with mode():
            y = child(x)
            assert y.isfinite().all()
            assert torch.equal(supernet(x, architecture=a), y)


@every_kind
@settings(max_examples=10)
@given(data=st.data())
def test_weights_of_the_child_are_the_parts_that_are_used_and_no_others(kind, data):
    supernet, a, x = drawn(data, kind)
    child = supernet.extract(a, example=x)
    at = places(child, supernet)
    assert len(at.unique()) == len(at)
    row = torch.full_like(flat(supernet), float("nan"))
    row[at] = flat(supernet)[at]
    y = supernet(x, architecture=a)
    spoiled = copy.deepcopy(supernet)
    _set(spoiled, row)
    assert torch.equal(spoiled(x, architecture=a), y)


@every_kind
@settings(max_examples=10)
@given(data=st.data())
def test_gradients_are_the_same_and_no_others(kind, data):
    supernet, a, x = drawn(data, kind)
    child = supernet.extract(a, example=x)
    for forward in (child, lambda x: supernet(x, architecture=a)):
        forward(x).square().sum().backward()
    whole = flat(supernet, gradient)
    at = places(child, supernet)
    torch.testing.assert_close(whole[at], flat(child, gradient))
    whole[at] = 0
    assert not whole.any()


@every_kind
@settings(max_examples=10)
@given(data=st.data())
def test_a_step_of_training_is_the_same(kind, data):
    supernet, a, x = drawn(data, kind)
    child = supernet.extract(a, example=x)
    at, before = places(child, supernet), flat(supernet)
    for net, forward in ((child, child), (supernet, lambda x: supernet(x, architecture=a))):
        net.train()
        torch.manual_seed(1)  # of dropout
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
        forward(x).square().mean().backward()
        optimizer.step()
    after = flat(supernet)
    torch.testing.assert_close(after[at], flat(child))
    before[at] = after[at]
    assert torch.equal(after, before)


@every_kind
@settings(max_examples=10)
@given(data=st.data())
def test_child_refers_to_nothing_of_asng(kind, data):
    supernet, a, x = drawn(data, kind)
    assert not objects_of_asng(supernet.extract(a, example=x))


def test_what_refers_to_asng_is_found():
    choice = Choice([torch.nn.Identity()])

    def closure():
        return choice

    for holder in ({"a": [choice]}, closure, drawn, torch.nn.Sequential(choice), Supernet(choice)):
        assert objects_of_asng(holder)
