"""Calls told as they come back: nobody waits, and the log repeats the search to the bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from black_boxes import GATED, MIXED, SMALL, Counted, deadly, gated, mixed, small
from test_cache import SPACE, Tree
from test_resume_black_box import same

from asng.black_box import MinimizeError, MinimizeStopRule, minimize
from asng.errors import InputError, RunError
from asng.optim import ASNG, SNG, RandomSearch


class Uneven:
    """A function whose calls take log-normal times, without computing anything meanwhile."""

    def __init__(self, f, seconds=0.001, sigma=1.0):
        self.f, self.seconds, self.sigma, self.rng = f, seconds, sigma, random.Random(0)

    def __call__(self, a):
        time.sleep(self.seconds * self.rng.lognormvariate(0.0, self.sigma))
        return self.f(a)


def run(f, space, budget, *, threads=8, **flags):
    with ThreadPoolExecutor(threads) as workers:
        return minimize(f, space, budget, workers=workers, asynchronous=True, **flags)


def events(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("f", "space", "budget"), [(mixed, MIXED, 60), (gated, GATED, 60), (small, SMALL, 18)]
)
def test_the_log_repeats_it_to_the_bit_without_a_call(f, space, budget, tmp_path):
    first = run(Uneven(f), space, budget, run_dir=tmp_path)
    again = Counted(f)
    for threads in (8, 3):
        same(run(again, space, budget, threads=threads, run_dir=tmp_path, resume=True), first)
    assert again.calls == []
    assert first.evaluated == sum(event["event"] == "evaluation" for event in events(tmp_path))


@pytest.mark.parametrize(
    "make", [lambda s: SNG(s, lam=4), lambda s: RandomSearch(s), lambda s: ASNG.paper(s)]
)
def test_every_optimiser_can_be_asked_asynchronously(make, tmp_path):
    first = run(Uneven(mixed), MIXED, 40, optimizer=make(MIXED), run_dir=tmp_path)
    assert first.evaluated == 40
    same(run(mixed, MIXED, 40, optimizer=make(MIXED), run_dir=tmp_path, resume=True), first)


@pytest.mark.parametrize("at", [0, 1, 7, 20, 39])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.slow
def test_stopped_at_any_call_it_goes_on_with_what_came_back(at, error, tmp_path):
    with pytest.raises((KeyboardInterrupt, MinimizeError)) as raised:
        minimize(Counted(gated, dies_at=at, error=error()), GATED, 40, asynchronous=True, run_dir=tmp_path)
    assert (raised.value.result.evaluated if at else 0) == at
    rest = Counted(gated)
    result = minimize(rest, GATED, 40, asynchronous=True, run_dir=tmp_path, resume=True)
    assert len(rest.calls) == 40 - at
    same(result, minimize(gated, GATED, 40, asynchronous=True))


@pytest.mark.parametrize("budget", [5, 33])
def test_a_larger_budget_goes_on(budget, tmp_path):
    first = run(Uneven(mixed), MIXED, budget, run_dir=tmp_path)
    f = Counted(mixed)
    result = run(f, MIXED, 45, run_dir=tmp_path, resume=True)
    assert len(f.calls) == 45 - budget
    assert [one.architecture for one in result.history[:budget]] == [
        one.architecture for one in first.history
    ]
    same(run(f, MIXED, 45, run_dir=tmp_path, resume=True), result)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
def test_what_was_read_is_never_paid_for_twice_once_something_was_left_unread(seed):
    f = Tree(seed)
    result = run(Uneven(f, 0.0005), SPACE, 60, seed=seed)
    assert len(f.read) == result.evaluated <= 60
    assert len(f.read) - len(set(f.read)) <= 7  # of the first eight
    for one in result.history:
        assert one.loss == Tree(seed)(one.architecture)


def test_workers_are_busy_where_durations_are_log_normal():
    f = Uneven(mixed, 0.02)
    result = run(f, MIXED, 200, optimizer=ASNG(MIXED))  # a model takes as long as such calls
    busy = sum(one.seconds for one in result.history if not one.cached) / (8 * result.seconds)
    assert busy >= 0.75


@pytest.mark.slow
def test_it_searches_much_better_than_at_random():
    """Medians of 7 seeds after 160 calls."""
    losses = sorted(run(Uneven(mixed, 0.0002), MIXED, 160, seed=seed).loss for seed in range(7))
    chance = [minimize(mixed, MIXED, 160, optimizer=RandomSearch(MIXED, seed=seed)).loss for seed in range(7)]
    assert losses[3] < 0.5 * sorted(chance)[3]


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (MinimizeStopRule(target=0.5), "target"),
        (MinimizeStopRule(patience=20), "patience"),
        (MinimizeStopRule(seconds=0.05), "seconds"),
    ],
)
def test_stop_rules_end_it_and_its_log_ends_it_again(stop, reason, tmp_path):
    first = run(Uneven(mixed), MIXED, 5_000, stop=stop, run_dir=tmp_path)
    assert first.reason == reason
    f = Counted(mixed)
    again = run(f, MIXED, 5_000, stop=stop, run_dir=tmp_path, resume=True)
    assert (again.history, again.reason, f.calls) == (first.history, reason, [])


def test_a_space_is_exhausted_and_a_failure_can_rank_worst():
    assert run(small, SMALL, 1_000, optimizer=RandomSearch(SMALL)).reason in ("exhausted", "converged")

    def fails(a):
        if a["op"] == "b":
            raise ValueError("no b here")
        return small(a)

    result = run(fails, SMALL, 20, on_error="worst")
    assert result.architecture["op"] != "b"


def test_with_noise_every_draw_is_paid_for():
    f = Counted(small)
    result = run(f, SMALL, 60, noisy=True)
    assert len(f.calls) == result.evaluated == len(result.history) == 60


def test_a_search_by_generations_is_not_gone_on_with_asynchronously(tmp_path):
    minimize(small, SMALL, 10, run_dir=tmp_path)
    with pytest.raises(
        RunError, match="expected a search with asynchronous=True, got one with asynchronous=Fal"
    ):
        run(small, SMALL, 20, run_dir=tmp_path, resume=True)


def test_a_dask_client_whose_workers_are_not_there_yet_is_told_apart():
    class Dask(Executor):
        _client = SimpleNamespace(nthreads=dict)

    with pytest.raises(InputError, match=r"Dask client with workers, got one without.*wait_for_workers\(1\)"):
        minimize(small, SMALL, 5, workers=Dask(), asynchronous=True)


def test_an_executor_of_unknown_size_is_refused():
    with pytest.raises(InputError, match="does not say how many calls"):
        minimize(small, SMALL, 10, workers=Executor(), asynchronous=True)


def test_processes_can_be_told_of_as_they_come_back(tmp_path):
    first = minimize(gated, GATED, 20, workers=2, asynchronous=True, run_dir=tmp_path)
    same(minimize(gated, GATED, 20, workers=2, asynchronous=True, run_dir=tmp_path, resume=True), first)


SCRIPT = """
import random, sys, time
from black_boxes import MIXED, mixed
from concurrent.futures import ThreadPoolExecutor
from asng.black_box import minimize

def slow(a):
    time.sleep(0.02 * random.lognormvariate(0, 1))
    return mixed(a)

minimize(slow, MIXED, 10_000, workers=ThreadPoolExecutor(4), asynchronous=True, run_dir=sys.argv[1])
"""


def test_killed_by_the_system_it_goes_on_from_what_came_back(tmp_path):
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], env=os.environ | {"PYTHONPATH": path}
    )
    log = tmp_path / "log.jsonl"
    try:
        while not log.exists() or log.read_text().count('"evaluation"') < 20:
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = log.read_text().count('"evaluation"')
    f = Counted(mixed)
    result = run(f, MIXED, 80, threads=4, run_dir=tmp_path, resume=True)
    assert len(f.calls) == 80 - before
    same(run(f, MIXED, 80, threads=2, run_dir=tmp_path, resume=True), result)


@pytest.mark.slow
def test_a_call_that_kills_its_process_ranks_worst(tmp_path, monkeypatch):
    armed, folder = tmp_path / "armed", tmp_path / "run"
    armed.touch()
    monkeypatch.setenv("DEADLY_WHERE", str(armed))
    flags = {"asynchronous": True, "on_error": "worst", "run_dir": folder}
    result = minimize(deadly, SMALL, 8, workers=2, **flags)
    assert result.evaluated == 8
    assert {one.architecture["op"] for one in result.history if one.error} == {"b"}
    again = minimize(small, SMALL, 8, workers=2, resume=True, **flags)
    assert [(one.architecture, one.error) for one in again.history] == [
        (one.architecture, one.error) for one in result.history
    ]
