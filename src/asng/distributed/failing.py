"""When one process ends, or is stopped, the others learn which, and why."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch.distributed as dist

from asng.distributed.watching import Watch, read, write_once
from asng.errors import RunError, in_one_line

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store  # a build without processes lacks it

__all__ = ["Failures", "LostProcess"]

_KEY = "asng/failed"
_LOOK = timedelta(seconds=1)
"""Time between two looks at the others while this process waits for them; signals are handled between."""


class LostProcess(RunError):
    """A process of this run has ended or was stopped, and the others cannot go on without it.

    Attributes:
        rank: Rank of that process; None if it is not known.
    """

    def __init__(self, message: str, rank: int | None = None) -> None:
        super().__init__(message)
        self.rank = rank


class Failures:
    """Tells the others why this process ends, and finds out why another ended, or does not come.

    Args:
        store: Store of the process group, which outlives processes under torchrun; None: nothing is told.
        rank: Rank of this process.
        size: Number of processes.
    """

    def __init__(self, store: "Store | None", rank: int, size: int) -> None:
        self.store, self.rank, self.size = store, rank, size
        self.watch = None if store is None else Watch(store, rank, size)

    def close(self) -> None:
        """Stop watching the others."""
        if self.watch is not None:
            self.watch.close()
        self.watch = None

    def tell(self, error: BaseException) -> None:
        """Leave word that this process ends, by its own error or for lack of another; the first one stays."""
        lost = error.rank if isinstance(error, LostProcess) else None
        if self.store is None or (isinstance(error, LostProcess) and lost is None):
            return
        word = {
            "rank": self.rank,
            "lost": lost,
            "interrupted": isinstance(error, KeyboardInterrupt),
            "message": str(error) if lost is not None else f"{type(error).__name__}: {in_one_line(error)}",
        }
        write_once(self.store, _KEY, json.dumps(word))

    def wait(self, work: "dist.Work | None") -> None:
        """Wait until an exchange with the others is done.

        Raises:
            LostProcess: A process has ended or was stopped for too long, or a time limit of the user has
                passed while this one waited for it.
            KeyboardInterrupt: A process was interrupted.
        """
        if work is None:
            return
        with self.explained():
            if self.watch is not None:
                self.watch.exchanges += 1
                self.watch.begin()
            try:
                while not self._done(work):
                    self._look()
            except LostProcess:
                raise
            except RunError as error:  # from a StepLimit
                self._blame(error)
                raise

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn a failure of communication into an error that says which process ended, and why.

        Raises:
            LostProcess: A process has ended.
            KeyboardInterrupt: It was interrupted.
        """
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, RunError):
                raise
            self._raise_word(error)
            dead = None if self.watch is None else self.watch.dead()
            self._raise_word(error)  # of another process that has found it out
            if dead is not None:
                raise self._lost(*dead) from error
            raise LostProcess(
                f"processes: expected {self.size} that keep running, but one ended without an error: killed, "
                f"out of memory, or disconnected ({in_one_line(error, 120)}). Pass resume=True (--resume) to "
                "continue from the last checkpoint."
            ) from error

    @staticmethod
    def _done(work: "dist.Work") -> bool:
        """Wait for a moment; return whether the exchange is done."""
        try:
            work.wait(_LOOK)
        except RuntimeError as error:
            if isinstance(error, RunError) or work.is_completed():
                raise
            return False
        return True

    def _look(self) -> None:
        lost = None if self.watch is None else self.watch.look()
        self._raise_word(None)
        if lost is not None:
            raise self._lost(*lost)

    def _lost(self, rank: int, why: str) -> LostProcess:
        return LostProcess(
            f"processes: expected {self.size} that keep running, but process {rank} {why}. Pass resume=True "
            "(--resume) to continue from the last checkpoint.",
            rank,
        )

    def _blame(self, error: RunError) -> None:
        """Raise an error that names the process that was waited for when time ran out, if it is known."""
        late = [] if self.watch is None else self.watch.behind()
        if late:
            raise LostProcess(
                f"processes: expected {self.size} that keep running, but process {late[0]} does not reach "
                f"the point where process {self.rank} waits for it. {error}",
                late[0],
            ) from error

    def _raise_word(self, cause: BaseException | None) -> None:
        word = self._word()
        if word is None:
            return
        if word["interrupted"]:
            raise KeyboardInterrupt from cause
        if word["lost"] is not None:
            raise LostProcess(word["message"], word["lost"]) from cause
        raise LostProcess(
            f"processes: expected {self.size} that keep running, got an error in process {word['rank']}: "
            f"{word['message']}. Fix it, and pass resume=True (--resume) to continue.",
            word["rank"],
        ) from cause

    def _word(self) -> dict[str, Any] | None:
        said = None if self.store is None else read(self.store, _KEY)
        return None if said is None else dict(json.loads(said))
