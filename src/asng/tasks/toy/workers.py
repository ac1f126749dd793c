"""Parts of the grid in several processes, which end when the first one ends."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool

from asng.black_box.processes import process_pool
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
    try:
        with process_pool(min(workers, len(parts))) as pool:
            yield from _as_done({pool.submit(simulate, settings, part, seeds): part for part in parts})
    except BrokenProcessPool as error:
        raise RunError(
            "toy: expected every process to finish its part, but one was killed; is the memory too small? "
            "Go on by --resume, with fewer --workers or in less memory by fewer --seeds."
        ) from error


def _as_done(
    waiting: dict[Future[list[Outcome]], Sequence[Cell]],
) -> Iterator[tuple[Sequence[Cell], list[Outcome]]]:
    with graceful() as interrupt:
        while waiting:
            done = wait(waiting, timeout=_LOOK, return_when=FIRST_COMPLETED).done
            interrupt.go_on()
            for future in done:
                yield waiting.pop(future), future.result()
