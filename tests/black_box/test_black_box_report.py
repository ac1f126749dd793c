"""The page and the table of a run of asng.minimize: from its folder alone, finished or not."""

import io
import json
import math
import random
import re

import pytest
from black_boxes import MIXED, SMALL, Counted, mixed
from rich.console import Console

from asng.black_box import Measured, minimize
from asng.black_box.report import MINIMIZE
from asng.cli import main
from asng.errors import RunError
from asng.report import read_run, summary_table, write_report
from asng.report.words import score


def table(folder):
    console = Console(file=io.StringIO(), width=200)
    console.print(summary_table(folder, kinds=[MINIMIZE]))
    return console.file.getvalue()


def test_the_page_tells_what_was_found(tmp_path):
    result = minimize(mixed, MIXED, 40, run_dir=tmp_path / "run")
    text = result.report().read_text()
    calls = read_run(tmp_path / "run").log.calls
    assert calls.losses.tolist() == [one.loss for one in result.history]
    assert calls.best[0].architecture == dict(result.architecture)
    ranked = sorted(enumerate(calls.losses.tolist(), start=1), key=lambda call: call[1])
    assert [(call.number, call.loss) for call in calls.best] == ranked[:10]
    assert text.count("<svg") == 3 + len(MIXED)  # losses, importance, entropy, and each theta
    assert "the budget was spent" in text
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert write_report(tmp_path / "run", kinds=[MINIMIZE]).read_text() == text


def test_the_budget_is_the_one_that_was_given_last(tmp_path):
    minimize(mixed, MIXED, 12, run_dir=tmp_path)
    assert read_run(tmp_path).log.budget == 12
    minimize(mixed, MIXED, 37, run_dir=tmp_path, resume=True)
    assert read_run(tmp_path).log.budget == 37
    assert ">37<" in write_report(tmp_path, kinds=[MINIMIZE]).read_text()


def test_the_page_of_a_long_run_stays_small(tmp_path):
    rows = [{"event": "start", "kind": "minimize", "space": json.loads(SMALL.to_json())}]
    architecture = dict(SMALL.sample(random.Random(0)))
    for n in range(30_000):
        loss = "nan" if n % 3 == 0 else 1 / (1 + n // 3)
        row = {"event": "evaluation", "generation": n, "place": 0, "loss": loss, "seconds": 0.0}
        rows.append(row | {"architecture": architecture})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_report(tmp_path, kinds=[MINIMIZE])
    assert page.stat().st_size < 1_500_000
    assert "found by call 29,999 of 30,000" in page.read_text()


def test_the_table_has_the_best_first(tmp_path):
    result = minimize(mixed, MIXED, 40, run_dir=tmp_path)
    rows = table(tmp_path)
    assert f"The lowest loss is {result.loss:.3g}, found by call" in rows
    losses = [float(found) for found in re.findall(r"^│\s+([\d.e-]+) │", rows, flags=re.MULTILINE)]
    assert losses == sorted(losses)
    assert len(losses) == 10


@pytest.mark.parametrize("at", [0, 3, 20])
def test_a_run_that_was_killed_has_a_page(at, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        minimize(Counted(mixed, dies_at=at), MIXED, 40, run_dir=tmp_path)
    text = write_report(tmp_path, kinds=[MINIMIZE]).read_text()
    assert "not ended" in text or "No call has a finite loss" in text
    assert len(read_run(tmp_path).log.calls) == at


def test_losses_that_are_not_finite_are_drawn_at_the_edge(tmp_path):
    minimize(lambda a: float("nan"), SMALL, 8, run_dir=tmp_path)
    assert "No call has a finite loss yet" in write_report(tmp_path, kinds=[MINIMIZE]).read_text()
    assert "No call has a finite loss yet" in table(tmp_path)


def test_the_front_of_a_long_run_is_that_of_all_its_calls(tmp_path):
    rows = [{"event": "start", "kind": "minimize", "space": json.loads(SMALL.to_json())}]
    architecture, rng = dict(SMALL.sample(random.Random(0))), random.Random(1)
    for n in range(5_000):  # of so many, the reader keeps no more than every fourth
        losses = {"u": 0.25, "v": 0.5} if n == 1 else {"u": 1 + rng.random(), "v": 1 + rng.random()}
        row = {"event": "evaluation", "generation": n, "place": 0, "loss": sum(losses.values())}
        rows.append(row | {"losses": losses, "seconds": 0.0, "architecture": architecture})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = write_report(tmp_path, kinds=[MINIMIZE]).read_text()
    assert re.findall(r"u [\d.]+, v [\d.]+", text) == ["u 0.25, v 0.5"]


def test_with_several_objectives_the_report_does_not_call_the_least_sum_the_best(tmp_path):
    def f(a):
        return {"share": 0.1 * a["k"], "bytes": 1e6 - 1e5 * a["k"]}

    minimize(f, SMALL, 9, objectives=["share", "bytes"], run_dir=tmp_path)
    text = write_report(tmp_path, kinds=[MINIMIZE]).read_text()
    assert "lowest sum of the 2 losses" in text
    assert "least sum of losses, scaled to the front" in text
    assert "lowest loss" not in text
    assert not re.search(r'class="strong"><td>\d', text)


def test_losses_that_were_known_are_said_to_be_left_out(tmp_path):
    best = dict(SMALL.sample(random.Random(0)))
    minimize(lambda a: 1.0, SMALL, 3, known=[(best, 0.0)], run_dir=tmp_path)
    assert "Losses that were known before are left out." in " ".join(table(tmp_path).split())


def breaking(a):
    if a["k"] == 1:
        return Measured(math.nan, constraints={"size": 0.1})
    return Measured(100.0 - a["k"], constraints={"size": 1.0 + a["k"], "time": -3.0})


@pytest.mark.parametrize("objectives", [(), ("one", "two")])
def test_where_no_call_keeps_its_constraints_the_closest_is_shown(objectives, tmp_path):
    def f(a):
        found = breaking(a)
        parts = dict.fromkeys(objectives, found.loss)
        return Measured(parts or found.loss, constraints=found.constraints)

    result = minimize(f, SMALL, 9, objectives=objectives, run_dir=tmp_path)
    closest = read_run(tmp_path).log.calls.closest
    assert closest.architecture == dict(result.architecture)
    said = f"by {score(1.0 + result.architecture['k'])} in all, with a loss of {score(result.loss)}"
    said = f"kept all constraints; call {closest.number} of {result.evaluated} breaks them least, {said}"
    for text in (table(tmp_path), write_report(tmp_path, kinds=[MINIMIZE]).read_text()):
        assert said in " ".join(text.split())
        assert "No call has a finite loss yet" not in text
        assert text.count(score(result.loss)) >= 2  # in the table, too


def test_a_damaged_call_is_named(tmp_path):
    minimize(mixed, MIXED, 8, run_dir=tmp_path)
    log = tmp_path / "log.jsonl"
    log.write_text(
        log.read_text()
        + json.dumps({"event": "evaluation", "generation": 9, "place": 0, "architecture": [1]})
        + "\n\n"
    )
    with pytest.raises(
        RunError, match=r"log\.jsonl, line .*: expected `object`, got `array` - at `\$\.architecture`"
    ):
        write_report(tmp_path, kinds=[MINIMIZE])


def test_asng_report_knows_the_folder(tmp_path, capsys):
    minimize(mixed, MIXED, 16, run_dir=tmp_path / "run")
    assert main(["report", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "The lowest loss is" in out
    assert "report.html" in out
