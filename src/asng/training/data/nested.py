"""Batches of any form: what tensors they hold, how many items, and parts of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

__all__ = ["batch_size_of", "tensors_in", "to_device", "cut"]


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


def to_device(batch: Any, device: torch.device) -> Any:
    """Return `batch` with every tensor in its tuples, lists and dictionaries on `device`."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if callable(getattr(batch, "to", None)):  # packed sequences, batches of graphs, encoded text
        return batch.to(device)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(value, device) for value in batch)
    return batch


def batch_size_of(batch: Any) -> int:
    """Return how many items a batch holds.

    That is the length of the first tensor found in it; of a list of tensors of different lengths (sequences,
    sets) and of a packed sequence it is how many there are. 1 where there is no tensor.
    """
    if isinstance(batch, PackedSequence):
        return int(batch.batch_sizes[0])
    if isinstance(batch, torch.Tensor):
        return len(batch) if batch.ndim else 1
    if isinstance(batch, list) and _is_ragged(batch):
        return len(batch)
    if isinstance(batch, (dict, tuple, list)):
        parts = batch.values() if isinstance(batch, dict) else batch
        first = next((part for part in parts if next(tensors_in(part), None) is not None), None)
        return 1 if first is None else batch_size_of(first)
    return 1


def tensors_in(batch: Any) -> Iterator[torch.Tensor]:
    """Yield all tensors in the tuples, lists and dictionaries of `batch`."""
    if isinstance(batch, torch.Tensor):
        yield batch
    elif isinstance(batch, (dict, tuple, list)):
        for part in batch.values() if isinstance(batch, dict) else batch:
            yield from tensors_in(part)


def _is_ragged(parts: list[Any]) -> bool:
    lengths = {len(part) for part in parts if isinstance(part, torch.Tensor) and part.ndim}
    return len(lengths) > 1
