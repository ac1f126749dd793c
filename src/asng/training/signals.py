"""Let ctrl-C, SIGTERM and SIGHUP end a run between two steps, not within one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from asng.training.faults import WorkersGone

__all__ = ["Interrupt", "Terminated", "graceful", "terminable"]

_TERMINATE = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Sent by a batch system, and by a terminal that is closed; Windows lacks the latter."""


class Terminated(KeyboardInterrupt, SystemExit):
    """Raised if SIGTERM or SIGHUP ends a run, as ctrl-C would.

    Uncaught, it ends the process with status 143 or 129, as ctrl-C does with 130: those are the codes that a
    shell reports for the signals.
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
        """Take over a signal that another process of the run got: SIGTERM if `terminated`, else SIGINT."""
        if not self.terminated:
            self.signal = signal.SIGTERM if terminated else signal.SIGINT

    def error(self) -> KeyboardInterrupt:
        """Return what ends the run: `Terminated` after SIGTERM or SIGHUP, else KeyboardInterrupt."""
        return KeyboardInterrupt() if self.signal is None or not self.terminated else Terminated(self.signal)

    def go_on(self) -> bool:
        """Return True if no signal came.

        Raises:
            KeyboardInterrupt: A signal came.
        """
        if self:
            raise self.error()
        return True


@contextmanager
def graceful() -> Iterator[Interrupt]:
    """Note the first SIGINT, SIGTERM or SIGHUP instead of ending; a second one of a kind acts as usual.

    Outside the main thread, where Python allows no handlers, signals act as usual.

    Yields:
        The note, which is true once a signal came.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_TERMINATE)}
    # A background job ignores SIGINT, one under nohup SIGHUP, and both should. None is a handler of C, which
    # cannot be restored.
    before = {number: old for number, old in before.items() if old not in (None, signal.SIG_IGN)}

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.signal = number
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield interrupt
    except WorkersGone as error:
        if interrupt:  # the worker got the signal too, as from a batch system
            raise interrupt.error() from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `Terminated` in the block, so that code unaware of them cleans up.

    A signal that is already handled or ignored is left alone; outside the main thread, all are.
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
