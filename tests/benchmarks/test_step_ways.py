"""benchmarks/step/step_ways.py takes the same steps in each way, and times all of them."""

import math
import random
from dataclasses import replace

import pytest
import torch

from benchmarks.step.ours import Ours
from benchmarks.step.spaces import SPACES
from benchmarks.step.step_ways import FIRST, WAYS, compare, compiled

SMALL = replace(SPACES["mlp"], batch=8, steps=3)


def losses(way):
    """What three steps of one way give, on the batches and architectures of all."""
    ours = Ours(way.change(SMALL))
    way.prepare(ours)
    with way.around():
        ours.ready(SMALL.draw(ours.supernet.space, random.Random(1)))
        return [ours.step() for _ in range(SMALL.steps)]


@pytest.mark.parametrize("name", [name for name in WAYS if name != FIRST])
def test_each_way_takes_the_same_steps_within_its_precision(name):
    exact, other = losses(WAYS[FIRST]), losses(WAYS[name])
    tolerance = 0.05 if name == "bfloat16" else 1e-4
    for one, same in zip(exact, other, strict=True):
        assert torch.allclose(torch.tensor(same), torch.tensor(one), rtol=tolerance, atol=tolerance)
    assert name != "bfloat16" or exact != other  # it does compute in lower precision


def test_the_threads_are_as_before():
    before = torch.get_num_threads()
    with WAYS["two threads"].around():
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def test_all_ways_are_timed_beside_the_first():
    row = compare(SMALL, WAYS, repeats=2)
    assert list(row) == list(WAYS)
    assert row[FIRST]["ms"]["median"] > 0.0
    # Two threads that share a busy core may wait for each other as long as they like.
    bounds = {name: math.inf if name == "two threads" else 100.0 for name in WAYS if name != FIRST}
    assert all(0.0 < row[name]["median"] < bound for name, bound in bounds.items())


def test_a_compiled_operation_is_timed_beside_itself(monkeypatch):
    made = []
    monkeypatch.setattr(torch, "compile", lambda module: made.append(module) or module)
    row = compiled(1, batch=2, channels=4, side=8)
    assert len(made) == 1
    assert set(row["first_pass_seconds"]) == {"eager", "compiled"}
    assert row["ratio"]["median"] > 0.0
