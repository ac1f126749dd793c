"""What matters in a one-shot search: by the candidates of its steps, by its finalists, and by theta."""

import random

import pytest
from run_folders import write_lines

from asng.errors import RunError
from asng.report import write_report
from asng.report.figures.importance import THETA, importance_bars, samples_of_search
from asng.runs.history import read_log

CHOICES = {name: {"type": "categorical", "choices": ["a", "b"]} for name in ("op", "idle")}
SPACE = CHOICES | {"width": {"type": "integer", "low": 1, "high": 64, "log": True}}
UNIFORM = {"op": [0.5, 0.5], "idle": [0.5, 0.5], "width": {"mean": 2.0794415, "std": 2.0794415}}
START = {"event": "start", "space": SPACE, "objective": {"select": "maximize"}}


def measured(folder, events, higher_is_better=True):
    write_lines(folder / "log.jsonl", [START, {"event": "theta", "step": 0, "theta": UNIFORM}, *events])
    log = read_log(folder / "log.jsonl")
    return importance_bars(
        log, log.space, samples_of_search(log, log.space, higher_is_better=higher_is_better)
    )


def step(number, rng):
    """Two candidates of which b of op is better; the losses of all fall from step to step."""
    places = [[rng.randrange(2), rng.randrange(2), rng.uniform(0, 4)] for _ in range(2)]
    losses = [100.0 / number - op + rng.gauss(0, 0.1) for op, _, _ in places]
    return {"event": "step", "step": number, "losses": losses, "candidates": places}


def finalists(n, score):
    rng, rows = random.Random(0), []
    for number in range(1, n + 1):
        one = {"op": rng.choice("ab"), "idle": rng.choice("ab"), "width": rng.randint(1, 64)}
        row = {"event": "finalist", "number": number, "architecture": one, "alone": score(one)}
        rows.append(row)
    return rows


def test_candidates_count_by_their_distance_from_the_others_of_their_step(tmp_path):
    rng = random.Random(0)
    bars = measured(tmp_path, [step(n, rng) for n in range(1, 200)])
    assert list(bars) == ["scores on shared weights"]  # theta stayed where it was
    shares = bars["scores on shared weights"]
    assert shares["op"] > 0.8
    assert max(shares["idle"], shares["width"]) < 0.05


@pytest.mark.parametrize("sign", [1, -1])
def test_without_candidates_finalists_tell(sign, tmp_path):
    rows = finalists(16, lambda one: sign * (one["op"] == "b"))
    bars = measured(tmp_path, rows, higher_is_better=sign > 0)
    shares = bars["scores of finalists"]
    assert shares["op"] > 0.7 > 10 * max(shares["idle"], shares["width"])


def test_too_few_to_tell_are_said_to_be(tmp_path):
    assert measured(tmp_path, finalists(5, lambda one: float(one["op"] == "b"))) == {}
    assert "Too few architectures were compared" in write_report(tmp_path).read_text()


def test_the_path_of_theta_is_there_once_theta_moved(tmp_path):
    moved = {"event": "theta", "step": 9, "theta": UNIFORM | {"op": [1.0, 0.0]}}
    bars = measured(tmp_path, [moved])
    assert list(bars) == [THETA]
    assert bars[THETA] == pytest.approx({"op": 0.5, "idle": 0.0, "width": 0.0}, abs=1e-6)
    text = write_report(tmp_path).read_text()
    assert "What matters" in text
    assert "by path of theta" in text


def test_candidates_that_did_not_read_a_variable_say_nothing_of_its_values(tmp_path):
    rng = random.Random(1)
    rows = [step(n, rng) for n in range(1, 100)]
    for row in rows:
        row["candidates"] = [[op, None, None] for op, _, _ in row["candidates"]]
    shares = measured(tmp_path, rows)["scores on shared weights"]
    assert shares["op"] > 0.8
    assert shares["idle"] == shares["width"] == 0.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"losses": [1.0]}, "candidates at step 3: expected a loss for each, got 1 of 2"),
        ({"candidates": [[0, 0], [0, 0]]}, "expected a place for each of 3 variables, got 2"),
        ({"candidates": [[0, 7, 1], [0, 0, 1]]}, "expected the index of one of 2 choices, got 7"),
    ],
)
def test_candidates_of_another_space_are_an_error(change, said, tmp_path):
    with pytest.raises(RunError, match=said):
        measured(tmp_path, [step(3, random.Random(0)) | change])
