"""Where f is called: in this process, in worker processes of the search, or in an executor.

An executor may be a pool of threads or processes, or a cluster: those of Dask, loky, MPI and Ray derive from
that of the standard library.
"""

import pickle
from collections import deque
from collections.abc import Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from typing import Any, Protocol
from uuid import uuid4

from asng.black_box.calling import CallOutcome, Function, call
from asng.black_box.processes import Limits, Processes, packed, pickled
from asng.checks import integer_at_least, real_between
from asng.errors import InputError, RunError, in_one_line
from asng.space import Architecture

__all__ = ["Workers", "calls_at_a_time", "check_workers", "workers_of"]


class Workers(Protocol):
    """The interface of whatever calls f."""

    def start(self, key: int, architecture: Architecture, limits: Limits = None) -> None:
        """Call f as soon as there is room; `limits` are those of `call`."""

    def finished(self) -> Iterator[tuple[int, CallOutcome]]:
        """Wait until a call is done; yield key and outcome of all that are, or nothing if none is pending."""

    def forget(self) -> None:
        """Drop the calls that have not begun."""

    def close(self) -> None:
        """End what was started for the search."""


def check_workers(workers: int | Executor, f: Function, call_seconds: float | None) -> bytes:
    """Check the arguments of `workers_of`, and return f pickled for other processes; empty if none calls it.

    Raises:
        InputError: `workers` is neither an integer >= 1 nor an executor, f cannot be sent to a process, or
            `call_seconds` is not > 0 or comes with an executor.
    """
    if call_seconds is not None:
        real_between("call_seconds", call_seconds, 0.0, float("inf"), open_low=True)
    if isinstance(workers, Executor):
        if call_seconds is not None:
            raise InputError(
                f"call_seconds: expected a number as workers, got {workers!r}, which cannot stop a single "
                "call. Give a number of workers."
            )
        if isinstance(workers, ProcessPoolExecutor):
            pickled(f)
        return b""
    alone = integer_at_least("workers", workers, 1) == 1 and call_seconds is None
    return b"" if alone else packed(f)


def workers_of(
    workers: int | Executor, f: Function, content: bytes, *, activity: bool, call_seconds: float | None
) -> Workers:
    """Return the workers that call f.

    Args:
        workers: How many calls at a time, or an executor, which is left open.
        f: The user's function.
        content: What `check_workers` returned.
        activity: Whether to watch which variables f reads.
        call_seconds: How long a call may take; None for no limit.
    """
    if isinstance(workers, Executor):
        return _InExecutor(workers, f, activity=activity)
    if content:
        return Processes(workers, content, activity=activity, call_seconds=call_seconds)
    return _Here(f, activity=activity)


def calls_at_a_time(workers: int | Executor) -> int:
    """Return how many calls can run at a time.

    Raises:
        InputError: The executor does not say, or is a Dask client without workers.
    """
    if not isinstance(workers, Executor):
        return workers
    n = getattr(workers, "_max_workers", None)  # of the standard library, loky, MPI and Ray
    threads = getattr(getattr(workers, "_client", None), "nthreads", None)  # of Dask
    if n is None and threads is not None:
        n = sum(threads().values())
        if n == 0:
            raise InputError(
                "workers: expected a Dask client with workers, got one without. Wait for them first: "
                "client.wait_for_workers(1)."
            )
    if not isinstance(n, int) or n < 1:
        raise InputError(
            "workers: expected a number, or an executor of the standard library, Dask, loky, MPI or Ray, "
            f"got {workers!r}, which does not say how many calls it takes at a time. Leave asynchronous out."
        )
    return n


class _Here:
    """Calls f in this process, one after the other."""

    def __init__(self, f: Function, *, activity: bool) -> None:
        self._f, self._activity = f, activity
        self._queue: deque[tuple[int, Architecture, Limits]] = deque()

    def start(self, key: int, architecture: Architecture, limits: Limits = None) -> None:
        self._queue.append((key, architecture, limits))

    def finished(self) -> Iterator[tuple[int, CallOutcome]]:
        if self._queue:
            key, architecture, limits = self._queue.popleft()
            yield key, call(self._f, architecture, self._activity, limits)

    def forget(self) -> None:
        self._queue.clear()

    def close(self) -> None:
        pass


class _InExecutor:
    """Calls f in an executor."""

    def __init__(self, executor: Executor, f: Function, *, activity: bool) -> None:
        self._executor, self._f, self._activity = executor, f, activity
        self._waiting: dict[Future[CallOutcome], int] = {}
        self._search, self._calls = uuid4().hex, 0

    def start(self, key: int, architecture: Architecture, limits: Limits = None) -> None:
        self._calls += 1
        number = f"{self._search}-{self._calls}"
        given = number, self._f, architecture, self._activity, limits
        try:
            self._waiting[self._executor.submit(_numbered, *given)] = key
        except BrokenExecutor as error:
            raise _broken() from error
        except Exception as error:  # whatever an executor raises that was shut down, or cannot send f
            raise RunError(
                f"workers: expected an executor that takes calls, got {type(error).__name__}: "
                f"{in_one_line(error)}."
            ) from error

    def finished(self) -> Iterator[tuple[int, CallOutcome]]:
        done = wait(self._waiting, return_when=FIRST_COMPLETED).done
        yield from [
            (self._waiting.pop(future), _outcome(future)) for future in list(self._waiting) if future in done
        ]

    def forget(self) -> None:
        self._waiting = {future: key for future, key in self._waiting.items() if not future.cancel()}

    def close(self) -> None:
        self.forget()


def _numbered(number: str, *given: Any) -> CallOutcome:
    """Call f; the number of the call keeps Dask from treating calls with equal arguments as one."""
    return call(*given)


def _outcome(future: Future[CallOutcome]) -> CallOutcome:
    """Return the outcome of a call; one that was lost, by itself or with its machine, has failed.

    Raises:
        RunError: The executor takes no more calls, or cannot send f.
    """
    try:
        return future.result()
    except BrokenExecutor as error:
        raise _broken() from error
    except pickle.PicklingError as error:
        raise RunError(
            f"f: expected a function that the executor can send, got PicklingError: {in_one_line(error)}. "
            "Define it at the top of a module, without locks, open files and the like."
        ) from error
    except (Exception, CancelledError) as error:  # an error of f is an outcome: this is one of the executor
        return CallOutcome(float("nan"), None, 0.0, f"{type(error).__name__}: {in_one_line(error)}")


def _broken() -> RunError:
    return RunError(
        "f: expected every process of the executor to finish its call, but one was killed. Did it run out of "
        "memory? Pass resume=True and workers=n to continue: a number of workers tells which call failed, "
        "and can rank it worst."
    )
