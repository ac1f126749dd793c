"""When checkpoints are written."""

import pytest
from problems import fit, searcher

from asng.errors import InputError
from asng.runs import checkpoint as pace_module
from asng.runs.checkpoint import CheckpointPace
from asng.search import loop as loop_module


class Clock:
    def __init__(self):
        self.now = 1000.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(pace_module, "time", clock)
    return clock


def test_by_time(clock):
    pace = CheckpointPace(60.0, None)
    assert not pace.due()
    clock.now += 61.0
    assert pace.due()
    pace.saved(took=0.2)
    assert not pace.due()


@pytest.mark.parametrize(("took", "interval"), [(0.1, 60.0), (1.2, 60.0), (1.3, 65.0), (30.0, 1500.0)])
def test_slow_ones_come_less_often(took, interval, clock):
    pace = CheckpointPace(60.0, None)
    pace.saved(took=took)
    assert pace.interval == interval
    clock.now += interval - 0.5
    assert not pace.due()
    clock.now += 1.0
    assert pace.due()


def test_where_every_step_is_asked_for_every_step_is_given(clock):
    pace = CheckpointPace(0.0, None)
    pace.saved(took=100.0)
    clock.now += 1e-6
    assert pace.due()


@pytest.fixture
def saved(monkeypatch):
    """The steps at which a search of 24 steps writes checkpoints."""
    steps = []
    monkeypatch.setattr(loop_module, "save_checkpoint", lambda path, state, keep: steps.append(state["step"]))
    return steps


def test_by_steps(saved, tmp_path):
    fit(searcher(checkpoint_steps=7), run_dir=tmp_path)
    assert saved == [0, 7, 14, 21, 24]


def test_by_default_a_short_search_has_two(saved, tmp_path):
    fit(searcher(), run_dir=tmp_path)
    assert saved == [0, 24]


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "7"])
def test_a_number_of_steps_that_is_none_is_an_error(steps):
    with pytest.raises(InputError, match="checkpoint_steps: expected an integer"):
        searcher(checkpoint_steps=steps)
