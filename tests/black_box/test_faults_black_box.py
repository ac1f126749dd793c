"""A search of a black box whose disk fails or whose clock is moved loses nothing that was paid for."""

import os
import resource
import signal
import threading
import time
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children
from multiprocessing.process import BaseProcess

import pytest
from black_boxes import MIXED, SMALL, Counted, deadly, forking, mixed, small, spawning
from test_failing_calls import python
from test_resume_black_box import same, without_clocks

from asng.black_box import minimize
from asng.black_box.processes import process_pool
from asng.errors import RunError
from asng.training.signals import terminable


def test_a_full_disk_ends_it_and_every_whole_line_is_gone_on_with(tmp_path):
    log = tmp_path / "log.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def filling(architecture):
        if len(first.calls) == 20:
            resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 40, before[1]))
        return mixed(architecture)

    first, rest = Counted(filling), Counted(mixed)
    try:
        with pytest.raises(RunError, match=r"log\.jsonl: cannot be written: File too large"):
            minimize(first, MIXED, 60, run_dir=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    same(minimize(rest, MIXED, 60, run_dir=tmp_path, resume=True), minimize(mixed, MIXED, 60))
    assert len(first.calls) + len(rest.calls) == 61  # the call whose line was torn is paid for again
    assert log.read_bytes().endswith(b"}\n")


def test_a_killed_worker_ends_it_and_what_was_computed_is_kept(tmp_path, monkeypatch):
    armed, folder = tmp_path / "armed", tmp_path / "run"
    armed.touch()
    monkeypatch.setenv("DEADLY_WHERE", str(armed))
    with pytest.raises(
        RunError, match=r"'b'.*expected a loss, got the process that called f was killed by signal 9"
    ):
        minimize(deadly, SMALL, 30, workers=2, run_dir=folder)
    armed.unlink()
    resumed = minimize(deadly, SMALL, 30, workers=2, run_dir=folder, resume=True)
    same(resumed, minimize(small, SMALL, 30))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_worker_does_not_answer_the_signals_that_the_first_process_does(number):
    """As one that gets them alone, or with all others: from a terminal, a batch system."""
    signalled, others = [], set(active_children())

    def to_workers(progress):
        if not signalled:
            signalled.extend(set(active_children()) - others)
            for child in signalled:
                os.kill(child.pid, number)

    same(minimize(small, SMALL, 30, workers=2, callbacks=[to_workers]), minimize(small, SMALL, 30))
    assert len(signalled) == 2


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.slow
def test_processes_that_f_starts_answer_all_signals(start):
    results = minimize(forking if start == "fork" else spawning, SMALL, 4, workers=2)
    assert all(entry.loss == 0.0 for entry in results.history)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_signal_while_workers_are_ended_ends_them_all_the_same(number, pooled, monkeypatch):
    """A second ctrl-C waits until they are gone, and is then obeyed, whichever thread the system gives it."""
    others, kill, killed = set(active_children()), BaseProcess.kill, set()
    stay = threading.Event()
    threads = [threading.Thread(target=stay.wait, args=(60,)) for _ in range(4)]

    def signalling(process):
        if threading.current_thread() is threading.main_thread():
            os.kill(os.getpid(), number)
            time.sleep(0.01)  # for another thread to take it
        killed.add(process.pid)
        kill(process)

    def work():
        with terminable():
            if pooled:
                with process_pool(2) as pool:
                    pool.submit(int)
                    pool.submit(int)
            else:
                minimize(small, SMALL, 6, workers=2)

    monkeypatch.setattr(BaseProcess, "kill", signalling)
    for thread in threads:
        thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        stay.set()
        for thread in threads:
            thread.join()
    assert (
        len(killed - {process.pid for process in others}) == 2
    )  # a pool of before may still be ending its own
    assert all(ended(process) for process in set(active_children()) - others)


def ended(process, seconds=30.0):
    """Whether a process ends in time: it may seem alive while a thread of the pool waits for it too."""
    end = time.monotonic() + seconds
    while process.is_alive() and time.monotonic() < end:
        time.sleep(0.01)
    return not process.is_alive()


@pytest.mark.parametrize("dies", [True, False])
def test_a_pool_of_which_a_process_was_killed_does_not_wait_for_the_others(dies):
    """An executor sends them SIGTERM, which they leave to the first process, and waits in a thread."""
    others = set(active_children())
    with process_pool(2) as pool:
        call = pool.submit(time.sleep, 60)
        (first,) = set(active_children()) - others
        pool.submit(time.sleep, 60)
        (second,) = set(active_children()) - others - {first}
        if dies:
            first.kill()
            with pytest.raises(BrokenProcessPool):
                call.result(timeout=30)
            assert ended(second)
    assert ended(first, 5.0)
    assert ended(second, 5.0)


TRACKED = """
import os, signal, time
from multiprocessing import resource_tracker
from asng.black_box.processes import process_pool

if __name__ == "__main__":
    with process_pool(2) as pool:
        assert pool.submit(int).result() == 0
        os.kill(resource_tracker._resource_tracker._pid, signal.SIGHUP)
        time.sleep(0.2)
        assert resource_tracker._resource_tracker._check_alive()
    print("done")
"""


def test_the_process_that_counts_semaphores_does_not_hear_a_terminal_close(tmp_path):
    """Without it, Python prints what it can no longer clean up."""
    (tmp_path / "script.py").write_text(TRACKED)
    done = python(tmp_path, "script.py")
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_a_clock_that_is_moved_changes_nothing(tmp_path, monkeypatch):
    true, moves = time.time, Counter()

    def moved():
        moves["all"] += 1
        return true() + (-1) ** moves["all"] * 1e8

    monkeypatch.setattr(time, "time", moved)
    result = minimize(mixed, MIXED, 40, run_dir=tmp_path / "moved")
    monkeypatch.undo()
    same(result, minimize(mixed, MIXED, 40, run_dir=tmp_path / "still"))
    logs = [without_clocks((tmp_path / name / "log.jsonl").read_bytes()) for name in ("moved", "still")]
    assert logs[0] == logs[1]
    assert 0.0 <= result.seconds < 60.0
