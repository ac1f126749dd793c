"""Ctrl-C and SIGTERM end a run between two steps, not within one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "Terminated", "graceful", "terminable"]


class Terminated(KeyboardInterrupt, SystemExit):
    """A run was ended by SIGTERM as it would have been by ctrl-C.

    Not caught, it ends the process with 143, as ctrl-C does with 130: what a shell tells of those signals.
    """

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)
        self.code = 128 + signal.SIGTERM


class Interrupt:
    """Whether the run was asked to end, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def terminated(self) -> bool:
        """Whether the signal was SIGTERM."""
        return self.signal == signal.SIGTERM

    def hear(self, *, terminated: bool) -> None:
        """Take over a signal that another process of the run got: SIGTERM, or else SIGINT."""
        self.signal = signal.SIGTERM if terminated else signal.SIGINT

    def error(self) -> KeyboardInterrupt:
        """Return what ends the run: `Terminated` after SIGTERM, KeyboardInterrupt otherwise."""
        return Terminated() if self.terminated else KeyboardInterrupt()

    def go_on(self) -> bool:
        """Return True where no signal came.

        Raises:
            KeyboardInterrupt: One did.
        """
        if self:
            raise self.error()
        return True


@contextmanager
def graceful() -> Iterator[Interrupt]:
    """Turn the first SIGINT or SIGTERM into a note; a second one acts as it did before.

    Outside the main thread, where Python allows no handlers, signals act as they did before.

    Yields:
        The note: true once a signal came.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # A job in the background ignores SIGINT, and shall; None is a handler of C, which cannot be put back.
    before = {number: old for number, old in before.items() if old not in (None, signal.SIG_IGN)}

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.signal = number
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` in a block that knows nothing of signals, so that it cleans up.

    Where SIGTERM is handled or ignored already, or outside the main thread, nothing is changed.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
