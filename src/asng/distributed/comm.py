"""What a search asks of the processes that it runs in, be they one or several."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from torch import nn

__all__ = ["Comm", "LocalComm"]

_T = TypeVar("_T")
_S = TypeVar("_S")


class Comm(ABC):
    """Divides the work of a search among processes, and sees to it that they stay alike.

    All processes call the same methods in the same order. None is asked which one it is: a search is written
    as for one process, and `LocalComm` makes it just that.

    Attributes:
        size: How many processes there are.
        leads: Whether this one writes files and shows progress.
        in_step: Whether all run the same passes, which fail in all if they fail in one.
    """

    size: int
    leads: bool
    in_step: bool = False

    @abstractmethod
    def own(self, pieces: Sequence[_T]) -> Sequence[_T]:
        """Return the pieces of a step that are this process's: all of them together, without overlap."""

    @abstractmethod
    def deal(self, pieces: int, work: Callable[[int], _S], settle: Callable[[_S], _T]) -> list[_T]:
        """Do independent pieces of work, each in one process, and return all results in order everywhere.

        All pieces of a process are done before the first is settled: a GPU then gets the next while it still
        computes one, and is waited for once.

        Args:
            pieces: How many.
            work: Does the piece of a number.
            settle: Makes of what `work` returned what JSON can hold.
        """

    @abstractmethod
    def once(self, work: Callable[[], _T]) -> _T:
        """Do something in one process while the others wait; return its result, plain JSON, everywhere."""

    @abstractmethod
    def either(self, *flags: bool, digest: Callable[[], str] | None = None) -> tuple[bool, ...]:
        """Return for each flag whether it is set in any process.

        Args:
            flags: Of this process.
            digest: Sums up, in hexadecimals, what must be the same everywhere, and is compared on the way.

        Raises:
            RunError: The digests differ.
        """

    @abstractmethod
    def spread(
        self, get: Callable[[], dict[str, Any]], put: Callable[[dict[str, Any]], object], *, source: int = 0
    ) -> None:
        """Have all processes take over the state of one.

        Args:
            get: Returns the state, tensors and plain values; called in the process that has it.
            put: Takes it over; called in the others.
            source: Which process has it: that of the piece of this number in `deal`.
        """

    @abstractmethod
    def check(self, digest: Callable[[], str], what: str) -> None:
        """Raise if processes that ought to be alike are not.

        Args:
            digest: Sums up what must be the same everywhere.
            what: Names it, for the message.

        Raises:
            RunError: The digests differ.
        """

    @abstractmethod
    def compare(self, facts: Mapping[str, Any]) -> None:
        """Raise if processes say different things of themselves.

        Args:
            facts: What must be the same everywhere, plain JSON by its name, which the message has.

        Raises:
            RunError: One differs, named with the process.
        """

    @abstractmethod
    def apart(self) -> AbstractContextManager[object]:
        """Return a context for training passes, in which each process draws random numbers of its own."""

    @abstractmethod
    def reduce(self, loss: float, parameters: Sequence[nn.Parameter]) -> float:
        """Sum up gradients over the processes, of all weights that got one in any; likewise return the loss.

        Call it after `apart`.
        """


class LocalComm(Comm):
    """What a search in one process runs with; costs nothing.

    Example:
        >>> LocalComm().deal(3, lambda number: 10 * number, float)
        [0.0, 10.0, 20.0]
    """

    size = 1
    leads = True

    def own(self, pieces: Sequence[_T]) -> Sequence[_T]:
        """Return all of them."""
        return pieces

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

    def spread(
        self, get: Callable[[], dict[str, Any]], put: Callable[[dict[str, Any]], object], *, source: int = 0
    ) -> None:
        """There is nobody to spread it to."""

    def check(self, digest: Callable[[], str], what: str) -> None:
        """One is always like itself."""

    def compare(self, facts: Mapping[str, Any]) -> None:
        """Likewise."""

    def apart(self) -> AbstractContextManager[object]:
        """One draws as it always does."""
        return nullcontext()

    def reduce(self, loss: float, parameters: Sequence[nn.Parameter]) -> float:
        """Gradients are whole already."""
        return loss
