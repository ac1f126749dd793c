"""Read the cropped digits of the Street View House Numbers (SVHN) from their MATLAB files.

References:
    Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Y. Ng (2011), "Reading Digits in Natural Images with
    Unsupervised Feature Learning"; the page of the data set, "Format 2".
"""

from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asng.checks import as_path
from asng.data.image_data import ImageData
from asng.data.readers.checksums import Checksums
from asng.data.readers.mat_file import read_mat
from asng.errors import InputError

__all__ = ["SVHN_FILES", "read_svhn"]

SVHN_FILES = ("train_32x32.mat", "test_32x32.mat")
"""Names of the files, training part first."""

_EXTRA = "extra_32x32.mat"


def read_svhn(folder: str | PathLike[str], *, extra: bool = False) -> ImageData:
    """Read the cropped digits of SVHN.

    Args:
        folder: Holds train_32x32.mat and test_32x32.mat. They are checked against a list of checksums if the
            folder has one.
        extra: Whether to append the easier digits of extra_32x32.mat to the training part.

    Returns:
        Images of 3 channels and 32x32 pixels; class d is the digit d (the files call 0 "10").

    Raises:
        InputError: A file is missing, damaged or of MATLAB 7.3. Or its variables, X of uint8 (32, 32, 3, N)
            and y of N numbers from 1 to 10, are missing or have another form.

    Example:
        >>> read_svhn("data/svhn").train_images.shape   # doctest: +SKIP
        torch.Size([73257, 3, 32, 32])
    """
    folder = as_path("folder", folder, to_read=True)
    checksums = Checksums(folder)
    names = (*SVHN_FILES, _EXTRA) if extra else SVHN_FILES
    (train_images, train_labels), test, *more = (_read(folder / name, checksums) for name in names)
    for images, labels in more:
        train_images, train_labels = torch.cat([train_images, images]), torch.cat([train_labels, labels])
    classes = tuple(str(digit) for digit in range(10))
    name = "SVHN with extra" if extra else "SVHN"
    return ImageData(train_images, train_labels, *test, classes, name)


def _read(path: Path, checksums: Checksums) -> tuple[Tensor, Tensor]:
    """Return the images (N, 3, 32, 32) and labels (N,) of a file."""
    if not path.is_file():
        raise InputError(
            f"{path}: expected a file of SVHN's cropped digits, {' and '.join(SVHN_FILES)}, got no such file."
        )
    checksums.check(path)
    variables = read_mat(path, ("X", "y"))
    if len(variables) < 2:
        raise InputError(
            f"{path}: expected the variables X and y, of numbers, got {', '.join(variables) or 'neither'}. "
            'The digits with boxes around them ("Format 1") are not read; take the cropped ones ("Format 2").'
        )
    pixels, numbers = variables["X"], variables["y"].squeeze()
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:3] != (32, 32, 3) or not pixels.size:
        raise InputError(
            f"{path}: expected the variable X of type uint8 and shape (32, 32, 3, N), got {pixels.dtype} of "
            f"shape {pixels.shape}. Is it another file?"
        )
    n = pixels.shape[3]
    if numbers.dtype.kind not in "uif" or numbers.size != n:
        raise InputError(
            f"{path}: expected the variable y of {n} numbers, one per image, got {numbers.dtype} of shape "
            f"{variables['y'].shape}."
        )
    numbers = numbers.reshape(n)
    wrong = numbers[~np.isin(numbers, range(1, 11))]
    if len(wrong):
        raise InputError(f"{path}: expected labels from 1 to 10 in y, got {wrong[0]}. The file is damaged.")
    images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    return torch.from_numpy(images), torch.from_numpy(numbers.astype(np.int64) % 10)
