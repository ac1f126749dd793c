"""Architectures that do not fit into memory: each ranks worst and is counted, and the search goes on."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["OutOfMemory", "is_out_of_memory"]

_T = TypeVar("_T")
_SAID = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
"""What torch says where the memory of the CPU, or of a library of the GPU, is over; that has no class."""


class OutOfMemory:
    """Counts what did not fit.

    Attributes:
        count: How many passes ended for want of memory, up to now.
    """

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Let the block end early where memory is over, and count that."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.count += 1

    def state_dict(self) -> dict[str, int]:
        """Return the count, for a checkpoint."""
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on counting from a checkpoint.

        Raises:
            ValueError: The count is none.
        """
        if type(state["count"]) is not int or state["count"] < 0:
            raise ValueError(f"{state['count']!r:.80} passes without memory")
        self.count = state["count"]

    def value(self, score: Callable[[], _T]) -> _T | float:
        """Return what `score` returns, or NaN where memory is over.

        Example:
            >>> memory = OutOfMemory()
            >>> memory.value(lambda: torch.empty(2**60).sum().item()), memory.count
            (nan, 1)
        """
        with self.noted():
            return score()
        return math.nan


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is over: Python's, the CPU's of torch, or a GPU's."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID)
