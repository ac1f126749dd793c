"""The two sides of benchmarks/step/step.py run the same networks, in each of its spaces."""

import random
from dataclasses import replace
from functools import partial

import pytest
import torch

from asng.supernets import ConvAutoencoder, EnasCellNetwork
from benchmarks.step.limit import Limit
from benchmarks.step.ours import Ours
from benchmarks.step.spaces import SPACES
from benchmarks.step.step import compare
from benchmarks.step.where import difference

SMALLER = {
    "cells": partial(EnasCellNetwork, in_channels=3, classes=10, image_size=32, cells=3, nodes=2, channels=4),
    "autoencoder": partial(ConvAutoencoder, in_channels=3, image_size=32, columns=5, channels=(4, 8)),
}


def small(name, **settings):
    setting = SPACES[name]
    build = SMALLER.get(name, setting.build)
    return replace(setting, build=build, batch=8, steps=3, settings={**setting.settings, **settings})


@pytest.mark.parametrize("name", SPACES)
def test_both_sides_have_the_same_losses_and_scores(name):
    # Children are extracted before the steps: both have the same weights only where no step moves them.
    setting = small(name, optimizer=partial(torch.optim.SGD, lr=0.0))
    ours, limit = Ours(setting), Limit(setting)
    ours.loop.trainer.stream.next, ours.loop.scorer.stream.next = lambda: limit.train, lambda: limit.valid
    drawn = setting.draw(ours.supernet.space, random.Random(1))
    for side in (ours, limit):
        side.ready(drawn)
    steps = [(ours.step(), limit.step()) for _ in range(setting.steps)]
    assert all(mine == other for mine, other in steps), steps
    assert len({mine for mine, _ in steps}) == setting.steps  # else the architectures would not matter


def test_the_limit_trains_by_the_settings_of_the_search():
    setting = small("mlp", optimizer=partial(torch.optim.SGD, lr=0.05))
    ours, limit = Ours(setting), Limit(setting)
    ours.loop.trainer.stream.next = lambda: limit.train
    drawn = setting.draw(ours.supernet.space, random.Random(1))
    limit.ready(drawn)
    once = limit.step()[0]  # has trained the same child once before
    ours.ready([drawn[0], drawn[1], drawn[0], drawn[1]])
    ours.step()
    assert ours.step()[0] == pytest.approx(once, rel=1e-6)


@pytest.mark.slow
def test_every_figure_is_there():
    setting = small("mlp")
    row = compare(setting, repeats=2)
    assert row["ms"].keys() == {"ours", "limit", "control"}
    assert min(times["median"] for times in row["ms"].values()) > 0.0
    assert row["ours"]["of_sums"] > 0.0
    assert 0.0 < row["ask_and_tell"] < 1.0
    operations = difference(setting)["operations_ms"]
    assert len(operations) == 8
    assert any(name.startswith("aten::") for name in operations)
