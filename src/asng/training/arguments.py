"""Check the functions that a training or a search is given, each where it enters and by its name."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import nn

from asng.errors import InputError
from asng.training.metric import is_metric
from asng.training.objective import qualified_name

__all__ = ["check_maker", "check_objective", "made_by", "scheduled_by", "shown"]

_CRITERIA = ("torch.nn.functional.", "torch.nn.modules.loss.", "torch._C._nn.")
"""Where torch has its criteria."""

_TARGETS = ("target", "targets", "label", "labels")
"""Usual names for the second argument of a criterion, which no one gives to a batch."""

_MAKERS = {
    "optimizer": ("a function of the parameters", 1),
    "scheduler": ("a function of (optimiser, total steps)", 2),
    "items": ("a function of a batch", 1),
    "baseline": ("a function without arguments that returns a network", 0),
    "make": ("a function without arguments that returns the model", 0),
}
"""Arguments that are functions, what they are, and of how many arguments."""


def check_objective(name: str, value: Any) -> None:
    """Check that a loss is a function of (forward, batch), and an objective one or a metric.

    Args:
        name: The name of the argument, "loss" for a loss.
        value: What was given. None passes as `minimize` or `maximize`.

    Raises:
        InputError: It is something else; the message names it.
    """
    if value is None and name in ("minimize", "maximize"):
        return
    if isinstance(value, type) and is_metric(value):
        raise InputError(f"{name}: expected a metric, got its class. Write {value.__name__}(...).")
    if is_metric(value):
        if name == "loss":
            raise InputError(
                "loss: expected a function of (forward, batch) with a gradient, got the metric "
                f"{value!r:.80}. Give it as minimize= or maximize=."
            )
        return
    kind = "a function of (forward, batch)"
    if isinstance(value, type):
        made = f"{value.__name__}(...)"
        if qualified_name(value).startswith(_CRITERIA):
            made = f"{name}=asng.supervised({value.__name__}())"
        raise InputError(f"{name}: expected {kind}, got the class {value.__name__}. Write {made}.")
    names = _arguments(value)
    bare = names[1:2] in ([target] for target in _TARGETS) or qualified_name(value).startswith(_CRITERIA)
    if callable(value) and bare:
        raise InputError(
            f"{name}: expected {kind}, got a criterion of ({', '.join(names[:2]) or 'output, target'}): "
            f"{qualified_name(value)}. Write {name}=asng.supervised(criterion)."
        )
    _check_called(name, value, kind, 2)


def check_maker(name: str, value: Any) -> None:
    """Check that an argument of a name in `_MAKERS` is a function of its arguments.

    Args:
        name: The name of the argument.
        value: What was given. Only an optimizer must not be None.

    Raises:
        InputError: It is something else; the message names it.
    """
    if value is not None or name == "optimizer":
        _check_called(name, value, *_MAKERS[name])


def made_by(
    optimizer: Callable[[list[nn.Parameter]], Any], weights: list[nn.Parameter], *, closure: bool
) -> Any:
    """Return the optimiser of weights, as a function makes it.

    Args:
        optimizer: The function.
        weights: The weights.
        closure: Whether its step may need a closure.

    Raises:
        InputError: The function returns something else, an optimiser whose step needs a closure, or one of
            other weights.
    """
    made = optimizer(weights)
    if not all(callable(getattr(made, name, None)) for name in ("step", "zero_grad", "state_dict")):
        raise InputError(
            f"optimizer: expected a function that returns an optimiser, got {shown(made)} from "
            f"{qualified_name(optimizer)}. Return for instance torch.optim.SGD(weights, lr=0.1)."
        )
    if not closure and not _steps_alone(made):
        raise InputError(
            f"optimizer: expected one whose step needs no closure, got {shown(made)}. Use another one. "
            "In a search, a callback can do the update instead: see asng.search.Callback.update."
        )
    taken = {id(one) for group in getattr(made, "param_groups", ()) for one in group["params"]}
    if taken and taken.isdisjoint(map(id, weights)):
        raise InputError(
            "optimizer: expected one of the weights that the function is given, got one of others from "
            f"{qualified_name(optimizer)}. Write optimizer=lambda weights: torch.optim.SGD(weights, lr=0.1)."
        )
    return made


def scheduled_by(scheduler: Callable[[Any, int], Any] | None, optimizer: Any, steps: int) -> Any:
    """Return the schedule of an optimiser, as a function makes it; None if there is none.

    Args:
        scheduler: The function, or None.
        optimizer: The optimiser.
        steps: Number of all steps.

    Raises:
        InputError: The function returns something else, or a schedule whose step needs a metric.
    """
    if scheduler is None:
        return None
    made = scheduler(optimizer, steps)
    if made is None or (callable(getattr(made, "step", None)) and _steps_alone(made)):
        return made
    raise InputError(
        "scheduler: expected a function that returns a schedule whose step needs no arguments, got "
        f"{shown(made)} from {qualified_name(scheduler)}. Return for instance "
        "torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)."
    )


def _steps_alone(made: Any) -> bool:
    """Whether `step` of an optimiser or a schedule can be called without arguments."""
    try:
        signature(made.step).bind()
    except TypeError:
        return False
    except ValueError:  # its signature cannot be told
        pass
    return True


def _check_called(name: str, value: Any, kind: str, count: int) -> None:
    """Check that a value can be called with so many arguments by position."""
    if not callable(value) or (count == 0 and isinstance(value, nn.Module)):
        hint = f" Write {name}=lambda: Network(...)." if count == 0 else ""
        if isinstance(value, torch.optim.Optimizer) and name == "optimizer":
            made = type(value).__name__
            hint = f" Write optimizer=lambda weights: torch.optim.{made}(weights, lr=...)."
        if isinstance(value, str) and name in ("minimize", "maximize"):
            hint = f" Give the function itself, such as {name}=asng.training.accuracy."
        raise InputError(f"{name}: expected {kind}, got {shown(value)}.{hint}")
    try:
        accepted = signature(_called(value))
    except (TypeError, ValueError):  # a function in C does not tell
        return
    try:
        accepted.bind(*[None] * count)
    except TypeError:
        raise InputError(
            f"{name}: expected {kind}, got one of ({', '.join(accepted.parameters)}): "
            f"{qualified_name(value)}. Give it these arguments."
        ) from None


def _arguments(value: Any) -> list[str]:
    try:
        return list(signature(_called(value)).parameters)
    except (TypeError, ValueError):
        return []


def _called(value: Any) -> Any:
    return value.forward if isinstance(value, nn.Module) else value


def shown(value: object) -> str:
    """Return a value for a message: by its type, unless its text is short and plain."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return f"{value!r:.80}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
