"""Halving the training data, so that architectures are not scored on what the weights were trained on."""

from typing import Any

import torch
from torch.utils.data import DataLoader, random_split

from asng.errors import InputError

__all__ = ["split_loader"]


def split_loader(
    loader: DataLoader[Any], *, share: float = 0.5, seed: int = 0
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return a loader of a random part of the data and one of the rest, both shuffled.

    Args:
        loader: With a dataset that has a length, and a batch size.
        share: Share of the first part, in (0, 1). Default: half, as in the paper (section 5.1).
        seed: Which part.

    Raises:
        InputError: The dataset cannot be split: it has no length, or too few items for a batch each.
    """
    dataset, size = loader.dataset, loader.batch_size
    length = getattr(dataset, "__len__", None)
    if length is None or size is None:
        raise InputError(
            "train_loader: expected a dataset with a length and a batch size, which can be halved, got "
            f"{type(dataset).__name__}. Give a valid_loader of your own."
        )
    first = round(share * length())
    if not 0 < first < length():
        raise InputError(f"train_loader: expected items for both parts, got {length()} in all.")
    parts = random_split(dataset, [first, length() - first], torch.Generator().manual_seed(seed))
    left, right = (
        DataLoader(
            part,
            batch_size=min(size, len(part)),
            shuffle=True,
            drop_last=True,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
        )
        for part in parts
    )
    return left, right
