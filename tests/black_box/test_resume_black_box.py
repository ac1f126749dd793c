"""A search that was killed, at whatever moment, goes on to the same bits and pays for nothing again."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from black_boxes import GATED, MIXED, SMALL, Counted, gated, mixed, small
from hypothesis import given, settings
from hypothesis import strategies as st

from asng.black_box import MinimizeStopRule, minimize
from asng.errors import RunError
from asng.optim import ASNG, SNG
from asng.space import Space


def same(one, other):
    assert one.history == other.history
    assert (one.architecture, one.loss, one.most_likely) == (
        other.architecture,
        other.loss,
        other.most_likely,
    )
    assert (one.reason, one.evaluated, one.generations) == (
        other.reason,
        other.evaluated,
        other.generations,
    )


def events(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def without_clocks(content):
    rows = [json.loads(line) for line in content.splitlines()]
    clocks = ("time", "seconds", "at")
    return [{k: v for k, v in row.items() if k not in clocks} for row in rows]


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("at", range(30))
@pytest.mark.slow
def test_killed_at_any_call_it_goes_on(at, noisy, tmp_path):
    whole = Counted(gated)
    straight = minimize(whole, GATED, 30, seed=1, noisy=noisy)
    first, rest = Counted(gated, dies_at=at), Counted(gated)
    with pytest.raises(KeyboardInterrupt):
        minimize(first, GATED, 30, seed=1, noisy=noisy, run_dir=tmp_path)
    resumed = minimize(rest, GATED, 30, seed=1, noisy=noisy, run_dir=tmp_path, resume=True)
    same(resumed, straight)
    assert first.calls + rest.calls == whole.calls


@settings(max_examples=15)
@given(st.floats(0, 1))
@pytest.mark.slow
def test_a_log_cut_at_any_byte_is_gone_on_with(share):
    straight = minimize(gated, GATED, 30)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        minimize(gated, GATED, 30, run_dir=folder)
        log = folder / "log.jsonl"
        content = log.read_bytes()
        kept = content[: int(share * len(content))]
        log.write_bytes(kept)
        rest = Counted(gated)
        before = without_clocks(content)
        same(minimize(rest, GATED, 30, run_dir=folder, resume=True), straight)
        assert without_clocks(log.read_bytes()) == before
    assert len(rest.calls) == 30 - kept[: kept.rfind(b"\n") + 1].count(b'"evaluation"')


def test_a_finished_search_is_the_same_again_without_a_call(tmp_path):
    first = minimize(small, SMALL, 20, run_dir=tmp_path)
    f = Counted(small)
    same(minimize(f, SMALL, 20, run_dir=tmp_path, resume=True), first)
    assert f.calls == []


@pytest.mark.parametrize("budget", [8, 11, 16])
def test_a_larger_budget_goes_on_as_if_it_had_been_given_at_once(budget, tmp_path):
    minimize(mixed, MIXED, budget, run_dir=tmp_path)
    f = Counted(mixed)
    same(minimize(f, MIXED, 50, run_dir=tmp_path, resume=True), minimize(mixed, MIXED, 50))
    assert len(f.calls) == 50 - budget


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_budget_below_the_calls_made_is_refused_and_nothing_is_written(asynchronous, tmp_path):
    flags = {"run_dir": tmp_path, "asynchronous": asynchronous}
    minimize(mixed, MIXED, 20, **flags)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    match = r"budget: expected at least 20, .*calls of f .*, got 9\. Pass budget=20"
    with pytest.raises(RunError, match=match):
        minimize(mixed, MIXED, 9, resume=True, **flags)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    same(
        minimize(mixed, MIXED, 20, resume=True, **flags),
        minimize(mixed, MIXED, 20, asynchronous=asynchronous),
    )


STRICTER = [{"target": 3.0}, {"patience": 1}, {"entropy": 1.0}, {"seconds": 1e-9}]


@pytest.mark.parametrize("rule", STRICTER)
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("killed", [None, 17])
def test_a_stricter_stop_rule_ends_a_resumed_search_but_drops_nothing(rule, asynchronous, killed, tmp_path):
    flags = {"run_dir": tmp_path, "asynchronous": asynchronous}
    try:
        minimize(Counted(mixed, dies_at=killed), MIXED, 30, **flags)
    except KeyboardInterrupt:
        assert killed
    losses = [event["loss"] for event in events(tmp_path) if event["event"] == "evaluation"]
    result = minimize(mixed, MIXED, 30, stop=MinimizeStopRule(**rule), resume=True, **flags)
    assert [one.loss for one in result.history if not one.cached][: len(losses)] == losses
    assert result.loss <= min(losses)
    assert json.loads((tmp_path / "architecture.json").read_text()) == dict(result.architecture)
    if killed is None:
        assert result.evaluated == 30


def test_an_optimiser_of_ones_own_begins_where_it_began(tmp_path):
    opt = SNG(SMALL, seed=4)
    straight = minimize(small, SMALL, 30, optimizer=SNG(SMALL, seed=4))
    minimize(small, SMALL, 12, optimizer=opt, run_dir=tmp_path)
    same(minimize(small, SMALL, 30, optimizer=opt, run_dir=tmp_path, resume=True), straight)


def test_callbacks_are_not_told_again(tmp_path):
    seen = []
    minimize(mixed, MIXED, 24, run_dir=tmp_path, callbacks=[lambda p: seen.append(p.generation)])
    flags = {"run_dir": tmp_path, "resume": True, "callbacks": [lambda p: seen.append(p.generation)]}
    minimize(mixed, MIXED, 40, **flags)
    assert seen == list(range(1, 18))
    steps = [event["step"] for event in events(tmp_path) if event["event"] == "step"]
    assert steps == list(range(1, 18))


def test_failures_that_rank_worst_are_remembered_too(tmp_path):
    def f(a):
        if a["op"] == "b":
            raise ValueError("no b here")
        return small(a)

    straight = minimize(f, SMALL, 30, on_error="worst")
    minimize(f, SMALL, 14, on_error="worst", run_dir=tmp_path)
    again = minimize(f, SMALL, 30, on_error="worst", run_dir=tmp_path, resume=True)
    assert [(one.architecture, one.error) for one in again.history] == [
        (one.architecture, one.error) for one in straight.history
    ]
    assert again.architecture == straight.architecture


SCRIPT = """
import sys, time
from black_boxes import MIXED, mixed
from asng.black_box import MinimizeStopRule, minimize

def slow(a):
    time.sleep(0.02)
    return mixed(a)

minimize(slow, MIXED, 10_000, seed=2, run_dir=sys.argv[1])
"""


def test_killed_by_the_system_it_goes_on(tmp_path):
    home = str(Path(__file__).parent)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([home, os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], env=env)
    log = tmp_path / "log.jsonl"
    try:
        while not log.exists() or log.read_bytes().count(b"\n") < 15:
            assert process.poll() is None
            time.sleep(0.01)
        for flag in ("resume", "overwrite"):
            with pytest.raises(RunError, match="another process is writing"):
                minimize(mixed, MIXED, 60, seed=2, run_dir=tmp_path, **{flag: True})
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    f = Counted(mixed)
    same(minimize(f, MIXED, 80, seed=2, run_dir=tmp_path, resume=True), minimize(mixed, MIXED, 80, seed=2))
    assert 0 < len(f.calls) < 80


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"seed": 9}, "other settings or another seed"),
        ({"optimizer": ASNG(SMALL, lam=4)}, "other settings or another seed"),
        ({"noisy": True}, "with noisy=True, got one with noisy=False. Resume it with the same"),
        ({"objectives": ["a", "b"]}, r"objectives=\['a', 'b'\], got one with objectives=\[\]\. Resume"),
        ({"activity": False}, "expected a search with activity=False"),
    ],
)
def test_another_search_is_not_gone_on_with(flags, message, tmp_path):
    minimize(small, SMALL, 10, run_dir=tmp_path)
    before = (tmp_path / "log.jsonl").read_bytes()
    with pytest.raises(RunError, match=message):
        minimize(small, SMALL, 20, run_dir=tmp_path, resume=True, **flags)
    assert (tmp_path / "log.jsonl").read_bytes() == before


def test_a_log_that_is_not_of_this_search_is_named(tmp_path):
    minimize(small, SMALL, 10, run_dir=tmp_path)
    with pytest.raises(RunError, match="expected a run over the same space"):
        minimize(mixed, MIXED, 20, run_dir=tmp_path, resume=True)
    turned = Space(dict(reversed(list(SMALL.items()))))
    with pytest.raises(RunError, match="expected a run over the same space, its variables in the same order"):
        minimize(small, turned, 20, run_dir=tmp_path, resume=True)
    log = tmp_path / "log.jsonl"
    good = log.read_text()
    for wrong, message in [
        (good.replace('"op": "a"', '"op": "c"'), "another version"),
        (good.replace('"op": "a"', '"op": "z"'), "expected an event of a search"),
        (good.replace("minimize", "maximize"), "one of another kind"),
        (good.replace('"event": "start"', '"event": "begin"'), "expected the start of a run"),
        (good.replace("\n", "\nnonsense\n", 1), "line 2: expected a JSON object"),
    ]:
        log.write_text(wrong)
        with pytest.raises(RunError, match=message):
            minimize(small, SMALL, 20, run_dir=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"loss": ', '"loss": 1' + "0" * 400 + ', "old": '),
        ('"seconds": ', '"seconds": 1' + "0" * 400 + ', "old": '),
        ('"event": "step", "step": ', '"event": "step", "step": "x", "old": '),
        ('"event": "step", "step": ', '"event": "step", "step": [1], "old": '),
        ('"generation": ', '"generation": [], "old": '),
        ('"active": ["', '"active": ["nosuch", "'),
        ('"active": ["', '"active": ["op", "op", "'),
        ('"settings": ', '"settings": [], "old": '),
        ('"settings": ', '"sets": '),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_line(old, new, tmp_path):
    minimize(small, SMALL, 20, run_dir=tmp_path)
    path = tmp_path / "log.jsonl"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(RunError, match=r"log\.jsonl, line \d+: expected "):
        minimize(small, SMALL, 30, run_dir=tmp_path, resume=True)
