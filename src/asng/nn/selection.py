"""The architecture that the current forward pass follows, and a record of what the pass read of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from asng.space import Value

__all__ = ["Selection", "following", "current_selection"]


class Selection:
    """Values of variables, and the names of those that were read.

    Args:
        values: Name of a variable to its value.

    Attributes:
        values: As given.
        read: Names of the variables that `Searchable.value` has read so far.
    """

    __slots__ = ("read", "values")

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values
        self.read: set[str] = set()


# A context variable rather than a global: threads and asyncio tasks each follow their own architecture.
_CURRENT: ContextVar[Selection | None] = ContextVar("asng_selection", default=None)


@contextmanager
def following(values: Mapping[str, Value]) -> Iterator[Selection]:
    """Let searchable modules follow `values` inside the `with` block.

    A supernet enters it in `forward`; enter it yourself around other methods of a model, and around
    `backward` where activations are recomputed there.

    Example:
        >>> with following({"op": "skip"}) as selection:
        ...     current_selection() is selection
        True
    """
    selection = Selection(values)
    token = _CURRENT.set(selection)
    try:
        yield selection
    finally:
        _CURRENT.reset(token)


# Not a function around it: every layer calls it in every pass.
current_selection = _CURRENT.get
"""Return what the current forward pass follows, or None outside of a supernet."""
