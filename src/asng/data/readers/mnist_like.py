"""Read data sets in MNIST's four-file layout: MNIST, Fashion-MNIST, KMNIST, EMNIST after renaming, ..."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asng.checks import as_path
from asng.data.image_data import ImageData
from asng.data.readers.checksums import Checksums
from asng.data.readers.idx import read_idx
from asng.errors import InputError

__all__ = ["MNIST_FILES", "read_mnist_like", "holds_mnist_like", "from_idx_arrays"]

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Stems of the four files, in the order of the arrays of `ImageData`."""

_ENDINGS = ("", ".gz", ".xz")


def read_mnist_like(
    folder: str | PathLike[str], *, classes: Sequence[str] | None = None, name: str | None = None
) -> ImageData:
    """Read the four IDX files of MNIST's layout from a folder.

    Args:
        folder: Holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
            t10k-labels-idx1-ubyte, each plain or with .gz or .xz. They are checked against a list of
            checksums if the folder has one.
        classes: Names of the classes. Default: "0", "1", ... up to the greatest training label, if at least
            half of these occur.
        name: Name of the data in reports. Default: the folder's name.

    Returns:
        Images of one channel.

    Raises:
        InputError: A file is missing, damaged or not of type uint8; counts or sizes disagree; a label has
            no class; or fewer than half of the default classes occur.

    Example:
        >>> read_mnist_like("data/fashion-mnist").classes   # doctest: +SKIP
        ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    folder = as_path("folder", folder, to_read=True)
    arrays = {stem: _read(folder, stem, ndim=3 if "images" in stem else 1) for stem in MNIST_FILES}
    return from_idx_arrays(arrays, classes=classes, name=name or folder.resolve().name)


def holds_mnist_like(folder: Path) -> bool:
    """Return whether a folder holds any of the four files."""
    return any((folder / f"{stem}{ending}").is_file() for stem in MNIST_FILES for ending in _ENDINGS)


def from_idx_arrays(
    arrays: Mapping[str, NDArray[Any]], *, classes: Sequence[str] | None, name: str
) -> ImageData:
    """Make `ImageData` from the arrays of the four files.

    Args:
        arrays: One per name in `MNIST_FILES`: images (N, H, W) and labels (N,), all uint8.
        classes: As for `read_mnist_like`.
        name: Name of the data in reports.

    Raises:
        InputError: An array is empty or not uint8, counts or sizes disagree, or a label has no class.
    """
    for stem, array in arrays.items():
        if array.dtype != np.uint8 or array.size == 0:
            raise InputError(
                f"{name}, {stem}: expected at least one number, of type uint8, got {array.dtype} of shape "
                f"{array.shape}. Read other types by read_idx and build ImageData yourself."
            )
    train_images, train_labels, test_images, test_labels = (torch.from_numpy(arrays[s]) for s in MNIST_FILES)
    if classes is None:
        found, most = len(np.unique(arrays[MNIST_FILES[1]])), int(train_labels.max())
        if 2 * found <= most:  # labels from 1 on, or a few that do not occur, are as in well-known data
            raise InputError(
                f"{name}, {MNIST_FILES[1]}: expected labels 0, 1, ... of which most occur, got {found} "
                f"label(s) up to {most}. Number them from 0, or name all classes to read_mnist_like."
            )
        classes = [str(label) for label in range(most + 1)]
    return ImageData(
        train_images=train_images.unsqueeze(1),
        train_labels=train_labels.long(),
        test_images=test_images.unsqueeze(1),
        test_labels=test_labels.long(),
        classes=tuple(classes),
        name=name,
    )


def _read(folder: Path, stem: str, *, ndim: int) -> NDArray[Any]:
    for ending in _ENDINGS:
        path = folder / f"{stem}{ending}"
        if path.exists():
            Checksums(folder).check(path)
            return read_idx(path, ndim=ndim)
    state = "a folder without it" if folder.is_dir() else "no such folder"
    raise InputError(
        f"{folder}: expected a folder with the file {stem} (plain, .gz or .xz), got {state}. "
        f"Put all four files there: {', '.join(MNIST_FILES)}."
    )
