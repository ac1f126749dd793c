"""Check the objects and functions that a search is given, each where it enters and by its name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset, IterableDataset

from asng.errors import InputError
from asng.optim import Optimizer
from asng.search.callbacks import Callbacks
from asng.search.stopping import StopRule
from asng.training.arguments import check_maker, check_objective, shown

if TYPE_CHECKING:
    from asng.search.one_shot import OneShotSearch

__all__ = ["check_functions", "check_loader", "check_parts"]


def check_parts(search: "OneShotSearch") -> None:
    """Check the arguments of a search that are functions or objects.

    Raises:
        InputError: One is of another kind; the message names it.
    """
    check_functions(search, search.optimizer)
    if not isinstance(search.stop, StopRule):
        raise InputError(
            f"stop: expected an asng.search.StopRule, got {shown(search.stop)}. Leave it out to take all "
            "steps."
        )
    theta = search.architecture_optimizer
    if theta is not None and not isinstance(theta, Optimizer):
        raise InputError(
            "architecture_optimizer: expected an asng.optim.Optimizer over supernet.space, got "
            f"{shown(theta)}. Write for instance asng.ASNG(supernet.space)."
        )
    if not isinstance(search.callbacks, Sequence) or isinstance(search.callbacks, str):
        raise InputError(
            "callbacks: expected a list of objects of classes derived from asng.search.Callback, got "
            f"{shown(search.callbacks)}. Write callbacks=[...]."
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
        check_objective(name, getattr(owner, name))
    check_maker("optimizer", optimizer)
    check_maker("scheduler", owner.scheduler)
    check_maker("items", owner.items)


def check_loader(name: str, value: object) -> None:
    """Check that an argument of `fit` yields batches, as far as its type tells.

    Raises:
        InputError: It is a data set, whose items are no batches, or cannot be iterated over.
    """
    data = isinstance(value, Dataset) and not isinstance(value, IterableDataset)
    if data or isinstance(value, str) or not (hasattr(value, "__iter__") or hasattr(value, "__getitem__")):
        raise InputError(
            f"{name}: expected a torch.utils.data.DataLoader, got {shown(value)}. Write "
            "DataLoader(data, batch_size=64, shuffle=True)."
        )
