"""The log of a run."""

import json
import math

import pytest

from asng.errors import RunError
from asng.runs.events import EndEvent, StepEvent
from asng.runs.folder import SEARCH_FILES, remove_run
from asng.runs.log import RunLog


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_numbers_that_json_cannot_hold_become_null(tmp_path):
    log = RunLog(tmp_path / "new" / "log.jsonl")
    deep = {"a": [math.inf, 1.5, (-math.inf,)], "n": 3, "name": "x", "none": None}
    log.write(StepEvent(step=1, loss=math.nan, objective=None))
    log.write(EndEvent(step=1, most_likely=deep))
    log.close()
    step, end = _lines(tmp_path / "new" / "log.jsonl")
    assert step == {"event": "step", "step": 1, "loss": None, "objective": None}
    deep |= {"a": [None, 1.5, [None]]}
    assert end == {"event": "end", "step": 1, "most_likely": deep}


def test_flush_tells_the_length_and_keep_cuts_there(tmp_path):
    path = tmp_path / "log.jsonl"
    log = RunLog(path, keep=0)
    log.write(StepEvent(step=1))
    keep = log.sync()
    assert keep == path.stat().st_size
    log.write(StepEvent(step=2))
    log.close()
    again = RunLog(path, keep=keep)
    again.write(StepEvent(step=3))
    assert again.sync() == path.stat().st_size
    again.close()
    assert [line["step"] for line in _lines(path)] == [1, 3]


def test_without_keep_an_old_log_is_emptied(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("old\n")
    RunLog(path, keep=0).close()
    assert path.read_bytes() == b""


def test_closing_twice_and_a_log_without_a_path_are_harmless(tmp_path):
    log = RunLog(tmp_path / "log.jsonl")
    for some in (log, log, RunLog(None)):
        some.close()
        some.write(StepEvent(step=1))
        assert some.sync() == 0
    assert (tmp_path / "log.jsonl").read_bytes() == b""


def test_a_log_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        RunLog(tmp_path / "file" / "log.jsonl")
    with pytest.raises(RunError, match="expected a plain file, got a folder"):
        RunLog(tmp_path)


def test_a_log_that_is_being_written_is_left_alone(tmp_path):
    path = tmp_path / "log.jsonl"
    log = RunLog(path, keep=0)
    log.write(StepEvent(step=1))
    keep = log.sync()
    for refused in (lambda: RunLog(path, keep=0), lambda: remove_run(tmp_path, SEARCH_FILES)):
        with pytest.raises(RunError, match="another process is writing to it"):
            refused()
    assert path.stat().st_size == keep
    log.close()
    remove_run(tmp_path, SEARCH_FILES)
    assert not path.exists()
