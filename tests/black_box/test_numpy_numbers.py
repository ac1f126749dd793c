"""Integers of NumPy serve wherever Python's do."""

import json

import numpy as np
import pytest

from asng.black_box import MedianRule, MinimizeStopRule, minimize, report_step
from asng.checks import integer_at_least
from asng.errors import InputError
from asng.optim import ASNG, SNG, RandomSearch, Staged
from asng.space import Integer, Space

SPACE = Space({"x": Integer(0, 99), "y": Integer(0, 9)})


def reporting(a):
    for step in np.arange(3):
        report_step(step, np.float32(a["x"]))
    return np.int64(a["x"] + a["y"])


def test_a_search_takes_and_logs_integers_of_numpy(tmp_path):
    def search(number, **more):
        stop, rule = MinimizeStopRule(patience=number(90)), MedianRule(number(2), number(0))
        known = [({"x": number(3), "y": number(4)}, number(7))]
        return minimize(
            reporting, SPACE, number(9), seed=number(1), stop=stop, early_stop=rule, known=known, **more
        )

    plain, own = search(int, run_dir=tmp_path / "plain"), search(np.int64, run_dir=tmp_path / "own")
    assert own.history == plain.history == search(np.int32, run_dir=tmp_path / "plain", resume=True).history
    start = [
        json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[0]) for name in ("plain", "own")
    ]
    assert start[0]["budget"] == start[1]["budget"] == 9
    assert start[0]["settings"] == start[1]["settings"]


@pytest.mark.parametrize("make", [ASNG, SNG, RandomSearch, Staged])
def test_an_optimiser_takes_and_saves_integers_of_numpy(make):
    plain, own = make(SPACE, lam=4, seed=2), make(SPACE, lam=np.int64(4), seed=np.uint8(2))
    for optimizer in (plain, own):
        candidates = optimizer.ask(np.int16(4))
        optimizer.tell(candidates, np.arange(4))
    assert json.dumps(own.state_dict()) == json.dumps(plain.state_dict())


@pytest.mark.parametrize("bad", [np.bool_(True), np.float64(3.0), np.int64(2), np.arange(3), "3"])
def test_what_is_no_integer_is_refused(bad):
    with pytest.raises(InputError, match="n: expected an integer >= 3"):
        integer_at_least("n", bad, 3)
