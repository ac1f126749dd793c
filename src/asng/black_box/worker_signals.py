"""Signals of a run with worker processes: the first process alone answers them, and none outlives it.

A terminal, and a batch system, sends a signal to all processes of a run.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import parent_process, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from types import FrameType
from typing import ClassVar

__all__ = ["WorkerContext", "held_signals", "leave_signals_to_parent", "signals_held_in_children"]

_ANSWERED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""By the first process alone. Windows has no SIGHUP."""


class _Process(SpawnProcess):
    """A process that begins while signals wait, and is ended by SIGKILL alone, since it answers no other."""

    def start(self) -> None:
        with signals_held_in_children():
            super().start()

    def terminate(self) -> None:
        """Kill it: an executor ends what is left of its processes so, and waits for them without an end."""
        self.kill()


class WorkerContext(SpawnContext):
    """What multiprocessing and its executors take processes from that call `leave_signals_to_parent`.

    They are not forked: a copy of a process with threads, as libraries of mathematics have, may hang.
    """

    Process: ClassVar[type[SpawnProcess]] = _Process


@contextmanager
def held_signals() -> Iterator[None]:
    """Have signals that Python would answer wait until the block is left: it begins and ends processes.

    One that came in the middle could leave some of them, and this process would wait for those without an
    end. Handlers are exchanged, since a mask is that of one thread, and any other would take the signal.
    Outside the main thread nothing is to be done: no handler runs there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    try:
        with ExitStack() as handlers:
            for number in _ANSWERED:
                before = signal.getsignal(number)
                if before not in (None, signal.SIG_IGN):  # None is a handler of C, which cannot be put back
                    handlers.callback(signal.signal, number, before)
                    signal.signal(number, note)
            yield
    finally:
        for number in came:
            signal.raise_signal(number)


def leave_signals_to_parent() -> None:
    """Prepare a worker process: it answers no signal, and ends with the process that began it.

    Signals are heard, and not ignored, which a program that the worker runs would take over. Processes that
    it forks answer them as it would have.
    """
    before = {number: signal.getsignal(number) for number in _ANSWERED}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    for number in before:
        signal.signal(number, lambda *_: None)
    _unblock()

    def answer() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        _unblock()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=answer)
    threading.Thread(target=_end_with_parent, daemon=True).start()


@contextmanager
def signals_held_in_children() -> Iterator[None]:
    """Have signals wait in processes that begin in the block until they are ready: they inherit the mask."""
    if not hasattr(signal, "pthread_sigmask"):  # pragma: no cover - Windows
        yield
        return
    with held_signals():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ANSWERED)
        try:
            # Python's process that counts semaphores begins with the first one, and undoes the mask.
            resource_tracker.ensure_running()
            _block()
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _block() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, _ANSWERED)


def _unblock() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ANSWERED)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
