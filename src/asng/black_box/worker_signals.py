"""Signals of a run with worker processes: only the main process answers them, and no worker outlives it.

A terminal or a batch system sends a signal to all processes of a run.
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
"""Signals that only the main process answers. Windows has no SIGHUP."""


class _Process(SpawnProcess):
    """A process that starts while signals are held back, and that only SIGKILL ends: it answers no other."""

    def start(self) -> None:
        with signals_held_in_children():
            super().start()

    def terminate(self) -> None:
        """Kill it: an executor ends its remaining processes by this, and waits for them without limit."""
        self.kill()


class WorkerContext(SpawnContext):
    """The multiprocessing context for processes that call `leave_signals_to_parent`.

    They are spawned, not forked: a copy of a process with threads, such as numerical libraries start, may
    hang.
    """

    Process: ClassVar[type[SpawnProcess]] = _Process


@contextmanager
def held_signals() -> Iterator[None]:
    """Hold back signals that Python would answer until the block, which starts or ends processes, is left.

    A signal in the middle could leave some of them running, and this process would wait for those forever.
    Handlers are replaced, since a mask covers only one thread, and any other would take the signal. Outside
    the main thread there is nothing to do: no handler runs there.
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
    """Prepare a worker process: it answers no signal, and ends with the process that started it.

    Signals get an empty handler instead of being ignored, since a program that the worker runs would inherit
    ignored signals. Processes that it forks answer signals as it would have before.
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
    """Block signals in processes started within the block until they are ready: they inherit the mask."""
    if not hasattr(signal, "pthread_sigmask"):  # pragma: no cover - Windows
        yield
        return
    with held_signals():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ANSWERED)
        try:
            # Python's resource tracker would start with the first process, and undo the mask.
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
