"""The optimiser of weights takes the same steps whether it updates weights all at once or one by one."""

import pytest
import torch
from torch import nn

from asng.training import optimizers as descent
from asng.training import sgd


def trained(**words):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 33), nn.Tanh(), nn.Linear(33, 5))
    optimizer = sgd(model.parameters(), **words)
    x = torch.randn(11, 7)
    for step in range(6):
        optimizer.zero_grad(set_to_none=True)
        part = model if step % 2 else model[0]  # as when an architecture leaves some weights out
        part(x).square().mean().backward()
        optimizer.step()
    return optimizer, torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("words", [{}, {"learning_rate": 0.5, "weight_decay": 0.0}])
def test_weights_are_the_same_to_the_last_bit_however_they_are_updated(monkeypatch, words):
    at_once, few = trained(**words)
    monkeypatch.setattr(descent, "_FEW", 0)
    one_by_one, many = trained(**words)
    assert (at_once.defaults["foreach"], one_by_one.defaults["foreach"]) == (True, None)
    assert torch.equal(few, many)


def test_settings_are_those_of_the_paper_or_what_is_given():
    weights = list(nn.Linear(2, 2).parameters())
    paper = sgd(weights).defaults
    assert (paper["lr"], paper["momentum"], paper["weight_decay"]) == (0.025, 0.9, 3e-4)
    own = sgd(iter(weights), learning_rate=0.5, weight_decay=0.1)
    assert (own.defaults["lr"], own.defaults["momentum"], own.defaults["weight_decay"]) == (0.5, 0.9, 0.1)
    assert own.param_groups[0]["params"] == weights
