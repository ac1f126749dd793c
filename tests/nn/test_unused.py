"""What an architecture does not use costs nothing: no run, no gradient, no optimiser's state, no change."""

from collections import Counter

import pytest
import torch
from plain_blocks import Residual
from torch import nn

from asng import nn as snn
from asng.nn import Supernet
from asng.space import Categorical, Integer

WIDTH = Integer(4, 8, label="width", step=4)
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Adam": lambda p: torch.optim.Adam(p, weight_decay=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, weight_decay=0.1),
}
ARCHITECTURE = {"op": "conv", "depth": 1, "kernel": 3, "width": 4}


def _net():
    """Candidates made of twins, and more blocks than one architecture runs."""
    torch.manual_seed(0)
    ops = {
        "conv": snn.Conv2d(8, WIDTH, Categorical([1, 3], label="kernel"), padding="same"),
        "separable": nn.Sequential(
            snn.Conv2d(8, 8, 3, padding=1, groups=8), snn.Conv2d(8, WIDTH, 1), snn.GroupNorm(2, 8)
        ),
        "plain": nn.Sequential(nn.Conv2d(4, 4, 1), snn.BatchNorm2d(8)),
    }
    more = snn.Repeat(lambda _: Residual(snn.Conv2d(8, WIDTH, 1)), Integer(0, 3, label="depth"))
    first = snn.Conv2d(3, WIDTH, 1)
    return Supernet(nn.Sequential(first, snn.Choice(ops, label="op"), more, nn.Flatten(), snn.Linear(72, 1)))


def _train(supernet, optimizer, steps=3):
    for _ in range(steps):
        optimizer.zero_grad()
        supernet(torch.randn(5, 3, 3, 3), architecture=ARCHITECTURE).square().mean().backward()
        optimizer.step()


def _unused(supernet):
    _, choice, more, *_ = supernet.model
    modules = [choice.candidates["separable"], choice.candidates["plain"], *more.blocks[1:]]
    return [p for module in modules for p in module.parameters()]


@pytest.fixture(params=OPTIMIZERS)
def make(request):
    return OPTIMIZERS[request.param]


def test_unused_candidates_have_neither_gradient_nor_state_and_stay_as_they_are(make):
    supernet = _net()
    optimizer, before = make(supernet.parameters()), [p.detach().clone() for p in _unused(supernet)]
    _train(supernet, optimizer)
    unused = _unused(supernet)
    assert all(p.grad is None and p not in optimizer.state for p in unused)
    assert all(torch.equal(p, old) for p, old in zip(unused, before, strict=True))
    others = [p for p in supernet.parameters() if all(p is not other for other in unused)]
    assert others
    assert all(p.grad is not None and p in optimizer.state for p in others)


def test_candidates_used_before_are_left_alone_once_others_are_trained(make):
    supernet = _net()
    optimizer = make(supernet.parameters())
    for op in ("separable", "plain"):
        optimizer.zero_grad()
        supernet(torch.randn(5, 3, 3, 3), architecture=ARCHITECTURE | {"op": op, "depth": 3}).sum().backward()
        optimizer.step()
    before = [p.detach().clone() for p in _unused(supernet)]
    _train(supernet, optimizer)  # momentum and weight decay of theirs exist by now
    assert all(torch.equal(p, old) for p, old in zip(_unused(supernet), before, strict=True))


def test_unused_modules_are_never_called():
    supernet, calls = _net(), Counter()
    for path, module in supernet.model.named_modules():
        module.register_forward_hook(lambda *_, path=path: calls.update([path]))
    _train(supernet, torch.optim.SGD(supernet.parameters(), lr=0.1))
    used = ["", "0", "1", "1.candidates.conv", "2", "2.blocks.0", "2.blocks.0.op", "3", "4"]
    assert calls == Counter(dict.fromkeys(used, 3))


def test_no_kernel_of_torch_is_given_a_weight_that_is_unused():
    supernet = _net()
    unused = {id(p) for p in _unused(supernet)}
    seen = set()

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            seen.update(id(x) for x in (*args, *(kwargs or {}).values()))
            return function(*args, **(kwargs or {}))

    with Watch():
        supernet(torch.randn(5, 3, 3, 3), architecture=ARCHITECTURE)
    assert id(supernet.model[0].bias) in seen
    assert not seen & unused
