"""Turn what a user's data function returns into the loaders of a task."""

from collections.abc import Mapping
from typing import Any

from torch.utils.data import DataLoader, Dataset

from asng.checks import nearest
from asng.errors import InputError
from asng.pipeline.task import Loaders
from asng.training.data.halves import loader_like, split_loader

__all__ = ["check_loader", "loaders_from"]

_NAMES = {1: ("train",), 2: ("train", "test"), 3: ("train", "valid", "test")}
_FORMS = "Return (train, valid, test), (train, test), a dictionary of these names, or one training loader."


def loaders_from(returned: Any, *, valid_share: float, seed: int) -> Loaders:
    """Assign the loaders that a user's function returned to their roles.

    - train: trains weights, in the search and in retraining.
    - valid: scores architectures in the search. Without one, the search holds out a random part of the
      training data, and retraining uses all of them.
    - test: scores the retrained networks. Without one, the validation data do, on which the search has
      chosen. If they were held out from the training data, that part then trains nothing.

    Args:
        returned: (train, valid, test), (train, test), a dictionary of these names, or one training loader;
            None stands for no loader.
        valid_share: Share of the training data to hold out if there is no validation loader, in (0, 1).
        seed: Seed of the random part.

    Raises:
        InputError: It has none of these forms, a part of it is not a loader, or it cannot be split.

    Example:
        >>> import torch
        >>> loaders = loaders_from(DataLoader(torch.arange(10), batch_size=2), valid_share=0.4, seed=0)
        >>> len(loaders.search_train), len(loaders.test), loaders.fresh
        (3, 2, False)
    """
    named = _named(returned)
    whole, valid, test = (named.get(name) for name in _NAMES[3])
    if whole is None:
        raise InputError(f"expected a training loader, got {_described(returned)}. {_FORMS}")
    train = whole
    if valid is None:
        train, valid = split_loader(whole, share=1.0 - valid_share, seed=seed)
        if test is None:
            # A part held out for both trains nothing. For the test it is read whole and in order.
            whole, test = train, _in_order(valid)
    return Loaders(
        search_train=train,
        search_valid=valid,
        train=whole,
        test=valid if test is None else test,
        fresh=named.get("test") is not None,
    )


def _named(returned: Any) -> dict[str, Any]:
    if isinstance(returned, Mapping):
        for name in returned:
            if name not in _NAMES[3]:
                raise InputError(
                    f"expected loaders by name, got {name!r}.{nearest(name, _NAMES[3])} {_FORMS}"
                )
        parts = dict(returned)
    else:
        several = returned if isinstance(returned, (tuple, list)) else (returned,)
        if len(several) not in _NAMES:
            raise InputError(f"expected 1 to 3 loaders, got {len(several)}. {_FORMS}")
        parts = dict(zip(_NAMES[len(several)], several, strict=True))
    parts = {name: loader for name, loader in parts.items() if loader is not None}
    for name, loader in parts.items():
        check_loader(name, loader)
    return parts


def check_loader(name: str, loader: Any) -> None:
    """Raise if an object is not a loader with a length.

    Args:
        name: The role of the loader, for messages.
        loader: What a user's function returned.

    Raises:
        InputError: It is a dataset or another object, has no length, or has no batch.
    """
    if isinstance(loader, Dataset):
        raise InputError(
            f"{name}: expected a loader, got a dataset, {type(loader).__name__}. Wrap it: "
            "torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True)."
        )
    if isinstance(loader, str) or not hasattr(loader, "__iter__"):
        raise InputError(f"{name}: expected a loader, got {_described(loader)}. {_FORMS}")
    try:
        batches = len(loader)
    except TypeError:
        raise InputError(
            f"{name}: expected a loader with a length, got {type(loader).__name__}. Give its dataset a "
            "__len__."
        ) from None
    if batches == 0:
        raise InputError(f"{name}: expected at least one batch, got none. Give more data or a smaller batch.")


def _in_order(loader: DataLoader[Any]) -> DataLoader[Any]:
    return loader_like(loader, loader.dataset, batch_size=loader.batch_size)


def _described(value: Any) -> str:
    return "None" if value is None else f"{type(value).__name__} {str(value)[:60]!r}"
