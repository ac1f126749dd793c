"""The user's loss, and the objective by which architectures and networks are compared."""

import inspect
from dataclasses import dataclass
from typing import Any

from torch import nn

from asng.errors import InputError
from asng.tasks.user.importing import import_named
from asng.tasks.user.trust import Imports
from asng.training import Loss, Objective, supervised

__all__ = ["HOMES", "Metric", "loss_of", "selection_of"]

HOMES = {
    "loss": "torch.nn.functional",
    "batch_loss": None,
    "minimize": "asng.training",
    "maximize": "asng.training",
}
"""Maps each setting to the module in which names without a dot are looked up."""


@dataclass(frozen=True)
class Metric:
    """The score by which networks are compared.

    Attributes:
        metric: Its name.
        score: A function of (forward, batch).
        higher_is_better: Whether a higher score is better.
    """

    metric: str
    score: Objective
    higher_is_better: bool


def loss_of(criterion: str, batch_loss: str | None, *, imports: Imports) -> Loss:
    """Return the training loss.

    Args:
        criterion: Import path of a function of (output, target), or of a module class whose instances are
            one; a name without a dot is looked up in torch.nn.functional.
        batch_loss: Import path of a function of (forward, batch), in place of `criterion`.
        imports: What may be imported.

    Raises:
        RunError: A path may not be imported.
        InputError: A path names nothing that can be called.
    """
    if batch_loss is not None:
        return _function("batch_loss", batch_loss, imports)  # type: ignore[no-any-return]
    found = _function("loss", criterion, imports, home=HOMES["loss"], kinds=(nn.Module,))
    ready: Any = found() if inspect.isclass(found) else found
    return supervised(ready)


def selection_of(loss: Loss, *, minimize: str | None, maximize: str | None, imports: Imports) -> Metric:
    """Return the score to compare by: `minimize` or `maximize` if one is given, else the loss.

    Args:
        loss: The training loss.
        minimize: Import path of a function of (forward, batch); a name without a dot is looked up in
            asng.training.
        maximize: Likewise, for a score of which more is better.
        imports: What may be imported.

    Raises:
        RunError: A path may not be imported.
        InputError: Both are given, or a path names nothing that can be called.

    Example:
        >>> from asng.tasks.user.trust import ANYTHING
        >>> loss = supervised(nn.functional.mse_loss)
        >>> selection_of(loss, minimize=None, maximize="accuracy", imports=ANYTHING).metric
        'accuracy'
    """
    if minimize is not None and maximize is not None:
        raise InputError("minimize, maximize: expected at most one of them, got both.")
    if maximize is not None:
        score = _function("maximize", maximize, imports, home=HOMES["maximize"])
        return Metric(maximize.rpartition(".")[2], score, higher_is_better=True)
    if minimize is not None:
        score = _function("minimize", minimize, imports, home=HOMES["minimize"])
        return Metric(minimize.rpartition(".")[2], score, higher_is_better=False)
    return Metric("loss", loss, higher_is_better=False)


def _function(
    name: str, path: str, imports: Imports, *, home: str | None = None, kinds: tuple[type, ...] = ()
) -> Any:
    found = import_named(name, path, home=home, imports=imports)
    if not callable(found) or (inspect.isclass(found) and not issubclass(found, kinds)):
        kind = "a class" if inspect.isclass(found) else f"a {type(found).__name__}"
        form = "(output, target)" if name == "loss" else "(forward, batch)"
        raise InputError(f"{name}: expected {path} to be a function of {form}, got {kind}.")
    return found
