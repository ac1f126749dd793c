import json

import numpy as np
import pytest
from run_folders import SMALL, write_lines, write_log

from asng.errors import RunError
from asng.runs.events import Normal
from asng.runs.history import read_log


def steps(*numbers, **fields):
    return [{"event": "step", "step": n, "loss": float(n)} | fields for n in numbers]


def test_a_log_is_read_into_columns(tmp_path):
    write_log(tmp_path, steps=40, thetas=10)
    log = read_log(tmp_path / "log.jsonl")
    assert log.steps.step.tolist() == list(range(1, 41))
    assert np.isnan(log.steps.objective[:10]).all()
    assert np.isfinite(log.steps.objective[10:]).all()
    assert log.space["width"].high == 256
    assert [step for step, _ in log.theta] == list(range(4, 41, 4))
    assert isinstance(log.theta[0][1]["drop"], Normal)
    assert log.end.reason == "finished"


def test_a_missing_log_is_an_empty_log(tmp_path):
    log = read_log(tmp_path / "log.jsonl")
    assert (len(log.steps), log.theta, log.space, log.end) == (0, (), None, None)


def test_a_log_cut_at_any_byte_is_read_as_far_as_it_is_whole(tmp_path):
    path = tmp_path / "log.jsonl"
    write_lines(path, steps(1, 2, 3))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        # A line is whole with its last bracket, newline or not.
        assert len(read_log(path).steps) == whole[:length].count(b"}")


@pytest.mark.parametrize("torn", ['{"event": "st', "[" * 100_000, "\x00\x00"])
def test_a_torn_line_in_the_middle_is_an_error_with_its_number(tmp_path, torn):
    path = tmp_path / "log.jsonl"
    lines = [json.dumps(step) for step in steps(1, 2)]
    path.write_text("\n".join([lines[0], "", torn, lines[1]]))
    with pytest.raises(RunError, match=r"log\.jsonl, line 3: expected one JSON object per line"):
        read_log(path)


def test_steps_logged_again_after_a_resume_count_once(tmp_path):
    path = tmp_path / "log.jsonl"
    theta = [{"event": "theta", "step": n, "theta": {"op": [0.5, 0.5]}} for n in (2, 4)]
    end = {"event": "end", "step": 4, "reason": "interrupted"}
    again = [{"event": "resume", "step": 2}, *steps(3, 4, 5, loss=0.5), theta[1]]
    write_lines(path, [*steps(1, 2), theta[0], *steps(3, 4), theta[1], end, *again])
    log = read_log(path)
    assert log.steps.step.tolist() == [1, 2, 3, 4, 5]
    assert log.steps.loss.tolist() == [1, 2, 0.5, 0.5, 0.5]
    assert [step for step, _ in log.theta] == [2, 4]
    assert (log.resumed, log.end) == ((2,), None)


def test_numbers_that_are_not_finite_are_nan(tmp_path):
    path = tmp_path / "log.jsonl"
    huge = "1" + "0" * 400
    values = ["null", "NaN", "Infinity", "-Infinity", "1e999", huge]
    path.write_text("\n".join(f'{{"event":"step","step":{n},"loss":{v}}}' for n, v in enumerate(values)))
    assert np.isnan(read_log(path).steps.loss).tolist() == [True] * len(values)


def test_many_thetas_are_thinned_evenly_and_the_last_is_kept(tmp_path):
    path = tmp_path / "log.jsonl"
    write_lines(path, [{"event": "theta", "step": n, "theta": {"op": [0.5, 0.5]}} for n in range(1, 5001)])
    at = [step for step, _ in read_log(path).theta]
    assert len(at) <= 1026
    assert at[-1] == 5000
    assert set(np.diff(at[:-1])) == {at[1] - at[0]}


def test_unknown_events_and_fields_are_passed_over(tmp_path):
    path = tmp_path / "log.jsonl"
    write_lines(path, [{"event": "weather"}, {"note": 1}, *steps(1, wind=3)])
    assert len(read_log(path).steps) == 1


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ([1], r"line 2: expected a JSON object, got \[1\]"),
        ({"event": "step", "step": 1, "\ud800": 1}, "line 2: expected names of fields, got half of a"),
        ({"event": "step"}, "line 2: object missing required field `step`"),
        ({"event": "step", "step": 1.5}, r"line 2: expected `int`, got `float` - at `\$\.step`"),
        (
            {"event": "step", "step": 1, "loss": "low"},
            r"line 2: expected `float \| null`, got `str` - at `\$\.loss`",
        ),
        (
            {"event": "theta", "step": 1, "theta": [1]},
            r"line 2: expected `object`, got `array` - at `\$\.theta`",
        ),
        (
            {"event": "theta", "step": 1, "theta": {"op": []}},
            r"line 2: expected probabilities of 'op', or mean and std, got none",
        ),
        ({"event": "theta", "step": 1, "theta": {"op": [1, 2, 3]}}, r"'op': expected 2, got 3"),
        ({"event": "theta", "step": 1, "theta": {"drop": [1]}}, r"'drop': expected mean and std, got 1"),
        ({"event": "theta", "step": 1, "theta": {"other": [1]}}, r"no variable 'other'"),
        ({"event": "theta", "step": 1, "theta": {"o" * 999: [1]}}, r"no variable 'o{79}\.$"),
        ({"event": "theta", "step": 1, "theta": {"op": [1.5, -0.5]}}, r"expected probabilities, got \[1\.5"),
    ],
)
def test_an_event_of_another_form_is_an_error(tmp_path, event, message):
    path = tmp_path / "log.jsonl"
    write_lines(path, [{"event": "start", "space": SMALL}, event, *steps(2)])
    with pytest.raises(RunError, match=message):
        read_log(path)


@pytest.mark.parametrize("other", [[0.5, 0.25, 0.25], {"mean": 1.0, "std": 1.0}])
def test_a_theta_whose_form_changes_is_an_error_without_a_space_too(tmp_path, other):
    thetas = [{"event": "theta", "step": n, "theta": {"op": p}} for n, p in ((1, other), (2, [0.5, 0.5]))]
    write_lines(tmp_path / "log.jsonl", thetas)
    with pytest.raises(RunError, match="theta at step 1, 'op': expected 2, got"):
        read_log(tmp_path / "log.jsonl")


def test_a_space_of_another_form_is_an_error(tmp_path):
    path = tmp_path / "log.jsonl"
    write_lines(path, [{"event": "start", "space": {"op": {"type": "graph"}}}])
    with pytest.raises(RunError, match=r"log\.jsonl, space: type: expected one of"):
        read_log(path)


def finalist(shared, alone, number=1, **architecture):
    scores = {"shared": shared, "alone": alone}
    return {"event": "finalist", "number": number, "architecture": architecture} | scores


def test_finalists_are_read_and_a_score_that_is_none_is_nan(tmp_path):
    events = [
        *steps(1),
        finalist(0.5, 0.4, op="conv") | {"road": "neighbour"},
        finalist(0.6, None, 2, op="skip"),
    ]
    write_lines(tmp_path / "log.jsonl", events)
    first, second = read_log(tmp_path / "log.jsonl").finalists
    assert (first.architecture, first.shared, first.alone) == ({"op": "conv"}, 0.5, 0.4)
    assert second.alone is None
    assert (first.road, second.road) == ("neighbour", "theta")


def test_a_finalist_that_was_trained_for_longer_counts_once_as_it_was_told_last(tmp_path):
    short = [finalist(None, loss, number, op=str(number)) for number, loss in ((1, 0.4), (2, 0.5))]
    longer = [short[0] | {"longer": 0.3}]
    write_lines(tmp_path / "log.jsonl", [*steps(1), *short, *longer])
    finalists = {one.number: one for one in read_log(tmp_path / "log.jsonl").finalists}
    assert (finalists[1].alone, finalists[1].longer) == (0.4, 0.3)
    assert (finalists[2].alone, finalists[2].longer) == (0.5, None)
    assert len(finalists) == 2


def test_a_finalist_whose_road_is_no_string_is_named_by_its_line(tmp_path):
    write_lines(tmp_path / "log.jsonl", [*steps(1), finalist(0.5, 0.4, op="conv") | {"road": 3}])
    with pytest.raises(RunError, match=r"line 2: expected `str`, got `int` - at `\$\.road`"):
        read_log(tmp_path / "log.jsonl")


def test_a_finalist_without_an_architecture_is_named_by_its_line(tmp_path):
    write_lines(tmp_path / "log.jsonl", [*steps(1), {"event": "finalist", "number": 1, "shared": 0.5}])
    with pytest.raises(RunError, match="line 2: object missing required field `architecture`"):
        read_log(tmp_path / "log.jsonl")
