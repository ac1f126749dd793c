"""How a search uses the processes that it runs in, be they one or several."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from torch import nn

__all__ = ["Comm", "LocalComm"]

_T = TypeVar("_T")
_S = TypeVar("_S")


class Comm(ABC):
    """Divides the work of a search among processes, and keeps their states the same.

    All processes call the same methods in the same order. A search never asks for its rank: it is written as
    for one process, and with `LocalComm` it runs as one.

    Attributes:
        size: Number of processes.
        leads: Whether this process writes files and shows progress.
        in_step: Whether all processes run the same passes, which fail in all if they fail in one.
    """

    size: int
    leads: bool
    in_step: bool = False

    @abstractmethod
    def own(self, pieces: Sequence[_T]) -> Sequence[_T]:
        """Return this process's pieces of a step; each piece belongs to exactly one process."""

    @abstractmethod
    def deal(self, pieces: int, work: Callable[[int], _S], settle: Callable[[_S], _T]) -> list[_T]:
        """Do independent pieces of work, each in one process, and return all results in order everywhere.

        A process does all its pieces before it settles the first: so a GPU gets the next piece while it still
        computes one, and is waited for once.

        Args:
            pieces: Number of pieces.
            work: Does the piece with a given number.
            settle: Converts what `work` returned to what JSON can hold.
        """

    @abstractmethod
    def once(self, work: Callable[[], _T]) -> _T:
        """Do something in one process while the others wait; return its result, plain JSON, everywhere."""

    @abstractmethod
    def either(self, *flags: bool, digest: Callable[[], str] | None = None) -> tuple[bool, ...]:
        """Return for each flag whether it is set in any process.

        Args:
            flags: The flags of this process.
            digest: Returns a hexadecimal digest of what must be the same everywhere; compared on the way.

        Raises:
            RunError: The digests differ.
        """

    @abstractmethod
    def spread(
        self, get: Callable[[], dict[str, Any]], put: Callable[[dict[str, Any]], object], *, source: int = 0
    ) -> None:
        """Copy the state of one process to all others.

        Args:
            get: Returns the state, tensors and plain values; called in the process that has it.
            put: Loads the state; called in the others.
            source: The process that has it: the one that does the piece of this number in `deal`.
        """

    @abstractmethod
    def check(self, digest: Callable[[], str], what: str) -> None:
        """Raise if something differs between the processes that must be the same.

        Args:
            digest: Returns a digest of what must be the same everywhere.
            what: Names it, for the message.

        Raises:
            RunError: The digests differ.
        """

    @abstractmethod
    def compare(self, facts: Mapping[str, Any]) -> None:
        """Raise if facts differ between the processes.

        Args:
            facts: What must be the same everywhere: plain JSON by name, which the message uses.

        Raises:
            RunError: A fact differs; the message names it and the process.
        """

    @abstractmethod
    def apart(self) -> AbstractContextManager[object]:
        """Return a context for training passes, in which each process draws its own random numbers."""

    @abstractmethod
    def reduce(self, loss: float, parameters: Sequence[nn.Parameter]) -> float:
        """Sum the gradients of all weights that got one in any process, and return the sum of the losses.

        Call it after `apart`.
        """


class LocalComm(Comm):
    """The `Comm` of a search in one process; costs nothing.

    Example:
        >>> LocalComm().deal(3, lambda number: 10 * number, float)
        [0.0, 10.0, 20.0]
    """

    size = 1
    leads = True

    def own(self, pieces: Sequence[_T]) -> Sequence[_T]:
        """Return all pieces."""
        return pieces

    def deal(self, pieces: int, work: Callable[[int], _S], settle: Callable[[_S], _T]) -> list[_T]:
        """Do all pieces."""
        done = [work(number) for number in range(pieces)]
        return [settle(result) for result in done]

    def once(self, work: Callable[[], _T]) -> _T:
        """Do the work."""
        return work()

    def either(self, *flags: bool, digest: Callable[[], str] | None = None) -> tuple[bool, ...]:
        """Return the flags."""
        return flags

    def spread(
        self, get: Callable[[], dict[str, Any]], put: Callable[[dict[str, Any]], object], *, source: int = 0
    ) -> None:
        """Do nothing: there is no other process."""

    def check(self, digest: Callable[[], str], what: str) -> None:
        """Do nothing: one process always agrees with itself."""

    def compare(self, facts: Mapping[str, Any]) -> None:
        """Do nothing, likewise."""

    def apart(self) -> AbstractContextManager[object]:
        """Return an empty context: one process draws as it always does."""
        return nullcontext()

    def reduce(self, loss: float, parameters: Sequence[nn.Parameter]) -> float:
        """Return the loss; the gradients are complete already."""
        return loss
