"""The events of a log: what is written is what is read, and what cannot be is told."""

import json
import math

import msgspec
import numpy as np
import pytest

from asng.runs.events import (
    EndEvent,
    EvaluationEvent,
    FinalistEvent,
    FinalistsEvent,
    Normal,
    ResumeEvent,
    StartEvent,
    StepEvent,
    ThetaEvent,
    event_of,
)
from asng.runs.stored import json_text

EVENTS = [
    StartEvent(kind="minimize", budget=9, settings={"noisy": False}, optimizer={"state": 2**127, "u": [0.1]}),
    StartEvent(time="now", seed=0, steps=3, space={"op": {"type": "categorical"}}, versions={"asng": "0.2"}),
    StepEvent(step=1, epoch=0, loss=0.5, objective=None, cost={"weights": 3.0}, evaluated=2, over_budget=1),
    StepEvent(step=2, evaluated=7, objective=0.25, entropy=1.0, delta=1e-300, gamma=0.0, seconds=0.125),
    ThetaEvent(step=0, theta={"op": (0.25, None), "width": Normal(1.5, 0.5)}),
    EvaluationEvent(generation=0, place=0, architecture={"op": "a"}, loss=0.1 + 0.2, seconds=1e-6),
    EvaluationEvent(
        generation=3, place=1, architecture={}, loss="-inf", seconds=0.0, active=[], error="ValueError: half"
    ),
    FinalistsEvent(step=8, compared=100, batches=4),
    FinalistEvent(
        number=1, road="uniform", architecture={"op": "b\ud800"}, shared=0.5, alone=None, seconds=2.0
    ),
    ResumeEvent(step=4),
    EndEvent(reason="finished", step=0, cost={}, most_likely={"op": 1, "r": 0.5}, seconds=1.0),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_was_written(event):
    line = json_text(event)
    assert "\n" not in line
    assert event_of(line.encode()) == event


def test_a_step_has_a_null_where_there_is_no_number_and_no_field_that_its_kind_of_run_lacks():
    line = json_text(StepEvent(step=1, loss=np.float64("nan"), objective=None, delta=np.float32(0.5)))
    assert json.loads(line) == {"event": "step", "step": 1, "loss": None, "objective": None, "delta": 0.5}


def test_theta_is_written_as_plain_values_are():
    theta = {"op": [0.25, 0.75], "width": {"mean": 1.0, "std": math.inf}}
    written = json.loads(json_text(ThetaEvent.after(3, theta)))
    assert written == {"event": "theta", "step": 3, "theta": theta | {"width": {"mean": 1.0, "std": None}}}


@pytest.mark.parametrize("line", [b'{"event": "weather"}', b'{"note": 1}', b'{"event": ["step"]}', b"{}"])
def test_an_unknown_event_is_none(line):
    assert event_of(line) is None


@pytest.mark.parametrize("number", ["-1", "9007199254740993", "1" + "0" * 400, "true", "null", '"1"'])
def test_a_step_that_is_no_number_of_one_is_refused(number):
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`.* - at `\$\.step`"):
        event_of(f'{{"event": "step", "step": {number}}}'.encode())
