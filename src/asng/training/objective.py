"""Losses, which a search trains with, and objectives, which it selects by.

Both are functions `(forward, batch) -> value`: `forward` runs the current architecture on whatever inputs it
is given, `batch` is what the loader yields: a tensor, a tuple, a dictionary or anything else. A loss returns
a tensor with a gradient; an objective returns a number and needs no gradient.
"""

import dis
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial, update_wrapper
from numbers import Real
from types import CodeType, FunctionType, MethodType
from typing import Any, TypeAlias, TypeVar

import torch
from torch import nn

from asng.errors import InputError
from asng.nn.naming import versions
from asng.options import Precision
from asng.shown import few
from asng.training.data.nested import tensors_in

__all__ = [
    "Forward",
    "Loss",
    "Objective",
    "accuracy",
    "as_number",
    "check_gradient",
    "checked_loss",
    "item_sum",
    "qualified_name",
    "supervised",
    "in_precision",
    "to_float",
    "to_floats",
    "unchanged",
    "warn_of_untrained",
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

    Raises:
        InputError: `criterion` is not a function, or is the class of one.

    Example:
        >>> loss = supervised(torch.nn.functional.mse_loss)
        >>> batch = (torch.ones(2, 3), torch.zeros(2, 3))
        >>> float(loss(torch.nn.Identity(), batch))
        1.0
    """
    if not callable(criterion) or isinstance(criterion, type):
        hint = f" Write {criterion.__name__}(...)." if isinstance(criterion, type) else ""
        raise InputError(f"criterion: expected a function of (output, target), got {criterion!r:.80}.{hint}")

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


def checked_loss(value: Any, loss: Loss) -> torch.Tensor:
    """Return what a loss returned as a tensor without dimensions.

    Raises:
        InputError: It is not a tensor of one number.
    """
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        kind = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else f"{value!r:.200}"
        raise InputError(
            f"loss: expected a tensor of one number from {qualified_name(loss)}, got {kind}. Return the mean "
            "over the batch."
        )
    return value.reshape(())


def check_gradient(value: torch.Tensor, outputs: Any, loss: Loss) -> None:
    """Raise if a loss has no gradient although outputs of the network have one: nothing would be trained.

    A network, or an architecture, may have no weights. A loss of 0 may be a constant, if there is nothing to
    learn from a batch.

    Args:
        value: What the loss returned.
        outputs: The outputs of the network in its calls.
        loss: The loss, for the message.

    Raises:
        InputError: It has none.
    """
    learns = any(output.requires_grad for output in tensors_in(outputs))
    if learns and not value.requires_grad and value.item() != 0.0:
        raise InputError(
            f"loss: expected a tensor with a gradient from {qualified_name(loss)}, got one without, so that "
            "no weight would be trained. Compute it without .detach(), .item() and torch.no_grad()."
        )


@contextmanager
def unchanged(batch: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Raise if the block changes a tensor of a batch in place, because other architectures get that batch.

    Args:
        batch: The batch.
        name: Name of the function in messages.
        function: The loss or objective that the block calls.

    Raises:
        InputError: A tensor was changed.
    """
    before = versions(tensors_in(batch))
    yield
    if versions(tensors_in(batch)) != before:
        raise InputError(
            f"{name}: expected {qualified_name(function)} and the network to leave the batch as it is, "
            "because other architectures get it too, got a tensor that was changed in place. Work on a copy "
            "of it, as by x = x.clone(), or give inplace=False."
        )


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


# --- weights that a loss holds -----------------------------------------------------------------------------


def warn_of_untrained(loss: Loss, model: nn.Module) -> None:
    """Warn if a loss holds weights that require a gradient and are not the model's, as learned margins are.

    An optimiser is made from the weights of the model, so those of the loss would stay as they are. They are
    looked for in the loss as it was passed: in a module, inside `supervised` and `functools.partial`, in the
    object of a method, and in variables that a function takes from outside.

    Args:
        loss: The training loss.
        model: The network that it trains.
    """
    own = {id(weight) for weight in model.parameters()}
    strays = dict.fromkeys(name for name, weight in _weights_in("loss", loss, set()) if id(weight) not in own)
    if strays:
        warnings.warn(
            f"loss: expected weights of the model only, got {few(strays)} of its own. The optimiser trains "
            "the weights of the model, so these stay as they are. Make them part of the model, and read them "
            "in the loss by asng.training.running(forward). If they should stay as they are, freeze them by "
            "requires_grad_(False).",
            stacklevel=3,
        )


def _weights_in(name: str, value: Any, seen: set[int]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the weights that a loss, or a part of one, holds, and their names."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, nn.Module):
        kind = type(value).__name__
        yield from (
            (f"{kind}.{path}", weight) for path, weight in value.named_parameters() if _learns(weight)
        )
    elif isinstance(value, torch.Tensor):
        if _learns(value):
            yield name, value
    else:
        for part, held in _parts_of(value):
            yield from _weights_in(part or name, held, seen)


def _learns(weight: torch.Tensor) -> bool:
    return weight.requires_grad and weight.is_leaf


def _parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a callable or a container refers to by name; an empty name is that of the whole."""
    if isinstance(value, partial):
        yield from (("", value.func), ("", value.args), ("", value.keywords))
    elif isinstance(value, (list, tuple)):
        yield from (("", part) for part in value)
    elif isinstance(value, dict):
        yield from ((str(key), part) for key, part in value.items())
    elif isinstance(value, MethodType):
        owner = value.__self__
        yield from (("", value.__func__), ("", owner if isinstance(owner, nn.Module) else _attributes(owner)))
    elif isinstance(value, FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            with suppress(ValueError):  # a variable that has no value yet
                yield name, cell.cell_contents
        for name in _globals_read(value.__code__):
            read = value.__globals__.get(name)
            if not isinstance(read, FunctionType) or read.__module__ == value.__module__:  # else a library
                yield name, read
    elif callable(value) and not isinstance(value, type):
        yield "", _attributes(value)


def _attributes(value: Any) -> dict[str, Any]:
    return getattr(value, "__dict__", {})


def _globals_read(code: CodeType) -> list[str]:
    """Return the names of the global variables that a function reads, functions inside it included."""
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _globals_read(part)]
    return [*(one.argval for one in dis.get_instructions(code) if one.opname == "LOAD_GLOBAL"), *inner]
