"""Losses, which a search trains with, and objectives, which it selects by.

Both are functions `(forward, batch) -> value`: `forward` runs the current architecture on whatever inputs it
is given, `batch` is what the loader yields: a tensor, a tuple, a dictionary or anything else. A loss returns
a tensor with a gradient; an objective returns a number and needs no gradient.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from numbers import Real
from typing import Any, TypeAlias, TypeVar

import torch

from asng.errors import InputError
from asng.options import Precision

__all__ = [
    "Forward",
    "Loss",
    "Objective",
    "accuracy",
    "as_number",
    "item_sum",
    "qualified_name",
    "supervised",
    "in_precision",
    "to_float",
    "to_floats",
]

Forward: TypeAlias = Callable[..., Any]
"""Runs a network, or a supernet as one architecture."""
Loss: TypeAlias = Callable[[Forward, Any], torch.Tensor]
Objective: TypeAlias = Callable[[Forward, Any], "float | torch.Tensor"]

_F = TypeVar("_F", bound=Callable[..., Any])


def supervised(criterion: Callable[[Any, Any], torch.Tensor]) -> Loss:
    """Turn a criterion of (output, target) into a loss for batches that are (input, target) pairs.

    Args:
        criterion: For instance `torch.nn.functional.cross_entropy`.

    Returns:
        A loss, which can serve as an objective too.

    Example:
        >>> loss = supervised(torch.nn.functional.mse_loss)
        >>> batch = (torch.ones(2, 3), torch.zeros(2, 3))
        >>> float(loss(torch.nn.Identity(), batch))
        1.0
    """

    def loss(forward: Forward, batch: Any) -> torch.Tensor:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise InputError(
                f"batch: expected an (input, target) pair, got {type(batch).__name__}. For other batches "
                "write the loss as a function of (forward, batch)."
            )
        inputs, target = batch
        return criterion(forward(inputs), target)

    loss.__qualname__ = f"supervised({qualified_name(criterion)})"  # its name in messages
    return loss


def accuracy(forward: Forward, batch: Any) -> float:
    """Return the share of an (input, label) batch whose largest output is the label, in [0, 1].

    Example:
        >>> logits, labels = torch.eye(4), torch.tensor([0, 1, 2, 0])
        >>> accuracy(torch.nn.Identity(), (logits, labels))
        0.75
    """
    inputs, labels = batch
    right = forward(inputs).argmax(dim=1) == labels
    return int(right.sum()) / right.numel() if right.numel() else math.nan


def item_sum(mean: float, items: float) -> float:
    """Return the sum of a value over a batch, given its mean; exactly an integer if the mean implies one.

    A mean in float32 is off by some 1e-8, so that `mean * items` may be 13.00000019 for 13 right answers.
    Summed over batches, networks that are right equally often would differ by chance. So the nearest integer
    is taken if dividing it by `items` gives the mean again, to the last digit of the mean.

    Args:
        mean: What an objective returned for the batch.
        items: Number of items, > 0.

    Example:
        >>> third = torch.tensor([1.0, 0.0, 0.0]).mean().item()
        >>> third * 3, item_sum(third, 3), item_sum(0.25, 3)
        (1.0000000298023224, 1.0, 0.75)
    """
    total = mean * items
    if not math.isfinite(total):
        return total
    whole = float(round(total))
    single = torch.tensor(mean, dtype=torch.float32).item() == mean
    last_digit = 2.0**-23 if single else 2.0**-52
    return whole if math.isclose(whole / items, mean, rel_tol=last_digit) else total


def as_number(value: Any, name: str, function: Callable[..., Any], *, may_require_grad: bool = True) -> float:
    """Return the value of a function as a float, after the checks of `checked_value`."""
    return to_float(checked_value(value, name, function, may_require_grad=may_require_grad))


def checked_value(
    value: Any, name: str, function: Callable[..., Any], *, may_require_grad: bool = True
) -> float | torch.Tensor:
    """Check that a function returned one number; a tensor stays on its device, without waiting for it.

    Infinite and NaN values pass; they rank worst later.

    Args:
        value: What the function returned.
        name: What the function is for, for messages.
        function: The function, for messages.
        may_require_grad: Whether a tensor may require a gradient, as that of a loss does.

    Raises:
        InputError: The value is neither a number nor a tensor of one element, or it requires a gradient and
            may not.
    """
    if isinstance(value, torch.Tensor) and value.requires_grad and not may_require_grad:
        raise InputError(
            f"{name}: expected a number from {qualified_name(function)}, got a tensor that requires a "
            "gradient. Return value.item(), or value.detach()."
        )
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        if value.dtype is not torch.bool and not value.is_complex():
            return value.detach()
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):  # NumPy's numbers are Real too
        kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
        raise InputError(
            f"{name}: expected one number from {qualified_name(function)}, got {kind}. Return a float."
        )
    return float(value)


def to_float(value: float | torch.Tensor) -> float:
    """Return a number as a Python float; this waits for the device that computes it."""
    return float(value.item()) if isinstance(value, torch.Tensor) else value


def to_floats(values: Sequence[float | torch.Tensor]) -> list[float]:
    """Return numbers as Python floats; those on another device than the CPU are fetched all at once.

    Example:
        >>> to_floats([torch.tensor(0.5), 2.0])
        [0.5, 2.0]
    """
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    kinds = {(tensor.device, tensor.dtype) for tensor in tensors}
    if len(tensors) < 2 or len(kinds) > 1 or tensors[0].device.type == "cpu":  # where fetching costs nothing
        return [to_float(value) for value in values]
    asked = iter(torch.stack([tensor.reshape(()) for tensor in tensors]).tolist())
    return [float(next(asked)) if isinstance(value, torch.Tensor) else value for value in values]


def qualified_name(function: Callable[..., Any]) -> str:
    """Return the module and name of a function, or of the class of a callable object, for messages.

    Example:
        >>> qualified_name(accuracy)
        'asng.training.objective.accuracy'
    """
    while isinstance(function, partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def in_precision(function: _F, precision: Precision, device: torch.device) -> _F:
    """Return a loss or an objective whose passes run in a precision, by torch's autocast.

    Weights, their gradients and operations that need the range, such as sums, stay in float32.

    Args:
        function: A function of (forward, batch).
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
    if not hasattr(function, "__qualname__"):  # a callable object: messages name its class
        lowered.__module__, lowered.__qualname__ = type(function).__module__, type(function).__qualname__
    return lowered  # type: ignore[return-value]
