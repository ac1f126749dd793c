"""Compile operations during a search, and measure the time that this takes and saves."""

import statistics
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from asng.nn import Supernet
from asng.nn.compiling import compile_or_refuse, release_operations
from asng.runs.events import Compiled

__all__ = ["Compiling"]

PLAIN = 16
"""Uncompiled steps at the start, for comparison. A count, so that a resumed run does the same."""
_KEPT = 1000
"""Number of most recent step durations from which the median is taken."""


class Compiling:
    """Compiles the operations of a supernet after the first steps, and times training steps.

    Args:
        supernet: The supernet. Its operations run uncompiled again once the search is over.

    Raises:
        InputError: It has no operation that can be compiled, or there is no compiler.
    """

    def __init__(self, supernet: Supernet) -> None:
        began = time.perf_counter()
        self.supernet, self.operations = supernet, compile_or_refuse(supernet)
        release_operations(supernet)
        self._tried = time.perf_counter() - began  # time to try the compiler
        self._began = _seconds_of_compiling()
        self._on = False
        self._plain: deque[float] = deque(maxlen=_KEPT)
        self._compiled: deque[float] = deque(maxlen=_KEPT)
        self._steps = 0

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Run training step `number` uncompiled or compiled, and time it."""
        if number >= PLAIN and not self._on:
            compile_or_refuse(self.supernet)
            self._on = True
        before, start = _seconds_of_compiling(), time.perf_counter()
        yield
        took = time.perf_counter() - start
        if self._on:
            self._steps += 1
        if number and _seconds_of_compiling() == before:  # the first step includes torch's setup
            (self._compiled if self._on else self._plain).append(took)

    def figures(self) -> Compiled:
        """Return the cost and gain of compiling since this process began or resumed the search."""
        spent = self._tried + _seconds_of_compiling() - self._began
        return Compiled(
            operations=self.operations,
            seconds=round(spent, 3),
            steps=self._steps,
            plain_ms=_milliseconds(self._plain),
            compiled_ms=_milliseconds(self._compiled),
        )


def _seconds_of_compiling() -> float:
    """Return how many seconds this process has spent on compiling so far."""
    from torch._dynamo.utils import calculate_time_spent  # takes a second to import

    return float(calculate_time_spent().get("total_wall_time", 0.0))


def _milliseconds(seconds: "deque[float]") -> float | None:
    return round(1e3 * statistics.median(seconds), 3) if seconds else None
