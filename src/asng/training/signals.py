"""Ctrl-C, SIGTERM and SIGHUP end a run between two steps, not within one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from asng.training.faults import WorkersGone

__all__ = ["Interrupt", "Terminated", "graceful", "terminable"]

_TERMINATE = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Sent by a batch system, and by a terminal that is closed; Windows has not the latter."""


class Terminated(KeyboardInterrupt, SystemExit):
    """A run was ended by SIGTERM or SIGHUP as it would have been by ctrl-C.

    Not caught, it ends the process with 143 or 129, as ctrl-C does with 130: what a shell tells of those
    signals.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(128 + number)
        self.code = 128 + number


class Interrupt:
    """Whether the run was asked to end, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def terminated(self) -> bool:
        """Whether the signal was SIGTERM or SIGHUP."""
        return self.signal in _TERMINATE

    def hear(self, *, terminated: bool) -> None:
        """Take over a signal that another process of the run got: SIGTERM, or else SIGINT."""
        if not self.terminated:
            self.signal = signal.SIGTERM if terminated else signal.SIGINT

    def error(self) -> KeyboardInterrupt:
        """Return what ends the run: `Terminated` after SIGTERM or SIGHUP, KeyboardInterrupt otherwise."""
        return KeyboardInterrupt() if self.signal is None or not self.terminated else Terminated(self.signal)

    def go_on(self) -> bool:
        """Return True if no signal came.

        Raises:
            KeyboardInterrupt: One did.
        """
        if self:
            raise self.error()
        return True


@contextmanager
def graceful() -> Iterator[Interrupt]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a note; a second one acts as it did before.

    Outside the main thread, where Python allows no handlers, signals act as they did before.

    Yields:
        The note: true once a signal came.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_TERMINATE)}
    # A job in the background ignores SIGINT, one of nohup SIGHUP, and shall; None is a handler of C, which
    # cannot be put back.
    before = {number: old for number, old in before.items() if old not in (None, signal.SIG_IGN)}

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.signal = number
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield interrupt
    except WorkersGone as error:
        if interrupt:  # it got the signal too, as from a batch system
            raise interrupt.error() from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `Terminated` in a block that knows nothing of them, so that it cleans up.

    Where one is handled or ignored already, or outside the main thread, nothing is changed.
    """
    main = threading.current_thread() is threading.main_thread()
    numbers = [n for n in _TERMINATE if main and signal.getsignal(n) == signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
