"""Look into batches of any form: which tensors they hold, and how many items."""

import copy
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any, TypeAlias

import torch
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import BatchSampler, DataLoader

from asng.errors import InputError

__all__ = [
    "CountItems",
    "batch_size_of",
    "expected_items",
    "items_of",
    "own_copy",
    "parts_of",
    "tensors_in",
    "to_device",
]

CountItems: TypeAlias = Callable[[Any], float]
"""Returns how many items a batch counts for."""

_COUNTS = ("num_graphs", "batch_size", "num_nodes")
"""Attributes of batch objects that give their number of items, in order of preference: batches of graphs,
dictionaries of tensors and sampled neighbours, single graphs."""


def to_device(batch: Any, device: torch.device) -> Any:
    """Return `batch` with every tensor in it on `device`.

    This looks into tuples, lists, mappings and dataclasses, each of which keeps its type. Objects with a
    method `to` (packed sequences, batches of graphs, encoded text) are moved by it.
    """
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if type(batch) is dict:
        return {key: to_device(value, device) for key, value in batch.items()}
    if callable(getattr(batch, "to", None)) and not isinstance(batch, type):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return _like(batch, {key: to_device(value, device) for key, value in batch.items()})
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(value, device) for value in batch)
    if _is_record(batch):
        moved = copy.copy(batch)
        for field in fields(batch):
            # Bypass `__setattr__`: the dataclass may be frozen.
            object.__setattr__(moved, field.name, to_device(getattr(batch, field.name), device))
        return moved
    return batch


def own_copy(batch: Any) -> Any:
    """Return a batch from which a loss may take things: its containers are copied, its tensors shared.

    The same batch goes to several architectures, and losses often begin with `labels = batch.pop("labels")`.

    Example:
        >>> batch = [{"x": 1, "labels": 2}]
        >>> own_copy(batch).pop().pop("labels"), batch
        (2, [{'x': 1, 'labels': 2}])
    """
    if type(batch) in (list, tuple):
        return type(batch)(map(own_copy, batch))
    if not isinstance(batch, MutableMapping):
        return batch
    copied = copy.copy(batch)
    for key, part in batch.items():
        if isinstance(part, (list, tuple, MutableMapping)):
            copied[key] = own_copy(part)
    return copied


def _like(batch: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """Return a mapping of the type of `batch` with other values; a dictionary if that type is read-only."""
    try:
        made: Any = copy.copy(batch)
        for key, value in values.items():
            made[key] = value
    except TypeError:
        return values
    return made


def tensors_in(batch: Any) -> Iterator[torch.Tensor]:
    """Yield all tensors in the tuples, lists, mappings, dataclasses and graphs of `batch`."""
    if isinstance(batch, torch.Tensor):
        yield batch
    else:
        for part in parts_of(batch):
            yield from tensors_in(part)


def checksum(batch: Any) -> str:
    """Return a short checksum of all tensors in a batch or a state dictionary.

    Example:
        >>> checksum({"a": torch.zeros(3)}), checksum({"a": torch.ones(3)})
        ('7bd5c66f', 'dc7c4e94')
    """
    total = 0
    for tensor in tensors_in(batch):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        total = zlib.crc32(flat.view(torch.uint8).numpy().data, total)
    return f"{total:08x}"


def parts_of(batch: Any) -> list[Any]:
    """Return the parts of a batch; none if it is not a container."""
    if isinstance(batch, Mapping):
        return list(batch.values())
    if isinstance(batch, (tuple, list)):
        return list(batch)
    if _is_record(batch):
        return [getattr(batch, field.name) for field in fields(batch)]
    if callable(getattr(batch, "to_dict", None)) and callable(getattr(batch, "to", None)):
        return list(batch.to_dict().values())  # a graph
    return []


def _is_record(batch: Any) -> bool:
    return is_dataclass(batch) and not isinstance(batch, type)


# --- how many items ------------------------------------------------------------------------------------


def expected_items(loader: Any, number: int) -> int | None:
    """Return how many items a loader should put into its batch of that number; None if it does not say.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> loader = DataLoader(torch.arange(5), batch_size=2)
        >>> [expected_items(loader, number) for number in range(3)], expected_items([1, 2], 0)
        ([2, 2, 1], None)
    """
    if not isinstance(loader, DataLoader):
        return None
    size, sampler = loader.batch_size, loader.sampler
    if type(loader.batch_sampler) is BatchSampler:  # it has both, even if the user has given it
        size, sampler = loader.batch_sampler.batch_size, loader.batch_sampler.sampler
    if type(size) is not int:
        return None
    try:
        left = len(sampler) - number * size  # type: ignore[arg-type]
    except TypeError:  # data without a length
        return None
    return min(size, left) if left > 0 else None


def items_of(batch: Any, expected: int | None = None, items: CountItems | None = None) -> float:
    """Return how many items a batch counts for.

    Args:
        batch: As the loader yields it.
        expected: How many items the loader should have put into it, if that is known.
        items: The user's own count, which takes precedence.

    Raises:
        InputError: The user's own count is not a finite number >= 0.
    """
    if items is None:
        return batch_size_of(batch, expected)
    count: Any = items(batch)
    if isinstance(count, torch.Tensor) and count.numel() == 1:
        count = count.item()
    is_number = isinstance(count, Real) and not isinstance(count, bool)
    if not is_number or not 0.0 <= float(count) < math.inf:
        raise InputError(f"items: expected how many items a batch has, a number >= 0, got {count!r:.80}.")
    return int(count) if isinstance(count, Integral) or float(count).is_integer() else float(count)


def batch_size_of(batch: Any, expected: int | None = None) -> int:
    """Return how many items a batch holds.

    That is the first dimension of a tensor, the length of a list of images, sequences or samples, and what a
    packed sequence or a batch of graphs says. For a tuple or a mapping, it is the number on which most parts
    agree, or that of the first part if none do. If nothing tells, it is 1.

    Args:
        batch: As the loader yields it.
        expected: How many items the loader should have put into it. Taken if any part of the batch has that
            number: a list of two tensors may be two items, or inputs and targets of many.

    Example:
        >>> images, targets = [torch.ones(3, 8, 8)] * 5, [{"boxes": torch.ones(2, 4)}] * 5
        >>> batch_size_of((images, targets)), batch_size_of([torch.ones(4, 2), torch.ones(4)])
        (5, 4)
    """
    counts = _counts(batch, inner=False)
    if expected is not None and (expected in counts or expected in _all_counts(batch)):
        return expected
    return counts[0] if counts else 1


def _counts(batch: Any, *, inner: bool) -> list[int]:
    """Return the possible numbers of items in a batch or in a part of it, the likeliest first."""
    if isinstance(batch, PackedSequence):
        return [int(batch.batch_sizes[0])]
    if isinstance(batch, torch.Tensor) or hasattr(batch, "__array_interface__"):
        return [int(batch.shape[0])] if batch.ndim else []
    if (said := _said(batch)) is not None:
        return [said]
    if isinstance(batch, Mapping) or _is_record(batch):
        return _agreed(_fields(parts_of(batch)))
    if isinstance(batch, (tuple, list)) and batch:
        return _counts_of_list(batch, inner=inner)
    return []


def _counts_of_list(parts: tuple[Any, ...] | list[Any], *, inner: bool) -> list[int]:
    if all(isinstance(part, torch.Tensor) for part in parts):
        lengths = [len(part) for part in parts if part.ndim]
        ragged = isinstance(parts, list) and len(lengths) == len(parts) and len(set(lengths)) > 1
        if ragged or not lengths:
            return [len(parts)]
        # Inputs and targets; or, inside a field, several images.
        return [len(parts), lengths[0]] if inner else _agreed([[length] for length in lengths])
    if all(isinstance(part, Mapping) or _is_record(part) or _is_sample(part) for part in parts):
        return [len(parts)]
    return _agreed(_fields(parts)) or [len(parts)]


def _fields(parts: Sequence[Any]) -> list[list[int]]:
    """Return the possible numbers of items in each part; only in parts with tensors if there are any."""
    telling = [part for part in parts if next(tensors_in(part), None) is not None]
    return [_counts(part, inner=True) for part in telling or parts]


def _is_sample(part: Any) -> bool:
    """Whether a tuple looks like one item with its label, and not like the images of a batch."""
    if not isinstance(part, (tuple, list)) or len(part) < 2:
        return False
    return len({x.ndim if isinstance(x, torch.Tensor) else type(x) for x in part}) > 1


def _said(batch: Any) -> int | None:
    """Return how many items an object itself says that it has, or None."""
    if isinstance(batch, (tuple, list, dict, str)) or _is_record(batch):
        return None
    for name in _COUNTS:
        value = getattr(batch, name, None)
        if isinstance(value, torch.Size) and value:
            return int(value[0])
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _agreed(parts: list[list[int]]) -> list[int]:
    """Return the numbers of several parts, the most frequent first, equally frequent ones in order."""
    votes = Counter(count for part in parts for count in dict.fromkeys(part))
    return sorted(votes, key=lambda count: -votes[count])


def _all_counts(batch: Any) -> set[int]:
    """Return the lengths of all tensors and lists in a batch."""
    found = set(_counts(batch, inner=True))
    if isinstance(batch, (tuple, list)):
        found.add(len(batch))
    return found.union(*(_all_counts(part) for part in parts_of(batch)))
