"""Calls of f side by side: in this process, in others that end with it, or wherever an executor puts them."""

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing import active_children, get_context, parent_process
from typing import TypeAlias

from asng.black_box.calling import CallOutcome, Function, call
from asng.checks import integer_at_least
from asng.errors import InputError, RunError
from asng.space import Architecture

__all__ = ["Batch", "batch_caller", "check_workers", "executor_of", "process_pool"]

Batch: TypeAlias = Callable[[Sequence[Architecture]], Iterator[tuple[int, CallOutcome]]]
"""Calls f with each of some architectures, and gives place and outcome of each as it is done."""


def check_workers(workers: int | Executor, f: Function) -> None:
    """Check what `executor_of` is to be given.

    Raises:
        InputError: `workers` is neither an integer >= 1 nor an executor, or f cannot be sent to a process.
    """
    if isinstance(workers, Executor):
        return
    if integer_at_least("workers", workers, 1) > 1:
        try:
            pickle.dumps(f)
        except Exception as error:  # pickle raises whatever an object's own methods do
            raise InputError(
                f"f: expected a function that other processes can import, got {f!r} ({error}). Define it at "
                "the top of a module, or give workers=ThreadPoolExecutor(n) for threads."
            ) from error


def executor_of(workers: int | Executor) -> AbstractContextManager[Executor | None]:
    """Return what runs the calls, for a `with`; None for this process. An executor given is left open."""
    if isinstance(workers, Executor):
        return nullcontext(workers)
    return process_pool(workers) if workers > 1 else nullcontext(None)


def batch_caller(f: Function, executor: Executor | None, *, activity: bool, until_error: bool) -> Batch:
    """Return a function that evaluates a batch.

    Args:
        f: The user's function.
        executor: Where to call it; None for here.
        activity: Whether to watch which variables it reads.
        until_error: Begin no further call once one has failed; those under way are still waited for.
    """
    if executor is None:
        return lambda batch: _here(f, batch, activity, until_error)
    return lambda batch: _elsewhere(executor, f, batch, activity, until_error)


def _here(
    f: Function, batch: Sequence[Architecture], activity: bool, until_error: bool
) -> Iterator[tuple[int, CallOutcome]]:
    for place, architecture in enumerate(batch):
        outcome = call(f, architecture, activity)
        yield place, outcome
        if until_error and outcome.error is not None:
            return


def _elsewhere(
    executor: Executor, f: Function, batch: Sequence[Architecture], activity: bool, until_error: bool
) -> Iterator[tuple[int, CallOutcome]]:
    waiting = {executor.submit(call, f, one, activity): place for place, one in enumerate(batch)}
    try:
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                place, outcome = waiting.pop(future), future.result()
                yield place, outcome
                if until_error and outcome.error is not None:
                    waiting = {other: at for other, at in waiting.items() if not other.cancel()}
    except BrokenExecutor as error:
        raise RunError(
            "f: expected every process to finish its call, but one was killed; is the memory too small? "
            "Go on by resume, with fewer workers."
        ) from error
    finally:
        for future in waiting:
            future.cancel()


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of processes, which are gone when the block is left, however it is left.

    Args:
        workers: How many, >= 1.
    """
    others = set(active_children())
    # Not forked: a copy of a process with threads, as libraries of mathematics have, may hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(active_children()) - others:
            child.terminate()


def _begin() -> None:
    """Prepare a process: the first one alone answers ctrl-C, and none outlives it, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
