"""List the pictures in a folder and their classes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from asng.checks import torch_seed
from asng.data.split import split_half
from asng.errors import InputError

__all__ = ["ENDINGS", "Listing", "list_parts", "holds_pictures"]

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm")
"""File name endings of pictures, in lower or upper case."""
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
"""Names of parts of a data set, which are hardly ever those of classes."""


@dataclass(frozen=True)
class Listing:
    """Pictures and their labels.

    Args:
        paths: At least one.
        labels: (N,), int64.
        classes: Names of the labels.
    """

    paths: tuple[Path, ...]
    labels: Tensor
    classes: tuple[str, ...]

    def take(self, indices: Tensor) -> "Listing":
        """Return the pictures with these indices."""
        return Listing(tuple(self.paths[i] for i in indices.tolist()), self.labels[indices], self.classes)


def list_parts(
    folder: Path, *, classes: bool, limit: int | None, test_share: float, seed: int
) -> tuple[Listing, Listing]:
    """Return the training and the test part of a folder.

    Args:
        folder: Holds `train` and `test`, or pictures that are split at random.
        classes: Whether folders are classes.
        limit: Largest number of pictures, of `train` and of `test` each.
        test_share: Share of the test part if the folder has none.
        seed: Seed of that split.

    Raises:
        InputError: As for `read_image_folder`.
    """
    parts = [folder / name for name in ("train", "test") if (folder / name).is_dir()]
    if not parts:
        whole = _thin(_list(folder, classes=classes), limit)
        if classes and {name.lower() for name in whole.classes} <= _PARTS and len(whole.classes) > 1:
            raise InputError(
                f"{folder}: expected one folder per class, or the names train and test, in these letters, "
                f"got {whole.classes[0]!r}. Rename the two folders, and move others away."
            )
        seed = torch_seed("seed", seed)
        try:
            train_indices, test_indices = split_half(whole.labels, share=1.0 - test_share, seed=seed)
        except InputError:
            raise InputError(
                f"{folder}, test_share: expected a share that leaves pictures for both parts, got "
                f"{test_share} of {len(whole.paths)} picture(s). Give another, or put both into the folders "
                "train and test."
            ) from None
        return whole.take(train_indices), whole.take(test_indices)
    if len(parts) == 1:
        raise InputError(
            f"{folder}: expected both folders, train and test, or neither, got {parts[0].name} alone. "
            "Without these folders, a part of all pictures is held out for the test."
        )
    train, test = (_thin(_list(part, classes=classes), limit) for part in parts)
    if train.classes != test.classes:
        odd = sorted(set(train.classes) ^ set(test.classes))
        raise InputError(
            f"{folder}: expected the same classes in train and in test, got {odd[0]!r} in only one of them."
        )
    return train, test


def holds_pictures(folder: Path) -> bool:
    """Return whether a folder, or any folder below it, holds a picture."""
    return next(_walk(folder), None) is not None


def _list(folder: Path, *, classes: bool) -> Listing:
    paths = _pictures(folder)
    if not classes:
        return Listing(tuple(paths), torch.zeros(len(paths), dtype=torch.int64), ("image",))
    owners = [path.relative_to(folder).parts for path in paths]
    for path, parts in zip(paths, owners, strict=True):
        if len(parts) == 1:
            raise InputError(
                f"{path}: expected pictures in folders, one folder per class, got a picture outside them. "
                "Move it into the folder of its class."
            )
    names = sorted({parts[0] for parts in owners})
    numbers = {name: number for number, name in enumerate(names)}
    return Listing(tuple(paths), torch.tensor([numbers[parts[0]] for parts in owners]), tuple(names))


def _pictures(folder: Path) -> list[Path]:
    """Return the pictures at any depth of a folder, sorted by relative path, without hidden files."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of pictures, got no such folder. Check the path.")
    found = list(_walk(folder))
    if not found:
        raise InputError(
            f"{folder}: expected pictures ({', '.join(ENDINGS)}) in it or in its folders, got none."
        )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> NoReturn:  # else os.walk would leave the folder out
        raise InputError(
            f"{error.filename}: expected a folder that can be read, got: {error.strerror}. Open it, or "
            "move it away."
        ) from error

    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        # A link to a folder above would loop for ever.
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in files if _is_picture(name))


def _is_picture(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def _thin(listing: Listing, limit: int | None) -> Listing:
    """Keep at most `limit` pictures, evenly over the sorted names, so that every class keeps its share."""
    n = len(listing.paths)
    if limit is None or limit >= n:
        return listing
    return listing.take(torch.arange(limit) * n // limit)
