"""One process: everything is its own work."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from torch import nn

from asng.distributed.comm import Comm, Part

__all__ = ["LocalComm"]

_T = TypeVar("_T")
_S = TypeVar("_S")


class LocalComm(Comm):
    """What a search in one process runs with; costs nothing.

    Example:
        >>> LocalComm().deal(3, lambda number: 10 * number, float)
        [0.0, 10.0, 20.0]
    """

    size = 1
    leads = True

    def part(self, items: int) -> Part:
        """Return the whole batch."""
        return Part(0, items, 1.0)

    def trains_apart(self, architectures: int) -> bool:
        """There is nobody to divide them with."""
        return False

    def deal(self, pieces: int, work: Callable[[int], _S], settle: Callable[[_S], _T]) -> list[_T]:
        """Do all pieces."""
        done = [work(number) for number in range(pieces)]
        return [settle(result) for result in done]

    def once(self, work: Callable[[], _T]) -> _T:
        """Do it."""
        return work()

    def either(self, *flags: bool, digest: Callable[[], str] | None = None) -> tuple[bool, ...]:
        """Return the flags."""
        return flags

    def spread(self, get: Callable[[], dict[str, Any]], put: Callable[[dict[str, Any]], object]) -> None:
        """There is nobody to spread it to."""

    def check(self, digest: Callable[[], str], what: str) -> None:
        """One is always like itself."""

    def passes(self, *, apart: bool = False) -> AbstractContextManager[object]:
        """Batch norms use the batch as it is."""
        return nullcontext()

    def reduce(self, loss: float, parameters: Sequence[nn.Parameter]) -> float:
        """Gradients are whole already."""
        return loss
