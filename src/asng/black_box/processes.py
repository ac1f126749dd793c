"""Processes that call f, each watched on its own: if one is killed or takes too long, one call is lost."""

import pickle
import pickletools
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import active_children, current_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias

from asng.black_box.calling import CallOutcome, Function, call
from asng.black_box.worker_signals import (
    WorkerContext,
    held_signals,
    leave_signals_to_parent,
    signals_held_in_children,
)
from asng.errors import InputError, RunError
from asng.space import Architecture

__all__ = ["Limits", "Processes", "packed", "pickled", "process_pool"]

Limits: TypeAlias = Mapping[int, float] | None
"""Limits on what a call reports, as `call` takes them."""

_GUARD = (
    "Start a search with several workers under `if __name__ == '__main__':`, because each process imports "
    "the script again"
)
_THREADS = "or pass workers=ThreadPoolExecutor(n) to use threads"
_LOOK = 1.0
"""Seconds between looks at the clock if calls have a time limit; a longer gap shows that all were paused."""


def pickled(f: Function) -> bytes:
    """Return f pickled.

    Raises:
        InputError: f cannot be pickled.
    """
    try:
        return pickle.dumps(f)
    except Exception as error:  # pickle raises whatever an object's own methods do
        raise InputError(
            f"f: expected a function that other processes can import, got {f!r} ({error}). Define it at "
            f"the top of a module, {_THREADS}."
        ) from error


def packed(f: Function) -> bytes:
    """Return f pickled for other processes, which are started afresh.

    Raises:
        InputError: f cannot be pickled, or is from a notebook or a console, where no process can import it.
        RunError: This is such a process, and imports the script that starts the search.
    """
    if getattr(current_process(), "_inheriting", False):  # Python sets this while a process starts
        raise RunError(f"workers: expected a script that starts no search when it is imported. {_GUARD}.")
    content = pickled(f)
    importable = hasattr(sys.modules.get("__main__"), "__file__")
    if not importable and any(part == "__main__" for _, part, _ in pickletools.genops(content)):
        raise InputError(
            f"f: expected a function that other processes can import, got {f!r}, defined in a notebook or a "
            f"console. Write it into a file beside the notebook and import it from there, {_THREADS}."
        )
    return content


@dataclass
class _Worker:
    """A process and its call; `key` is None before the first call and between calls."""

    process: BaseProcess
    pipe: Connection
    ready: bool = False
    key: int | None = None
    since: float = 0.0


class Processes:
    """Calls f in up to n processes, which are started as needed.

    Args:
        n: Maximum number of processes, >= 1.
        content: What `packed` made of f.
        activity: Whether to watch which variables f reads.
        call_seconds: How long a call may take before its process is killed; None for no limit.
    """

    def __init__(self, n: int, content: bytes, *, activity: bool, call_seconds: float | None = None) -> None:
        self._n, self._content, self._activity, self._longest = n, content, activity, call_seconds
        self._queue: deque[tuple[int, tuple[Architecture, Limits]]] = deque()
        self._workers: list[_Worker] = []
        self._context = WorkerContext()

    def start(self, key: int, architecture: Architecture, limits: Limits = None) -> None:
        """Call f as soon as a process is free."""
        self._queue.append((key, (architecture, limits)))
        if len(self._workers) < min(
            self._n, len(self._queue) + sum(w.key is not None for w in self._workers)
        ):
            self._workers.append(self._begun())
        self._hand_out()

    def forget(self) -> None:
        """Drop the calls that have not begun."""
        self._queue.clear()

    def finished(self) -> Iterator[tuple[int, CallOutcome]]:
        """Wait until a call is done, and yield key and outcome of all that are.

        Raises:
            RunError: A process does not start, or cannot import f.
        """
        done: list[tuple[int, CallOutcome]] = []
        while not done and (self._queue or any(w.key is not None for w in self._workers)):
            self._wait()
            for worker in list(self._workers):
                outcome = self._looked_at(worker)
                if outcome is not None and worker.key is not None:
                    done.append((worker.key, outcome))
                    worker.key = None
            self._hand_out()
        yield from done

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        with held_signals():
            for worker in self._workers:
                worker.process.kill()
            for worker in self._workers:
                worker.process.join()
                worker.process.close()
                worker.pipe.close()
            self._workers = []

    def _begun(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._activity))
        process.start()
        theirs.close()  # so that our end closes with the process
        with suppress(OSError):  # it may have ended already, which `_looked_at` notices
            ours.send_bytes(self._content)
        return _Worker(process, ours)

    def _hand_out(self) -> None:
        for worker in list(self._workers):
            if not self._queue or not worker.ready or worker.key is not None:
                continue
            try:
                worker.pipe.send(self._queue[0][1])
            except OSError:  # killed between two calls
                self._replace(worker)
                continue
            (worker.key, _), worker.since = self._queue.popleft(), time.monotonic()

    def _wait(self) -> None:
        """Wait for a worker, or until a call may have taken too long; a pause of this run does not count."""
        pipes = [worker.pipe for worker in self._workers]
        begun = [worker.since for worker in self._workers if worker.key is not None]
        if self._longest is None or not begun:
            wait(pipes)
            return
        before = time.monotonic()
        patience = min(max(min(begun) + self._longest - before, 0.0), _LOOK)
        wait(pipes, patience)
        late = time.monotonic() - before - patience
        if late > _LOOK:  # this process was stopped, as by ctrl-Z, and its workers with it
            for worker in self._workers:
                worker.since += late

    def _looked_at(self, worker: _Worker) -> CallOutcome | None:
        """Return the outcome of a worker's call if it has one."""
        took = time.monotonic() - worker.since
        if worker.pipe.poll():
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                return self._dead(worker, took)
            if isinstance(message, CallOutcome):
                return message
            worker.ready = True
            if message:
                raise RunError(
                    f"f: expected a function that other processes can import, got {message}. Define it "
                    f"at the top of a module, {_THREADS}."
                )
        elif self._longest is not None and worker.key is not None and took > self._longest:
            self._replace(worker)
            error = f"TimeoutError: expected an answer within call_seconds={self._longest:g}"
            return CallOutcome(float("nan"), None, took, error)
        return None

    def _dead(self, worker: _Worker, took: float) -> CallOutcome | None:
        key = worker.key
        worker.process.join(_LOOK)  # it may close its pipe before it ends, by itself and with its own code
        code = self._replace(worker)
        if not worker.ready:
            raise RunError(
                f"workers: expected processes that start, but one ended with exit code {code} before "
                f"it could call f. {_GUARD}. If it printed an error, see its standard error."
            )
        if key is None:
            return None
        how = f"ended with exit code {code}"
        if code < 0:
            how = f"was killed by signal {-code}; did it run out of memory?"
        return CallOutcome(float("nan"), None, took, f"the process that called f {how}")

    def _replace(self, worker: _Worker) -> int:
        """End a worker and, if it was ready, start another in its place; return the exit code."""
        worker.process.kill()
        worker.process.join()
        code = worker.process.exitcode or 0
        worker.process.close()
        worker.pipe.close()
        self._workers.remove(worker)
        if worker.ready:
            self._workers.append(self._begun())
        return code


def _serve(pipe: Connection, activity: bool) -> None:
    """Call f in a worker process with each architecture that arrives, until the pipe is closed."""
    leave_signals_to_parent()
    with suppress(EOFError, OSError):  # if the other end is gone, there is nobody to tell
        try:
            f: Function = pipe.recv()
        except Exception as error:  # whatever importing the user's module raises
            pipe.send(f"{type(error).__name__}: {error}")
            return
        pipe.send("")
        while True:
            architecture, limits = pipe.recv()
            pipe.send(call(f, architecture, activity, limits))


class _Pool(ProcessPoolExecutor):
    """A pool that holds signals back while `submit` starts a process, as it does if none is idle."""

    def submit(self, *call: Any, **named: Any) -> "Future[Any]":
        with held_signals():
            return super().submit(*call, **named)


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes that are gone when the block is left, however it is left.

    Args:
        workers: Number of processes, >= 1.
    """
    others = set(active_children())
    with signals_held_in_children():  # Python's resource tracker starts here, and SIGHUP would end it
        pool = _Pool(workers, WorkerContext(), initializer=leave_signals_to_parent)
    try:
        yield pool
    finally:
        with held_signals():
            # Kill all first: if one was killed, the pool may hold its lock until the others have ended.
            children = set(active_children()) - others
            for child in children:
                child.kill()
            pool.shutdown(wait=False, cancel_futures=True)
            for child in children:
                child.join()
