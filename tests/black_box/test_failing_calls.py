"""Calls that kill their process, never come back, or come from where no process can import them."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import active_children
from pathlib import Path

import pytest
from black_boxes import GATED, MIXED, SMALL, Counted, deadly, exiting, gated, lasting, mixed, small

from asng.black_box import MinimizeError, MinimizeStopRule, minimize
from asng.errors import InputError
from asng.training.signals import Terminated


def outcomes(result):
    return [(one.architecture, one.error, one.error or one.loss) for one in result.history]


def failed(result):
    return {one.architecture["op"] for one in result.history if one.error is not None}


def test_a_call_that_kills_its_process_ranks_worst_and_a_resume_gets_past_it(tmp_path, monkeypatch):
    armed, folder = tmp_path / "armed", tmp_path / "run"
    armed.touch()
    monkeypatch.setenv("DEADLY_WHERE", str(armed))
    with pytest.raises(MinimizeError, match="was killed by signal 9"):
        minimize(deadly, SMALL, 8, workers=2, run_dir=folder)
    flags = {"workers": 2, "on_error": "worst", "run_dir": folder, "resume": True}
    result = minimize(deadly, SMALL, 8, **flags)
    assert result.evaluated == 8
    assert failed(result) == {"b"}
    assert '"error": "the process that called f was killed by signal 9' in (folder / "log.jsonl").read_text()
    f = Counted(small)
    assert outcomes(minimize(f, SMALL, 8, **flags | {"workers": 1})) == outcomes(result)
    assert f.calls == []


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("workers", [1, "threads", pytest.param(2, marks=pytest.mark.slow)])
def test_a_call_that_exits_is_a_failed_call_and_named_so(workers, asynchronous):
    with ThreadPoolExecutor(2) as threads:
        workers = threads if workers == "threads" else workers
        flags = {"workers": workers, "asynchronous": asynchronous}
        result = minimize(exiting, SMALL, 8, on_error="worst", **flags)
        with pytest.raises(MinimizeError, match=r"'op': 'b'.*expected a loss, got SystemExit: 2"):
            minimize(exiting, SMALL, 8, **flags)
    assert {one.error for one in result.history if one.architecture["op"] == "b"} == {"SystemExit: 2"}
    assert failed(result) == {"b"}


class Panic(BaseException):
    """As compiled extensions raise it, such as polars and tokenizers if their Rust code panics."""


def panicking(a):
    if a["op"] == "b":
        raise Panic("index out of bounds")
    return small(a)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_call_that_raises_whatever_there_is_fails_alone(workers):
    result = minimize(panicking, SMALL, 8, on_error="worst", workers=workers)
    assert {one.error for one in result.history if one.architecture["op"] == "b"} == {
        "Panic: index out of bounds"
    }
    assert failed(result) == {"b"}


def leaving(a):
    """Ends its process at once, with a code of its own."""
    os._exit(3)


@pytest.mark.slow
def test_a_call_that_ends_its_process_is_named_by_its_exit_code():
    with pytest.raises(MinimizeError, match=r"the process that called f ended with exit code 3\. Earlier"):
        minimize(leaving, SMALL, 2, call_seconds=30)


@pytest.mark.parametrize("ends", [KeyboardInterrupt, Terminated])
@pytest.mark.parametrize("threads", [False, True])
def test_interrupts_end_the_search_whatever_happens_to_failed_calls(ends, threads):
    f = Counted(small, dies_at=2, error=Terminated(15) if ends is Terminated else KeyboardInterrupt())
    with ThreadPoolExecutor(1) as pool, pytest.raises(ends):
        minimize(f, SMALL, 8, on_error="worst", workers=pool if threads else 1)
    assert len(f.calls) == 2


def test_a_call_that_takes_too_long_is_ended_and_counts_as_failed(tmp_path):
    before = set(active_children())
    result = minimize(lasting, SMALL, 4, workers=2, call_seconds=0.3, on_error="worst", run_dir=tmp_path)
    assert failed(result) <= {"b"}
    assert {one.error for one in result.history if one.architecture["op"] == "b"} == {
        "TimeoutError: expected an answer within call_seconds=0.3"
    }
    assert set(active_children()) <= before
    again = minimize(small, SMALL, 4, on_error="worst", run_dir=tmp_path, resume=True)
    assert outcomes(again) == outcomes(result)


def test_one_worker_with_call_seconds_is_a_process_of_its_own():
    with pytest.raises(MinimizeError, match=r"'b'.*expected an answer within call_seconds=0\.2"):
        minimize(lasting, SMALL, 8, call_seconds=0.2)
    with (
        ThreadPoolExecutor(1) as threads,
        pytest.raises(InputError, match="call_seconds: expected a number as workers"),
    ):
        minimize(lasting, SMALL, 8, workers=threads, call_seconds=1.0)
    with pytest.raises(InputError, match="call_seconds: expected a number in"):
        minimize(lasting, SMALL, 8, call_seconds=0.0)


PAUSED = """
from black_boxes import SMALL, pausing
from asng.black_box import minimize, processes

processes._LOOK = 0.1
if __name__ == "__main__":
    result = minimize(pausing, SMALL, 3, call_seconds=0.9)
    print([one.error for one in result.history])
"""


def test_a_pause_of_the_first_process_and_its_workers_is_no_part_of_a_call(tmp_path, monkeypatch):
    armed = tmp_path / "armed"
    armed.touch()
    monkeypatch.setenv("PAUSING_WHERE", str(armed))
    (tmp_path / "script.py").write_text(PAUSED)
    assert python(tmp_path, "script.py").stdout == "[None, None, None]\n"
    assert not armed.exists()


def slow(a):
    time.sleep(0.05)
    return mixed(a)


def test_seconds_are_looked_at_after_each_call_and_nothing_paid_for_is_lost(tmp_path):
    stop = MinimizeStopRule(seconds=0.12)
    result = minimize(slow, MIXED, 100, stop=stop, run_dir=tmp_path)
    assert result.reason == "seconds"
    assert 1 <= result.evaluated == len(result.history) <= 3
    again = minimize(slow, MIXED, 100, stop=stop, run_dir=tmp_path, resume=True)
    assert (again.history, again.reason) == (result.history, "seconds")
    longer = minimize(mixed, MIXED, 30, run_dir=tmp_path, resume=True)
    assert longer.history == minimize(mixed, MIXED, 30).history


@pytest.mark.parametrize("at", [1, 8, 13])
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_was_found_before_comes_with_the_exception(at, error):
    with pytest.raises((MinimizeError, KeyboardInterrupt)) as raised:
        minimize(Counted(gated, dies_at=at, error=error), GATED, 30)
    result = raised.value.result
    assert (result.reason, result.evaluated) == ("error", at)
    assert result.loss == min(one.loss for one in minimize(gated, GATED, at).history)


def test_an_exception_before_the_first_loss_has_no_result():
    with pytest.raises(MinimizeError, match="ValueError: no") as raised:
        minimize(Counted(small, dies_at=0, error=ValueError("no")), SMALL, 30)
    assert raised.value.result is None


HEAD = "import asng\nspace = asng.Space({'x': asng.Integer(0, 9)})\ndef f(a):\n    return a['x']\n"
SEARCH = "asng.minimize(f, space, 4, workers=2, run_dir='run')\n"


def python(folder, *words):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, *words]
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_function_of_a_notebook_is_refused_by_a_clear_word(tmp_path):
    done = python(tmp_path, "-c", HEAD + SEARCH)
    assert "InputError: f: expected a function that other processes can import" in done.stderr
    assert ", defined in a notebook or a console. Write it into a file" in done.stderr
    assert not Path(tmp_path, "run").exists()


def test_a_script_without_a_guard_is_told_of_it(tmp_path):
    (tmp_path / "script.py").write_text(HEAD + SEARCH)
    done = python(tmp_path, "script.py")
    assert done.returncode == 1
    assert "RunError: workers: expected processes that start" in done.stderr
    assert "under `if __name__ == '__main__':`" in done.stderr
    assert "bootstrapping" not in done.stderr


def test_a_script_with_a_guard_runs(tmp_path):
    (tmp_path / "script.py").write_text(f"{HEAD}if __name__ == '__main__':\n    {SEARCH}    print('done')\n")
    done = python(tmp_path, "script.py")
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)
