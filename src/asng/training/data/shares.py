"""The share of every batch that one process trains on.

Where items are the same whenever they are taken, a process loads its share alone. Where they are drawn anew,
as by augmentation, where a loader has a way of its own, or where its items are whole batches, it takes the
whole batch and cuts its share out, so that all processes draw the same numbers as a single one does.
"""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from asng.distributed import Comm
from asng.training.data.in_memory import by_whole_batches
from asng.training.data.nested import cut
from asng.training.data.random_state import generator_states, restore_generators

__all__ = ["Shares", "repeats_items"]


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
