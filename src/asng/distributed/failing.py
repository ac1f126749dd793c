"""When one process ends, the others learn why."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from torch._C._distributed_c10d import Store

from asng.errors import RunError, in_one_line

__all__ = ["Failures", "LostProcess"]

_KEY = "asng/failed"


class LostProcess(RunError):
    """A process of this run has ended, and the others cannot go on without it."""


class Failures:
    """Says the others why this process ends, and finds out why another did.

    Args:
        store: Of the process group, which outlives its processes under torchrun; None: nothing is told.
        rank: Number of this process.
        size: How many there are.
    """

    def __init__(self, store: Store | None, rank: int, size: int) -> None:
        self.store, self.rank, self.size = store, rank, size

    def tell(self, error: BaseException) -> None:
        """Leave word that this process ends by an error of its own; the first word stays."""
        if self.store is None or isinstance(error, LostProcess):
            return
        word = {
            "rank": self.rank,
            "interrupted": isinstance(error, KeyboardInterrupt),
            "message": f"{type(error).__name__}: {in_one_line(error)}",
        }
        with suppress(RuntimeError):  # the store has gone with the process that held it
            self.store.compare_set(_KEY, "", json.dumps(word))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn a failure of communication into an error that says which process ended, and why.

        Raises:
            LostProcess: It has.
            KeyboardInterrupt: It was interrupted.
        """
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, RunError):
                raise
            word = self._word()
            if word is not None and word["interrupted"]:
                raise KeyboardInterrupt from error
            if word is None:
                raise LostProcess(
                    f"processes: expected {self.size} that go on, got one that ended without a word: killed, "
                    f"out of memory, or cut off ({in_one_line(error, 120)}). Go on from the last checkpoint "
                    "by resume."
                ) from error
            raise LostProcess(
                f"processes: expected {self.size} that go on, got an error in process {word['rank']}: "
                f"{word['message']}. Mend that, and go on by resume."
            ) from error

    def _word(self) -> dict[str, object] | None:
        if self.store is None:
            return None
        try:  # it was given before the connections closed, or never
            return dict(json.loads(self.store.get(_KEY))) if self.store.check([_KEY]) else None
        except RuntimeError:  # the store has gone with the process that held it
            return None
