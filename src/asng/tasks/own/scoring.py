"""The loss of a user, and what architectures and networks are compared by."""

import inspect
from dataclasses import dataclass
from typing import Any

from torch import nn

from asng.errors import InputError
from asng.search import Loss, Objective, supervised
from asng.tasks.own.importing import import_named

__all__ = ["Selection", "loss_of", "selection_of"]


@dataclass(frozen=True)
class Selection:
    """What networks are compared by.

    Attributes:
        metric: Its name.
        score: A function of (forward, batch).
        higher_is_better: Whether more of it is better.
    """

    metric: str
    score: Objective
    higher_is_better: bool


def loss_of(criterion: str, batch_loss: str | None) -> Loss:
    """Return the training loss.

    Args:
        criterion: Import path of a function of (output, target), or of a module class that is one; a name
            without a dot is one of torch.nn.functional.
        batch_loss: Import path of a function of (forward, batch), in place of `criterion`.

    Raises:
        InputError: A path names nothing that can be called.
    """
    if batch_loss is not None:
        return _function("batch_loss", batch_loss)  # type: ignore[no-any-return]
    found = _function("loss", criterion, home="torch.nn.functional", kinds=(nn.Module,))
    ready: Any = found() if inspect.isclass(found) else found
    return supervised(ready)


def selection_of(loss: Loss, *, minimize: str | None, maximize: str | None) -> Selection:
    """Return what to compare by: one of the two, or else the loss.

    Args:
        loss: The training loss.
        minimize: Import path of a function of (forward, batch); a name without a dot is one of asng.search.
        maximize: Another one.

    Raises:
        InputError: Both are given, or a path names nothing that can be called.

    Example:
        >>> selection_of(supervised(nn.functional.mse_loss), minimize=None, maximize="accuracy").metric
        'accuracy'
    """
    if minimize is not None and maximize is not None:
        raise InputError("minimize, maximize: expected at most one of them, got both.")
    if maximize is not None:
        score = _function("maximize", maximize, home="asng.search")
        return Selection(maximize.rpartition(".")[2], score, higher_is_better=True)
    if minimize is not None:
        score = _function("minimize", minimize, home="asng.search")
        return Selection(minimize.rpartition(".")[2], score, higher_is_better=False)
    return Selection("loss", loss, higher_is_better=False)


def _function(name: str, path: str, *, home: str | None = None, kinds: tuple[type, ...] = ()) -> Any:
    found = import_named(name, path, home=home)
    if not callable(found) or (inspect.isclass(found) and not issubclass(found, kinds)):
        kind = "a class" if inspect.isclass(found) else f"a {type(found).__name__}"
        form = "(output, target)" if name == "loss" else "(forward, batch)"
        raise InputError(f"{name}: expected {path} to be a function of {form}, got {kind}.")
    return found
