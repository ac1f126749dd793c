"""Data to score architectures on: half of the training data, or the validation data in random order."""

import copy
from typing import Any

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    random_split,
)

from asng.errors import InputError

__all__ = ["in_random_order", "loader_like", "split_loader"]


def split_loader(
    loader: DataLoader[Any],
    *,
    share: float = 0.5,
    seed: int = 0,
    names: tuple[str, str] = ("train_loader", "a valid_loader"),
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return a loader of a random part of the data and one of the rest, both shuffled.

    Both draw their order from the generator of the loader's sampler, or of the loader, if there is one.

    Args:
        loader: Has a batch size and a dataset with a length.
        share: Share of the first part, in (0, 1). Default: half, as in the paper (section 5.1).
        seed: Seed of the split.
        names: What messages call the loader, and one of other data that can be given instead.

    Raises:
        InputError: The dataset cannot be split: it has no length, too few items, or a sampler that does not
            draw each item once a pass.

    Example:
        >>> whole = DataLoader(torch.arange(10), batch_size=2, shuffle=True)
        >>> [len(part.dataset) for part in split_loader(whole, share=0.2)]
        [2, 8]
    """
    name, other = names
    dataset, size = getattr(loader, "dataset", None), getattr(loader, "batch_size", None)
    length = getattr(dataset, "__len__", None)
    if dataset is None or length is None or size is None:
        raise InputError(
            f"{name}: expected a dataset with a length and a batch size, which can be divided, got "
            f"{type(loader if dataset is None else dataset).__name__}. Give {other} of your own."
        )
    # The exact class counts: a user's sampler may be a subclass of these.
    if type(loader.sampler) not in (RandomSampler, SequentialSampler):
        raise InputError(
            f"{name}: expected plain shuffling, which a part can take over, got "
            f"{type(loader.sampler).__name__}. Give {other} of your own."
        )
    sampler: Any = loader.sampler  # one of torch, which has a length
    drawn, again = len(sampler), getattr(sampler, "replacement", False)
    if drawn != length() or again:
        got = (f" of {drawn} items" if drawn != length() else "") + (" with replacement" if again else "")
        raise InputError(
            f"{name}: expected a sampler that draws each of its {length()} items once, which a part can take "
            f"over, got a {type(sampler).__name__}{got}. Give {other} of your own. Then {name} is used as it "
            "is."
        )
    first = round(share * length())
    if not 0 < first < length():
        raise InputError(
            f"{name}: expected items for both parts, got {length()} in all. Give more data, or {other} of "
            "your own."
        )
    parts = random_split(dataset, [first, length() - first], torch.Generator().manual_seed(seed))
    own = getattr(sampler, "generator", loader.generator)  # a SequentialSampler has none
    left, right = (
        loader_like(
            loader,
            part,
            batch_size=min(size, len(part)),
            sampler=RandomSampler(part, generator=own),
            generator=loader.generator,
            drop_last=True,
        )
        for part in parts
    )
    return left, right


def loader_like(loader: DataLoader[Any], data: Dataset[Any], **order: Any) -> DataLoader[Any]:
    """Return a loader of other data with the settings of a loader, except those of the order.

    Args:
        loader: The loader whose workers, collating, pinning and timeout are taken over.
        data: What to load.
        order: Batch size, shuffling and the like, as DataLoader takes them.

    Example:
        >>> whole = DataLoader(torch.arange(9), num_workers=2, timeout=3)
        >>> part = loader_like(whole, torch.arange(4), batch_size=2)
        >>> part.num_workers, part.timeout, part.batch_size
        (2, 3, 2)
    """
    names = ["num_workers", "collate_fn", "pin_memory", "pin_memory_device", "worker_init_fn"]
    if loader.num_workers:  # else torch allows none of these
        names += ["timeout", "prefetch_factor", "multiprocessing_context", "persistent_workers"]
    return DataLoader(data, **{name: getattr(loader, name) for name in names}, **order)


def in_random_order(loader: DataLoader[Any], *, seed: int = 0) -> DataLoader[Any]:
    """Return a loader of the same items in a random order that is the same in every pass.

    A search scores on few batches. Folders of images are read class by class, so the first batches of a
    loader that does not shuffle may all be of one class. A loader that shuffles, or that orders its items
    in a way of its own, is returned as it is.

    Args:
        loader: Loader of validation data.
        seed: Seed of the order.

    Example:
        >>> sorted_by_class = DataLoader(torch.arange(6), batch_size=3)
        >>> mixed = in_random_order(sorted_by_class)
        >>> [batch.tolist() for batch in mixed], [batch.tolist() for batch in mixed]
        ([[2, 5, 3], [0, 1, 4]], [[2, 5, 3], [0, 1, 4]])
    """
    if (
        type(loader) is not DataLoader
        or type(loader.sampler) is not SequentialSampler
        or loader.batch_size is None
        or not hasattr(loader.dataset, "__len__")
    ):
        return loader
    order = torch.randperm(len(loader.dataset), generator=torch.Generator().manual_seed(seed))
    mixed = copy.copy(loader)
    sampler = SequentialSampler(data := Subset(loader.dataset, order.tolist()))
    batches = BatchSampler(sampler, loader.batch_size, loader.drop_last)
    # Bypass `__setattr__`, which allows no change, and drop the iterator that the original keeps.
    mixed.__dict__ |= {"dataset": data, "sampler": sampler, "batch_sampler": batches, "_iterator": None}
    return mixed
