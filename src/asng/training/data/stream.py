"""An endless stream of batches that can be stopped and resumed at the same batch."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any
from zlib import crc32

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset, TensorDataset, default_collate

from asng.errors import InputError, RunError
from asng.training.data.nested import expected_items, tensors_in
from asng.training.data.random_state import (
    GLOBAL,
    generator_states,
    plain_states,
    restore_generators,
    restore_plain,
)
from asng.training.faults import timeouts_told

__all__ = ["BatchStream", "with_new_workers", "by_whole_batches"]


class BatchStream:
    """Repeats passes over a loader without end.

    The state of a pass is its number of batches so far and the states that torch's, Python's and NumPy's
    generators had when it began. A resume begins the same pass, with the same shuffling, and skips that many
    batches. Persistent workers are started anew with every pass like others, because the states of their own
    generators could not be restored.

    Args:
        loader: Yields the batches; must have a length.
        name: Name of the loader, for messages.

    Attributes:
        summed: Checksum of the last batch's tensors before anyone changes them, to see that all processes
            take the same batches. None, and not computed, until it is set to 0.

    Raises:
        InputError: The loader has no length or no batch.
    """

    def __init__(self, loader: DataLoader[Any], name: str) -> None:
        if _length(loader, name) == 0:
            raise InputError(
                f"{name}: expected at least one batch, got none. Give more data or a smaller batch."
            )
        self.loader = loader = with_new_workers(loader)
        self.name = name
        self._quick = by_whole_batches(loader)
        self._taken = self._length = 0  # of the current pass
        self._iterator: Iterator[Any] | None = None
        self._start = self._first = generator_states(loader)
        self.summed: int | None = None

    def __len__(self) -> int:
        return len(self.loader)

    def next(self) -> Any:
        """Return the next batch; begin a new pass if the last one is over."""
        if self._iterator is None or self._taken == self._length:
            self._start, self._taken = generator_states(self.loader), 0
            self._iterator, self._length = iter(self._quick), len(self.loader)
        return self._next(self._iterator)

    def expected(self) -> int | None:
        """Return how many items the loader should have put into the last batch; None if it does not say."""
        return expected_items(self.loader, self._taken - 1)

    def close(self) -> None:
        """Let go of the current pass, so that the workers of its loader end now.

        If they are left to the garbage collector, torch misses their end and waits five seconds for each.
        """
        self._iterator = None

    def rewind(self) -> None:
        """Go back to the first batch of the run, with the generators as they were before it."""
        restore_generators(self.loader, self._first)
        self._iterator, self._taken = None, 0

    def first(self) -> Any:
        """Return the whole first batch of the run, and leave the generators as they are."""
        now = generator_states(self.loader)
        restore_generators(self.loader, self._first)
        try:
            with timeouts_told(self.name):
                return next(iter(self.loader))
        except StopIteration:
            raise self._too_short(0) from None
        finally:
            restore_generators(self.loader, now)

    def few(self, count: int) -> Any:
        """Return the first items of the first batch, collated as the loader does it.

        None if the batch has no more than `count` items, or cannot be read here. Generators are left as they
        are.
        """
        now = generator_states(self.loader)
        restore_generators(self.loader, self._first)
        try:
            loader: Any = self.loader
            numbers = next(iter(loader.batch_sampler))
            if len(numbers) <= count:
                return None
            sampler, apart = [numbers[:count]], torch.Generator()
            few = DataLoader(
                loader.dataset, batch_sampler=sampler, collate_fn=loader.collate_fn, generator=apart
            )
            return next(iter(few))
        except Exception:  # data that come one after the other, or that only a worker of the loader can read
            return None
        finally:
            restore_generators(self.loader, now)

    def of_one(self) -> Any:
        """Return a batch of one item if the first or the last of a pass is known to be one, else None."""
        first, last = (expected_items(self.loader, number) for number in (0, len(self) - 1))
        if first == 1:
            return self.first()
        return self.few(1) if last == 1 else None

    def fingerprint(self) -> str:
        """Return a digest of the first batch of the run."""
        total = blake2b(digest_size=16)
        for tensor in tensors_in(self.first()):
            total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return total.hexdigest()

    def _next(self, iterator: Iterator[Any]) -> Any:
        try:
            with timeouts_told(self.name):
                batch = next(iterator)
        except StopIteration:
            raise self._too_short(self._taken) from None
        self._taken += 1
        if self.summed is not None:
            self.summed = _sum(batch)
        return batch

    def _too_short(self, taken: int) -> InputError:
        return InputError(
            f"{self.name}: expected {len(self)} batches a pass, as its length says, got {taken}. "
            "Give a loader whose length is right."
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the stream, for a checkpoint."""
        now = generator_states(self.loader)
        taken = {"batches": len(self), "taken": self._taken}
        return taken | {"first": self._first, "start": self._start, "now": now}

    def refuse_other(self, state: dict[str, Any]) -> None:
        """Raise unless a state from `state_dict` may be one of this loader.

        Raises:
            RunError: The state is of a loader with another length or other generators.
        """
        if state["batches"] != len(self) or state["start"].keys() != self._start.keys():
            raise RunError(
                f"{self.name}: expected the loader of the checkpoint, {state['batches']} batches and "
                f"generators {_own(state['start'])}, got {len(self)} and {_own(self._start)}. Resume "
                "with the same loaders."
            )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where `state_dict` was taken.

        The loader's own generators are put back to where they were then; the global ones stay as they are.

        Raises:
            RunError: As in `refuse_other`.
        """
        self.refuse_other(state)
        default, plain = torch.get_rng_state(), plain_states()
        self._first, self._start, self._taken, self._iterator = state["first"], state["start"], 0, None
        if state["taken"] > 0:  # else the pass has not begun, and beginning it would draw from the generators
            restore_generators(self.loader, self._start)
            self._iterator, self._length = iter(self._quick), len(self.loader)
            for _ in range(state["taken"]):
                self._next(self._iterator)
        # If two loaders share a generator, its state is one that neither of them alone leads to.
        restore_generators(self.loader, state["now"])
        torch.set_rng_state(default)
        restore_plain(plain)


def _sum(batch: Any) -> int:
    total = 0
    for tensor in tensors_in(batch):
        if tensor.device.type == "cpu" and not tensor.is_sparse:  # reading from a GPU would wait for it
            content = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
            total = crc32(content.data, total)
    return total


def _length(loader: DataLoader[Any], name: str) -> int:
    try:
        return len(loader)
    except TypeError:  # also from a DataLoader whose dataset has none
        raise InputError(
            f"{name}: expected a loader with a length, got {type(loader).__name__}. Give its dataset a "
            "__len__, so that a pass over the data has an end."
        ) from None


def _own(states: dict[str, torch.Tensor]) -> list[str]:
    """Return the names of the generators, for messages; the global ones count as one, "default"."""
    return sorted(states.keys() - set(GLOBAL[1:]))


def with_new_workers(loader: DataLoader[Any]) -> DataLoader[Any]:
    """Return a loader that begins every pass with new workers: itself, or a copy of it."""
    if not getattr(loader, "persistent_workers", False):
        return loader
    loader = copy.copy(loader)
    # Bypass `__setattr__`, which allows no change, and drop the iterator that the original keeps.
    loader.__dict__ |= {"persistent_workers": False, "_iterator": None}
    return loader


# --- batches of tensors in memory, taken by one operation instead of item by item ------------------------


def by_whole_batches(loader: DataLoader[Any]) -> Iterable[Any]:
    """Return a faster iterable of the same batches, if there surely is one; else the loader itself.

    There is one for a `TensorDataset`, or a subset of one, that is loaded in this process and collated by
    default. Then indexing with all indices of a batch gives that batch, to the last bit, some ten times
    faster. Random numbers are drawn as torch's loader draws them.

    Args:
        loader: Any loader; its samplers and generators are used as they are.

    Example:
        >>> loader = DataLoader(TensorDataset(torch.arange(4)), batch_size=2)
        >>> list(by_whole_batches(loader))
        [[tensor([0, 1])], [tensor([2, 3])]]
    """
    if type(loader) is not DataLoader or loader.num_workers or loader.batch_sampler is None:
        return loader
    if loader.collate_fn is not default_collate:
        return loader
    tensors, indices = _in_memory(loader.dataset)
    return loader if tensors is None else _WholeBatches(loader, tensors, indices)


class _WholeBatches:
    """Yields the batches of a loader, each by one indexing operation.

    Args:
        loader: Its sampler says which items a batch has.
        tensors: The data, with items along the first dimension of each tensor.
        indices: Which of these items the data set has; None for all.
    """

    def __init__(self, loader: DataLoader[Any], tensors: Sequence[Tensor], indices: Tensor | None) -> None:
        self.loader, self.tensors, self.indices = loader, tensors, indices
        self._pins = loader.pin_memory and torch.cuda.is_available()  # as torch's loader decides it

    def __iter__(self) -> Iterator[list[Tensor]]:
        # torch's loader draws this for workers when a pass begins, before its sampler draws.
        torch.empty((), dtype=torch.int64).random_(generator=self.loader.generator)
        return map(self._batch, self.loader.batch_sampler)  # type: ignore[arg-type]

    def _batch(self, numbers: Sequence[int]) -> list[Tensor]:
        chosen = torch.tensor(numbers, dtype=torch.long)
        if self.indices is not None:
            chosen = self.indices[chosen]
        batch = [tensor[chosen] for tensor in self.tensors]  # a list, as torch collates one
        return [part.pin_memory() for part in batch] if self._pins else batch


def _in_memory(dataset: Any) -> tuple[Sequence[Tensor] | None, Tensor | None]:
    """Return the tensors of a dataset, None if it is not made of any, and which of their items it has."""
    indices = None
    while type(dataset) is Subset:
        chosen = torch.tensor([int(index) for index in dataset.indices])
        indices = chosen if indices is None else chosen[indices]
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset or not all(map(_is_plain, dataset.tensors)):
        return None, None
    return dataset.tensors, indices


def _is_plain(tensor: Tensor) -> bool:
    """Whether stacking the items of a tensor gives what indexing gives, with the same layout."""
    return (
        type(tensor) is Tensor
        and tensor.layout is torch.strided
        and tensor.is_contiguous()
        and not tensor.requires_grad
    )
