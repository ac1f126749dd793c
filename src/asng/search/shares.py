"""The share of every batch that one process trains on.

Where items are the same whenever they are taken, a process loads its share alone. Where they are drawn anew,
as by augmentation, where a loader has a way of its own, or where its items are whole batches, it takes the
whole batch and cuts its share out, so that all processes draw the same numbers as a single one does.
"""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from asng.distributed import Comm
from asng.search.generators import generator_states, restore_generators
from asng.search.whole_batches import by_whole_batches

__all__ = ["Shares", "cut", "repeats_items"]


class Shares:
    """Goes over a loader, and yields of every batch this process's share and what its mean counts.

    Args:
        loader: Of the whole batches.
        comm: Says which share.
        size_of: Returns how many items a batch holds.
    """

    def __init__(self, loader: DataLoader[Any], comm: Comm, size_of: Any) -> None:
        self.given = self.loader = by_whole_batches(loader)
        self.comm, self.size_of = comm, size_of
        self.indices: _Indices | None = None
        if comm.size > 1 and repeats_items(loader):
            self.indices = _Indices(_sampler(loader), comm)
            self.loader = by_whole_batches(_over(loader, self.indices))

    def over(self, *, whole: bool = False) -> Iterator[tuple[Any, float]]:
        """Begin a pass; of whole batches, if asked for."""
        if self.comm.size == 1 or whole:
            return ((batch, 1.0) for batch in iter(self.given))
        if self.indices is not None:
            self.indices.weights.clear()  # before workers are sent ahead, which take the first batches
        iterator = iter(self.loader)
        if self.indices is not None:
            return ((batch, self.indices.weights.popleft()) for batch in iterator)
        return (self._cut(batch) for batch in iterator)

    def _cut(self, batch: Any) -> tuple[Any, float]:
        items = self.size_of(batch)
        part = self.comm.part(items)
        if part.stop - part.start == items:
            return batch, part.weight
        try:
            return cut(batch, part.start, part.stop, items), part.weight
        except ValueError as error:
            warnings.warn(
                f"train_loader: every process trains on whole batches, since one cannot be cut: {error}. "
                "Give a torch.utils.data.DataLoader over a dataset with a length, for a share each.",
                stacklevel=2,
            )
            return batch, 1.0 / self.comm.size


class _Indices:
    """Yields of every list of indices this process's share, and keeps what its mean counts."""

    def __init__(self, sampler: Iterable[Any], comm: Comm) -> None:
        self.sampler, self.comm = sampler, comm
        self.weights: deque[float] = deque()

    def __iter__(self) -> Iterator[Any]:
        for indices in self.sampler:
            part = self.comm.part(len(indices))
            self.weights.append(part.weight)
            yield indices[part.start : part.stop]


def _over(loader: DataLoader[Any], indices: _Indices) -> DataLoader[Any]:
    """Return a loader like the given one, but for the items it is to load."""
    by_batch = loader.batch_sampler is not None
    workers = {"prefetch_factor": loader.prefetch_factor, "persistent_workers": loader.persistent_workers}
    return DataLoader(
        loader.dataset,
        batch_sampler=indices if by_batch else None,
        **({} if by_batch else {"batch_size": None, "sampler": indices}),  # type: ignore[arg-type]
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        **(workers if loader.num_workers else {}),  # type: ignore[arg-type]
    )


def repeats_items(loader: Any) -> bool:
    """Whether a loader takes items by the indices that its sampler gives, the same whenever they are taken.

    One or two are taken, to see whether that draws numbers from a generator of Python, NumPy, torch, or the
    loader's dataset; all generators are left as they were.

    Example:
        >>> repeats_items(DataLoader(torch.arange(4), batch_size=2, shuffle=True))
        True
    """
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return False
    if type(loader).__iter__ is not DataLoader.__iter__:
        return False
    before = generator_states(loader)
    try:
        indices = next(iter(_sampler(loader)), None)
        if not isinstance(indices, (list, tuple)):
            return False
        unmoved = generator_states(loader)
        if loader.batch_sampler is None:
            loader.collate_fn(loader.dataset[indices])
        else:
            loader.collate_fn([loader.dataset[index] for index in indices[:2]])
        return _alike(unmoved, generator_states(loader))
    finally:
        restore_generators(loader, before)


def _sampler(loader: DataLoader[Any]) -> Iterable[Any]:
    """Return what yields the indices of whole batches, if anything does."""
    return loader.sampler if loader.batch_sampler is None else loader.batch_sampler


def _alike(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def cut(batch: Any, start: int, stop: int, items: int) -> Any:
    """Return some items of a batch: of every tensor, array and list in it that has one entry an item.

    Args:
        batch: A tensor, or a tuple, list or dictionary of them. Of what has another length, as numbers and
            words that are the batch's own, all is kept.
        start: The first item.
        stop: The item after the last.
        items: How many the batch has.

    Raises:
        ValueError: It holds tensors, but none with an entry an item, or something that hides its items.

    Example:
        >>> cut({"x": torch.arange(4), "names": ["a", "b", "c", "d"], "scale": 2.0}, 1, 3, 4)
        {'x': tensor([1, 2]), 'names': ['b', 'c'], 'scale': 2.0}
    """
    if isinstance(batch, (torch.Tensor, np.ndarray)):
        if batch.ndim == 0:
            return batch
        if len(batch) != items:
            raise ValueError(f"a tensor of shape {tuple(batch.shape)} in a batch of {items} items")
        return batch[start:stop]
    if isinstance(batch, dict):
        return {key: cut(value, start, stop, items) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        if callable(getattr(batch, "to", None)):  # a packed sequence
            raise ValueError(f"a {type(batch).__name__}")
        return type(batch)(*(cut(value, start, stop, items) for value in batch))
    if isinstance(batch, list) and len(batch) == items and not _is_row(batch, items):
        return batch[start:stop]
    if isinstance(batch, (tuple, list)):
        return type(batch)(cut(value, start, stop, items) for value in batch)
    if batch is None or isinstance(batch, (bool, int, float, str, bytes)):
        return batch
    raise ValueError(f"a {type(batch).__name__}")


def _is_row(parts: list[Any], items: int) -> bool:
    """Whether a list as long as the batch holds parts of the batch, not its items: each as long itself."""
    return all(isinstance(part, torch.Tensor) and part.ndim and len(part) == items for part in parts)
