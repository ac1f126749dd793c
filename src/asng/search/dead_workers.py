"""A worker process of a data loader that was killed, told as an error of ours."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from asng.errors import RunError, in_one_line

__all__ = ["dead_workers_told"]

_KILLED = "DataLoader worker (pid"
"""How torch begins to say it. Errors that a dataset raises in a worker begin otherwise."""
_SECONDS = 1.0
"""How long the signal may take that a worker has ended; it ends the sleep by its own error."""


@contextmanager
def dead_workers_told() -> Iterator[None]:
    """Raise RunError where a worker of a data loader was killed while the block ran.

    torch raises wherever the main process is at that moment, also in the middle of a step, so that a search
    can go on from a checkpoint only.

    Example:
        >>> with dead_workers_told():
        ...     raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
        Traceback (most recent call last):
        asng.errors.RunError: loader: expected its worker processes to live, but DataLoader worker ...
    """
    try:
        try:
            yield
        except (ConnectionError, EOFError):  # of the pipe to a worker, whose end a signal tells next
            time.sleep(_SECONDS)
            raise
    except RuntimeError as error:
        if not str(error).startswith(_KILLED):
            raise
        raise RunError(
            f"loader: expected its worker processes to live, but {in_one_line(error)}. Is the memory too "
            "small? Go on by resume, with fewer num_workers."
        ) from error
