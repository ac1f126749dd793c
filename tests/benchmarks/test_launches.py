"""How often a step waits for the device, and what benchmarks/step/launches.py counts of it."""

import random
from dataclasses import replace

import pytest
import torch
from torch import nn

from benchmarks.step.counting import Counted, LimitOnDevice, OnDevice, answered, on_meta
from benchmarks.step.launches import counted, layers, step_ms
from benchmarks.step.ours import Ours
from benchmarks.step.spaces import SPACES


def on_device(steps=2, **settings):
    return OnDevice.of(SPACES["mlp"], steps=steps, batch=4, settings={**SPACES["mlp"].settings, **settings})


@pytest.mark.parametrize(("lam_x", "lam_theta"), [(1, 2), (3, 4)])
def test_a_step_asks_the_device_for_numbers_twice(lam_x, lam_theta):
    setting = on_device(steps=1, lam_x=lam_x, lam_theta=lam_theta)
    ours = Ours(setting)
    ours.ready(setting.draw(ours.supernet.space, random.Random(0)))
    with on_meta(), Counted() as seen:
        ours.step()
    assert seen.asked == 2  # once for losses and the norm of the gradient, once for scores
    assert seen.sent == 4  # inputs and targets of two batches


def test_kernels_questions_and_copies_are_told_apart():
    net, x = nn.Linear(3, 2, device="meta"), torch.ones(4, 3)
    with Counted() as seen:
        output = net(x.to("meta"))
        output.reshape(-1)[:3].detach()
        assert output.sum().item() == 1.0
        assert output.cpu().shape == (4, 2)
    assert dict(seen.launched) == {"addmm": 1, "sum": 1}
    assert (seen.asked, seen.sent) == (2, 1)


def test_without_gradients_the_same_kernels_are_counted_in_either_mode():
    net, counts = nn.Linear(3, 2, device="meta"), []
    for without in (torch.no_grad, torch.inference_mode):
        with without(), Counted() as seen:
            net(torch.ones(2, 4, 3, device="meta")).mean().item()
        counts.append((dict(seen.launched), seen.asked))
    assert counts[0] == counts[1]


def test_many_weights_are_updated_by_few_operations_as_on_a_gpu():
    setting = on_device()
    with on_meta():
        limit = LimitOnDevice(setting)
        with answered():
            limit.ready(setting.draw(limit.supernet.space, random.Random(0)))
        with Counted() as seen:
            limit.step()
    assert seen.launched["_foreach_add_"] >= 1
    assert seen.launched["mul_"] == 0


@pytest.mark.slow
def test_every_figure_is_there():
    with on_meta():
        row = counted(on_device(), turns=2)
    assert row["launches"]["ours"] > row["launches"]["limit"] > 10
    assert row["launches"]["ratio"] < 2.0
    assert row["asked"] == {"ours": 2.0, "limit": 3.0}
    layer = layers(SPACES["mlp"], architectures=2, turns=3)
    assert layer["run"]["median"] > 3
    assert step_ms(replace(SPACES["mlp"], batch=4, steps=2), repeats=2)["ratio"]["median"] > 0.5
