"""Calls side by side: the same search, whoever is done first."""

from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import active_children
from pickle import PicklingError

import pytest
from black_boxes import GATED, SMALL, gated, slow_where_early, small

from asng.black_box import minimize
from asng.errors import InputError, RunError


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("f", [small, slow_where_early])
def test_many_workers_come_to_the_same_bits_as_one(f, noisy):
    alone = minimize(f, SMALL, 27, seed=1, noisy=noisy)
    for workers in (2, 5):
        with ThreadPoolExecutor(workers) as threads:
            beside = minimize(f, SMALL, 27, seed=1, noisy=noisy, workers=threads)
        assert beside.history == alone.history
        assert beside.most_likely == alone.most_likely


def test_processes_come_to_the_same_bits_and_are_gone_after(tmp_path):
    before = set(active_children())
    alone = minimize(gated, GATED, 30)
    beside = minimize(gated, GATED, 30, workers=2, run_dir=tmp_path)
    assert beside.history == alone.history
    assert any(one.active is not None for one in beside.history)
    for child in set(active_children()) - before:
        child.join(5)
    assert set(active_children()) <= before
    assert minimize(gated, GATED, 50, run_dir=tmp_path, resume=True).history == (
        minimize(gated, GATED, 50).history
    )


def test_a_given_executor_is_left_open():
    with ThreadPoolExecutor(1) as threads:
        minimize(small, SMALL, 10, workers=threads)
        assert threads.submit(int, 3).result() == 3


def test_a_function_that_no_process_can_import_is_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="f: expected a function that other processes can import"):
        minimize(lambda a: 0.0, SMALL, 10, workers=2, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_pool_of_processes_refuses_such_a_function_at_once_too(tmp_path):
    with ProcessPoolExecutor(1) as pool, pytest.raises(InputError, match="f: expected a function that other"):
        minimize(lambda a: 0.0, SMALL, 10, workers=pool, on_error="worst", run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Unable(Executor):
    """Sends nothing, as loky does with what it cannot pickle."""

    def submit(self, *call):
        future = Future()
        future.set_exception(PicklingError("Could not pickle the task to send it to the workers."))
        return future


def test_what_an_executor_cannot_send_ends_the_search_whatever_happens_to_failed_calls():
    with pytest.raises(RunError, match="f: expected a function that the executor can send"):
        minimize(small, SMALL, 10, workers=Unable(), on_error="worst")


def test_an_executor_that_was_shut_down_is_named():
    threads = ThreadPoolExecutor(1)
    threads.shutdown()
    with pytest.raises(RunError, match="workers: expected an executor that takes calls, got RuntimeError: "):
        minimize(small, SMALL, 10, workers=threads)


def test_what_others_were_computing_when_one_failed_is_kept(tmp_path):
    def f(a):
        if a["op"] == "b":
            raise ValueError("no b here")
        return small(a)

    with ThreadPoolExecutor(8) as threads, pytest.raises(RunError, match="no b here"):
        minimize(f, SMALL, 30, workers=threads, run_dir=tmp_path)
    log = (tmp_path / "log.jsonl").read_text()
    assert log.count('"evaluation"') > 0
    resumed = minimize(small, SMALL, 30, run_dir=tmp_path, resume=True)
    assert resumed.history == minimize(small, SMALL, 30).history
