"""Split data into a part that trains the weights and a part that scores the architectures."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, Subset

from asng.checks import integer_at_least, real_between, torch_seed, whole
from asng.errors import InputError

__all__ = ["split_half", "split_groups", "Labels"]

Labels = Sequence[int] | NDArray[np.integer[Any]] | Tensor
"""One integer class per item."""

_COUNTED = {"labels": "classes", "groups": "groups"}


@overload
def split_half(
    what: int | Labels, share: float = 0.5, seed: int = 0, *, labels: None = None
) -> tuple[Tensor, Tensor]: ...
@overload
def split_half(
    what: Dataset[Any], share: float = 0.5, seed: int = 0, *, labels: Labels | None = None
) -> tuple[Subset[Any], Subset[Any]]: ...
def split_half(
    what: int | Labels | Dataset[Any], share: float = 0.5, seed: int = 0, *, labels: Labels | None = None
) -> tuple[Tensor, Tensor] | tuple[Subset[Any], Subset[Any]]:
    """Split items at random, but repeatably, into a training and a validation part.

    Weights and architecture must not learn from the same items, or the search rewards over-fitting. With
    labels, the split is stratified: each class is divided in the same ratio as the whole, to within one item.

    Args:
        what: The number of items, or their labels (one per item), or a data set, of torch or of another
            library: an object with a length and items.
        share: Share of the items that trains the weights, in (0, 1).
        seed: Seed of the split, in [0, 2**63). The same input gives the same split for the same seed.
        labels: Labels of a data set's items, to stratify the split.

    Returns:
        Training and validation part: sorted int64 indices, or two `Subset`s of a data set.

    Raises:
        InputError: The share leaves a part empty, the labels are not one integer per item, or `labels` is
            given although `what` is not a data set.

    Example:
        >>> train, valid = split_half([0, 0, 0, 0, 1, 1, 1, 1])
        >>> len(train), sum(index < 4 for index in train.tolist())
        (4, 2)
    """
    seed = torch_seed("seed", seed)
    real_between("share", share, 0.0, 1.0)
    if _is_data_set(what):
        dataset = cast(Dataset[Any], what)
        strata = _strata_of(dataset, labels)
        train, valid = _split(strata, share, seed)
        return Subset(dataset, train.tolist()), Subset(dataset, valid.tolist())
    if labels is not None:
        raise InputError("labels: expected only together with a data set. Pass the labels alone as `what`.")
    if isinstance(what, int) or _is_whole(what):
        return _split(torch.zeros(integer_at_least("what", what, 1), dtype=torch.int64), share, seed)
    return _split(_as_labels(cast(Labels, what)), share, seed)


def split_groups(groups: Labels, share: float = 0.5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Split items at random, but repeatably, so that no group has items in both parts.

    Use it for items from a few sources that resemble each other within a source: patches of a picture,
    images of a person.

    Args:
        groups: The group of each item, as any integers; at least two groups.
        share: Share of the items that trains the weights, in (0, 1). The split comes as close to it as
            whole groups in their random order allow; each part gets at least one group.
        seed: Seed of the order of the groups, in [0, 2**63).

    Returns:
        Training and validation part, sorted int64 indices.

    Raises:
        InputError: There are fewer than two groups, or `groups` is not one integer per item.

    Example:
        >>> train, valid = split_groups([7, 7, 8, 8, 8, 9])
        >>> train, valid
        (tensor([0, 1, 5]), tensor([2, 3, 4]))
    """
    seed = torch_seed("seed", seed)
    real_between("share", share, 0.0, 1.0)
    _, group, sizes = torch.unique(_as_labels(groups, "groups"), return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise InputError(f"groups: expected at least two groups, one for each part, got {len(sizes)}.")
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    # Of all ways to cut that order in two, take the one nearest to the share.
    misses = (sizes[order].cumsum(0)[:-1] - share * len(group)).abs()
    in_train = torch.isin(group, order[: int(misses.argmin()) + 1])
    return in_train.nonzero().flatten(), (~in_train).nonzero().flatten()


def _is_data_set(what: object) -> bool:
    """Return whether this has items to choose from, rather than being a number or labels."""
    if isinstance(what, Dataset):
        return True
    listed = isinstance(what, (Sequence, Mapping)) or hasattr(what, "__array__")
    return not listed and hasattr(what, "__getitem__") and hasattr(what, "__len__")


def _is_whole(what: object) -> bool:
    try:
        whole(what)
    except TypeError:
        return False
    return getattr(what, "ndim", 0) == 0  # an array of one number is one label


def _strata_of(dataset: Dataset[Any], labels: Labels | None) -> Tensor:
    if not hasattr(dataset, "__len__") or isinstance(dataset, IterableDataset):
        raise InputError(
            f"what: expected a data set with a length and items, got {type(dataset).__name__}. "
            "A stream has no items to choose from: split it where it is made."
        )
    n = len(cast(Sized, dataset))
    strata = torch.zeros(n, dtype=torch.int64) if labels is None else _as_labels(labels)
    if len(strata) != n:
        raise InputError(f"labels: expected one per item, {n}, got {len(strata)}.")
    return strata


def _as_labels(labels: Labels, name: str = "labels") -> Tensor:
    got = type(labels).__name__
    if hasattr(labels, "__array__") and not isinstance(labels, Tensor):
        array = np.asarray(labels)
        got += f" of {array.dtype.name}"
        if array.dtype.kind in "iub":  # torch takes no other byte order, and no array that runs backwards
            labels = array.astype(np.int64)
    try:
        if not isinstance(labels, (Sequence, np.ndarray, Tensor)):
            raise TypeError("expected items in order")  # torch would count through an object for ever
        tensor = torch.as_tensor(labels).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{name}: expected integers, one per item, got {got}. Number the {_COUNTED[name]}: 0, 1, ..."
        ) from error
    if tensor.ndim != 1 or tensor.is_floating_point() or tensor.is_complex():
        raise InputError(
            f"{name}: expected integers, one per item, got {tensor.dtype} of shape {tuple(tensor.shape)}."
        )
    return tensor.long()


def _split(strata: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    n = len(strata)
    n_train = round(share * n)
    if not 0 < n_train < n:
        empty = "training" if n_train == 0 else "validation"
        raise InputError(
            f"share: expected a share that leaves an item in each part, got {share} of {n} item(s), which "
            f"leaves the {empty} part empty. Take a share nearer to 0.5, or more items."
        )
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    # Stable: within a class the items stay in random order.
    order = order[torch.argsort(strata[order], stable=True)]
    train, valid, start = [], [], 0
    for size, part in _quotas(torch.unique(strata, return_counts=True)[1].tolist(), share, n_train):
        train.append(order[start : start + part])
        valid.append(order[start + part : start + size])
        start += size
    return torch.cat(train).sort().values, torch.cat(valid).sort().values


def _quotas(sizes: list[int], share: float, n_train: int) -> list[tuple[int, int]]:
    """Distribute `n_train` over the classes by largest remainders, so that the parts sum to it exactly."""
    parts = [int(share * size) for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda k: parts[k] - share * sizes[k])
    for k in by_remainder[: n_train - sum(parts)]:
        parts[k] += 1
    return list(zip(sizes, parts, strict=True))
