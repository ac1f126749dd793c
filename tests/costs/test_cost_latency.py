"""Latency is a median after warm-up."""

import time

import pytest
import torch
from torch import nn

from asng.costs import latency
from asng.costs.timing import _wait_for
from asng.errors import InputError


class Slow(nn.Module):
    """Takes as long as it is told, one pass after the other."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = list(seconds)
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, torch.is_inference_mode_enabled()))
        time.sleep(self.seconds.pop(0))
        return x


def test_the_passes_of_the_warm_up_and_the_odd_slow_one_do_not_count():
    child = Slow([0.3, 0.3, 0.005, 0.3, 0.005, 0.005, 0.3])
    # Sleep may be late, yet three of five passes would have to be late by 0.1 s.
    assert 0.005 <= latency(child, (torch.ones(1),), warmup=2, repeats=5) < 0.1
    assert child.seen == [(False, True)] * 7
    assert child.training


def test_by_default_there_are_three_and_fifteen_passes():
    child = Slow([0.0] * 18)
    latency(child, (torch.ones(1),))
    assert child.seconds == []


def test_an_asynchronous_device_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    _wait_for(torch.device("cpu"))
    assert waited == []
    _wait_for(torch.device("cuda", 0))
    assert waited == [torch.device("cuda", 0)]


def test_every_pass_is_waited_for_before_and_after(monkeypatch):
    events = []

    class Child(nn.Linear):
        def forward(self, x):
            events.append("pass")
            return super().forward(x)

    monkeypatch.setattr("asng.costs.timing._wait_for", lambda device: events.append(device.type))
    latency(Child(1, 1), (torch.ones(1, 1),), warmup=1, repeats=2)
    assert events == ["cpu", "pass", "cpu"] * 3


@pytest.mark.parametrize(("settings", "name"), [({"warmup": -1}, "warmup"), ({"repeats": 0}, "repeats")])
def test_settings_out_of_range_are_named(settings, name):
    with pytest.raises(InputError, match=f"{name}: expected an integer >="):
        latency(nn.Identity(), (torch.ones(1),), **settings)
