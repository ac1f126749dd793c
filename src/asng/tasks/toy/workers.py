"""Parts of the grid in several processes, which end when the first one ends."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process

from asng.errors import RunError
from asng.search.interrupt import graceful
from asng.tasks.toy.settings import Cell, ToySettings
from asng.tasks.toy.simulate import Outcome, simulate

__all__ = ["simulate_parts"]

_LOOK = 0.2
"""Seconds between two looks at whether a signal came."""


def simulate_parts(
    settings: ToySettings, parts: Sequence[Sequence[Cell]], seeds: Sequence[int], workers: int
) -> Iterator[tuple[Sequence[Cell], list[Outcome]]]:
    """Simulate parts of the grid, and return each as it is done.

    Args:
        settings: The problem.
        parts: Cells of one method each.
        seeds: Of the runs of every cell.
        workers: Processes; 1 stands for this one.

    Raises:
        RunError: A process was killed.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    if workers == 1 or len(parts) < 2:
        for part in parts:
            yield part, simulate(settings, part, seeds)
        return
    others = set(active_children())
    # Not forked: a copy of a process with threads, as torch and the progress bar have, may hang.
    pool = ProcessPoolExecutor(min(workers, len(parts)), get_context("spawn"), initializer=_begin)
    try:
        waiting = {pool.submit(simulate, settings, part, seeds): part for part in parts}
        yield from _as_done(waiting)
    except BrokenProcessPool as error:
        raise RunError(
            "toy: expected every process to finish its part, but one was killed; is the memory too small? "
            "Go on by --resume, with fewer --workers or in less memory by fewer --seeds."
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(active_children()) - others:
            child.terminate()


def _as_done(
    waiting: dict[Future[list[Outcome]], Sequence[Cell]],
) -> Iterator[tuple[Sequence[Cell], list[Outcome]]]:
    with graceful() as interrupt:
        while waiting:
            done = wait(waiting, timeout=_LOOK, return_when=FIRST_COMPLETED).done
            if interrupt:
                raise KeyboardInterrupt
            for future in done:
                yield waiting.pop(future), future.result()


def _begin() -> None:
    """Prepare a process: the first one alone answers ctrl-C, and none outlives it, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
