"""The architecture that a pass follows: in forward, in backward, and in autograd's threads."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any

from torch.utils import checkpoint

from asng.space import Value

__all__ = ["Selection", "carry_into_recomputation", "current_selection", "following"]


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


class following:
    """Let searchable modules follow `values` inside the `with` block.

    A supernet does so in `forward`. Around other methods of a model, do it yourself or use
    `Supernet.following`, which checks the values first. Recomputation by `torch.utils.checkpoint` in backward
    follows the architecture of its pass automatically; if another tool recomputes, enter it around `backward`
    too.

    Args:
        values: Name of a variable to its value, or the `Selection` of another block.

    Example:
        >>> with following({"op": "skip"}) as selection:
        ...     current_selection() is selection
        True
    """

    __slots__ = ("_selection", "_token")

    def __init__(self, values: Mapping[str, Value] | Selection) -> None:
        self._selection = values if isinstance(values, Selection) else Selection(values)

    def __enter__(self) -> Selection:
        self._token = _CURRENT.set(self._selection)
        return self._selection

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)


# Not wrapped in a function, because every layer calls it in every pass.
current_selection = _CURRENT.get
"""Return the `Selection` that the current pass follows, or None outside of a supernet."""


@cache
def carry_into_recomputation() -> None:
    """Make `torch.utils.checkpoint` recompute under the architecture of the original pass.

    Backward runs after the pass, possibly after passes of other architectures, and on a GPU in a thread of
    autograd, where no context variable is set. So the checkpointed function has to carry its architecture
    along. Torch has no hook for that, so the two functions that torch hands it to are wrapped, once, when the
    first supernet is made. Outside of a supernet's pass they behave as before.
    """
    reentrant = checkpoint.CheckpointFunction.forward
    otherwise = checkpoint._checkpoint_without_reentrant_generator

    @wraps(reentrant)
    def forward(ctx: Any, run_function: Callable[..., Any], *args: Any) -> Any:
        return reentrant(ctx, _bound(run_function), *args)  # type: ignore[no-untyped-call]

    @wraps(otherwise)
    def generator(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return otherwise(_bound(fn), *args, **kwargs)

    checkpoint.CheckpointFunction.forward = staticmethod(forward)  # type: ignore[method-assign]
    checkpoint._checkpoint_without_reentrant_generator = generator


def _bound(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` bound to the architecture that is followed now."""
    selection = current_selection()
    if selection is None:
        return function

    def run(*args: Any, **kwargs: Any) -> Any:
        with following(selection):
            return function(*args, **kwargs)

    return run
