"""In which precision a network computes."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Literal, TypeAlias, TypeVar

import torch

__all__ = ["PRECISIONS", "Precision", "in_precision"]

Precision: TypeAlias = Literal["float32", "bfloat16"]
PRECISIONS = ("float32", "bfloat16")

_F = TypeVar("_F", bound=Callable[..., Any])


def in_precision(function: _F, precision: Precision, device: torch.device) -> _F:
    """Return a loss or an objective whose passes compute in a precision, by torch's autocast.

    Weights, their gradients and what needs the range, such as sums, stay in float32.

    Args:
        function: Of (forward, batch).
        precision: "float32" returns the function as it is.
        device: Where the network computes.

    Example:
        >>> half = in_precision(lambda forward, batch: forward(batch), "bfloat16", torch.device("cpu"))
        >>> half(torch.nn.Linear(2, 1), torch.ones(3, 2)).dtype
        torch.bfloat16
    """
    if precision == "float32":
        return function

    def lowered(forward: Any, batch: Any) -> Any:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return function(forward, batch)

    update_wrapper(lowered, function)
    if not hasattr(function, "__qualname__"):  # an object that can be called: messages name its class
        lowered.__module__, lowered.__qualname__ = type(function).__module__, type(function).__qualname__
    return lowered  # type: ignore[return-value]
