"""Batches of any form: what tensors they hold, and how many items."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

__all__ = ["batch_size_of", "tensors_in", "to_device"]


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
