"""benchmarks/step/ranks_path.py: what is dealt out, and what is noted between exchanges."""

import time

import numpy as np
import pytest
import torch.distributed as dist

from benchmarks.step.ranks_path import dealing, longest, parts


@pytest.mark.parametrize(
    ("lengths", "told", "taken"),
    [
        ([3, 1, 1, 1], None, 4),
        ([3, 1, 1, 1], [3, 1, 1, 1], 3),
        ([3, 3, 1, 1], [3, 3, 1, 1], 4),
        ([1, 1, 3, 3], [9, 8, 1, 1], 4),  # told the wrong way round
    ],
)
def test_the_longest_of_two_processes(lengths, told, taken):
    told = None if told is None else np.array(told, dtype=float)
    assert longest(np.array(lengths, dtype=float), told, 2) == taken


def test_of_two_architectures_on_two_processes_nothing_can_be_chosen():
    seconds = np.array([1.0, 2.0, 3.0])
    known = dict.fromkeys(("trained", "scored", "counted", "estimated"), seconds)
    first, four, _ = dealing(known)
    assert first["in_turns"] == first["by_length"] == first["by_multiply_adds"] < 2.0
    assert four["by_length"] > four["in_turns"]


def test_the_seconds_between_exchanges_are_noted(monkeypatch):
    monkeypatch.setattr(dist, "all_reduce", lambda tensor: tensor)
    with parts() as found:
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass
        assert dist.all_reduce(3) == 3
    assert len(found) == 2
    assert found[0] >= 0.02 > found[1]
    assert dist.all_reduce.__name__ == "<lambda>"
