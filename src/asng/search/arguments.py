"""Check the objects and functions that a search is given, each where it enters and by its name."""

from collections.abc import Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.data import Dataset, IterableDataset

from asng.errors import InputError
from asng.optim import Optimizer
from asng.search.callbacks import Callbacks
from asng.search.stopping import StopRule
from asng.training.metric import is_metric
from asng.training.objective import qualified_name

if TYPE_CHECKING:
    from asng.search.one_shot import OneShotSearch

__all__ = ["check_functions", "check_loader", "check_parts"]

_CRITERIA = ("torch.nn.functional.", "torch.nn.modules.loss.", "torch._C._nn.")
"""Where torch has its criteria."""

_TARGETS = ("target", "targets", "label", "labels")
"""Usual names for the second argument of a criterion, which no one gives to a batch."""


def check_parts(search: "OneShotSearch") -> None:
    """Check the arguments of a search that are functions or objects.

    Raises:
        InputError: One is of another kind; the message names it.
    """
    check_functions(search, search.optimizer)
    if not isinstance(search.stop, StopRule):
        raise InputError(
            f"stop: expected an asng.search.StopRule, got {_shown(search.stop)}. Leave it out to take all "
            "steps."
        )
    theta = search.architecture_optimizer
    if theta is not None and not isinstance(theta, Optimizer):
        raise InputError(
            "architecture_optimizer: expected an asng.optim.Optimizer over supernet.space, got "
            f"{_shown(theta)}. Write for instance asng.ASNG(supernet.space)."
        )
    if not isinstance(search.callbacks, Sequence) or isinstance(search.callbacks, str):
        raise InputError(
            "callbacks: expected a list of objects of classes derived from asng.search.Callback, got "
            f"{_shown(search.callbacks)}. Write callbacks=[...]."
        )
    Callbacks(search.callbacks)


def check_functions(owner: Any, optimizer: object) -> None:
    """Check the functions that a search or a compression is given.

    Args:
        owner: Has the attributes `loss`, `minimize`, `maximize`, `scheduler` and `items`.
        optimizer: Makes the optimiser of the weights.

    Raises:
        InputError: One is something else; the message names it.
    """
    for name in ("loss", "minimize", "maximize"):
        _check_objective(name, getattr(owner, name))
    _check_maker("optimizer", optimizer, "a function of the parameters", 1)
    if owner.scheduler is not None:
        _check_maker("scheduler", owner.scheduler, "a function of (optimiser, total steps)", 2)
    if owner.items is not None:
        _check_maker("items", owner.items, "a function of a batch", 1)


def check_loader(name: str, value: object) -> None:
    """Check that an argument of `fit` yields batches, as far as its type tells.

    Raises:
        InputError: It is a data set, whose items are no batches, or cannot be iterated over.
    """
    data = isinstance(value, Dataset) and not isinstance(value, IterableDataset)
    if data or isinstance(value, str) or not (hasattr(value, "__iter__") or hasattr(value, "__getitem__")):
        raise InputError(
            f"{name}: expected a torch.utils.data.DataLoader, got {_shown(value)}. Write "
            "DataLoader(data, batch_size=64, shuffle=True)."
        )


def _check_objective(name: str, value: Any) -> None:
    """Check that a loss is a function of (forward, batch), and an objective one, a metric or None."""
    if value is None and name != "loss":
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
    _check_maker(name, value, kind, 2)


def _check_maker(name: str, value: Any, kind: str, count: int) -> None:
    """Check that a value can be called with so many arguments by position."""
    if not callable(value):
        hint = ""
        if isinstance(value, torch.optim.Optimizer) and name == "optimizer":
            made = type(value).__name__
            hint = f" Write optimizer=lambda weights: torch.optim.{made}(weights, lr=...)."
        if isinstance(value, str) and name in ("minimize", "maximize"):
            hint = f" Give the function itself, such as {name}=asng.training.accuracy."
        raise InputError(f"{name}: expected {kind}, got {_shown(value)}.{hint}")
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


def _shown(value: object) -> str:
    """Return a value for a message: by its type, unless its text is short and plain."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return f"{value!r:.80}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
