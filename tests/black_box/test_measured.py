"""What f returns beside a loss, and what it reports on its way."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import numpy as np
import pytest
from black_boxes import MIXED, SMALL, Counted, mixed, small
from hypothesis import given
from hypothesis import strategies as st
from test_resume_black_box import same

from asng.black_box import Measured, MedianRule, MinimizeError, MinimizeStopRule, minimize, report_step
from asng.black_box.measured import rank_value
from asng.black_box.reporting import Curves
from asng.errors import InputError, RunError
from asng.report import read_run
from asng.space import Integer, Real, Space

LINE = Space({"x": Real(0.0, 10.0), "k": Integer(0, 9)})


def bounded(a):
    """Least at x = 8, but only x up to 3 is allowed."""
    return Measured(abs(a["x"] - 8) + a["k"] / 100, constraints={"x": a["x"] / 3 - 1, "k": -1.0})


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12), st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_feasible_ones_come_first_and_then_who_violates_less(one, other, little, much):
    assert rank_value(one, {"a": -1.0, "b": 0.0}) == one
    assert rank_value(one, {"a": little}) > max(one, other)
    if much > little * (1 + 1e-6) and little < 1e5:
        assert rank_value(one, {"a": much}) > rank_value(other, {"a": little})
    assert rank_value(one, {"a": math.nan}) >= rank_value(one, {"a": much})
    assert math.isnan(rank_value(math.nan, {"a": 1.0}))


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.slow
def test_the_best_keeps_its_constraints(asynchronous, tmp_path):
    result = minimize(bounded, LINE, 200, asynchronous=asynchronous, run_dir=tmp_path)
    assert 2.5 < result.architecture["x"] <= 3.0
    broken = [one for one in result.history if not one.feasible]
    assert broken
    assert min(one.loss for one in broken) < result.loss
    assert all(one.constraints["x"] > 0 for one in broken)
    calls = read_run(tmp_path).log.calls
    assert calls.best[0].architecture == dict(result.architecture)
    f = Counted(bounded)
    same(minimize(f, LINE, 200, asynchronous=asynchronous, run_dir=tmp_path, resume=True), result)
    assert f.calls == []


def test_where_nothing_is_feasible_the_least_violation_is_the_best():
    def f(a):
        return Measured(-a["x"], constraints={"x": a["x"] + 1.0})

    result = minimize(f, LINE, 100, stop=MinimizeStopRule(target=5.0))
    assert result.reason == "budget"
    assert result.architecture["x"] == min(one.architecture["x"] for one in result.history)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda: Measured("1"), "expected a number as the loss, got '1'"),
        (lambda: Measured(1.0, constraints={"x": None}), "expected a number as the loss, got None"),
        (lambda: Measured(1.0, constraints={3: 1.0}), "expected names that are strings, got 3"),
        (lambda: Measured(1.0, constraints={"x": 3 < 4}), "'x': expected a number, at most 0 .* got True"),
        (lambda: Measured(1.0, constraints={"x": np.bool_(False)}), "'x': expected a number, .* got False"),
        (lambda: np.array([1.0, 2.0]), r"expected a number as the loss, got array\(\[1., 2.\]\). Return"),
        (lambda: Decimal("sNaN"), "expected a number as the loss, got Decimal"),
        (lambda: Measured(1.0, constraints={"x": 10**400}), "expected a number as the loss, got an integer"),
    ],
)
def test_what_is_no_measurement_fails_the_call(value, message):
    with pytest.raises(MinimizeError, match=message):
        minimize(lambda a: value(), SMALL, 5)


def learning(a):
    """Comes down to its loss in ten steps, from a start that says little."""
    for epoch in range(10):
        report_step(epoch, mixed(a) + (9 - epoch) * 0.3)
    return mixed(a)


def test_calls_without_a_prospect_end_early_and_the_others_do_not(tmp_path):
    result = minimize(learning, MIXED, 120, early_stop=MedianRule(calls=4, steps=2), run_dir=tmp_path)
    stopped = [one for one in result.history if one.stopped and not one.cached]
    assert 10 < len(stopped) < 110
    assert all(2 <= one.curve[-1][0] < 10 and one.loss == one.curve[-1][1] for one in stopped)
    assert all(len(one.curve) == 10 for one in result.history if not one.stopped)
    assert sum(len(one.curve) for one in result.history) < 0.95 * 10 * len(result.history)
    assert result.loss == min(one.loss for one in result.history if not one.stopped)
    f = Counted(learning)
    flags = {"run_dir": tmp_path, "resume": True}
    same(minimize(f, MIXED, 120, early_stop=MedianRule(calls=4, steps=2), **flags), result)
    assert f.calls == []
    with pytest.raises(RunError, match=r"expected a search with early_stop=\[\]"):
        minimize(learning, MIXED, 120, **flags)


@pytest.mark.parametrize("workers", [2, 5])
def test_which_calls_end_early_does_not_depend_on_the_number_of_workers(workers):
    with ThreadPoolExecutor(workers) as threads:
        beside = minimize(learning, MIXED, 60, early_stop=MedianRule(), workers=threads)
    assert beside.history == minimize(learning, MIXED, 60, early_stop=MedianRule()).history


def test_processes_and_asynchronous_searches_end_calls_early_too(tmp_path):
    flags = {"early_stop": MedianRule(calls=2), "asynchronous": True, "run_dir": tmp_path}
    result = minimize(learning, MIXED, 30, workers=2, **flags)
    assert any(one.stopped for one in result.history)
    same(minimize(learning, MIXED, 30, workers=2, resume=True, **flags), result)


@given(st.lists(st.lists(st.floats(-5, 5), min_size=1, max_size=6), min_size=1, max_size=8))
def test_limits_are_medians_of_the_best_so_far(values):
    curves = Curves(MedianRule(calls=2, steps=1))
    for curve in values:
        curves.add(tuple(enumerate(curve)))
    for step, limit in curves.limits().items():
        best = sorted(min(curve[: step + 1]) for curve in values if len(curve) > step)
        assert len(best) >= 2
        assert step >= 1
        assert limit == pytest.approx((best[(len(best) - 1) // 2] + best[len(best) // 2]) / 2)


def test_without_a_rule_reports_are_kept_and_end_nothing(tmp_path):
    result = minimize(learning, MIXED, 10, run_dir=tmp_path)
    assert all(len(one.curve) == 10 and not one.stopped for one in result.history)
    event = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[1])
    assert len(event["curve"]) == 10
    report_step(3, 1.0)  # outside a call nothing comes of it


@pytest.mark.parametrize(
    ("steps", "message"), [((0, 0), "expected a step after 0, got 0"), ((-1,), "step: expected")]
)
def test_steps_rise(steps, message):
    def f(a):
        for step in steps:
            report_step(step, 1.0)
        return small(a)

    with pytest.raises(MinimizeError, match=message):
        minimize(f, SMALL, 5)


@pytest.mark.parametrize("rule", [{"calls": 0}, {"steps": -1}])
def test_unfit_rules_are_refused(rule):
    with pytest.raises(InputError, match="expected an integer >= "):
        MedianRule(**rule)
    with pytest.raises(InputError, match=r"early_stop: expected an asng.black_box.MedianRule, got True"):
        minimize(small, SMALL, 5, early_stop=True)
