"""Labelled images, split into a training and a test part."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from asng.errors import InputError

__all__ = ["ImageData", "check_images", "in_words"]


# Comparing tensors gives no single truth value, so two ImageData compare by identity.
@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images as stored in their files: bytes, not yet normalised.

    Args:
        train_images: (N, C, H, W), uint8.
        train_labels: (N,), int64, each in [0, len(classes) - 1].
        test_images: (M, C, H, W), uint8.
        test_labels: (M,), int64.
        classes: Name of each class, at least one.
        name: Name of the data in tables and reports.

    Raises:
        InputError: A shape, a dtype, a count or a label does not fit this description.

    Example:
        >>> pixels, labels = torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1])
        >>> ImageData(pixels, labels, pixels, labels, classes=("cat", "dog"), name="tiny").shape
        (1, 4, 4)
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        for part, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            _check_part(f"{self.name}: {part}", images, labels, len(self.classes))
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise InputError(
                f"{self.name}: expected training and test images of one size, got "
                f"{tuple(self.train_images.shape[1:])} and {tuple(self.test_images.shape[1:])} (C, H, W)."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the shapes, dtypes and bytes of images and labels, 64 hexadecimal digits.

        Runs are comparable only on the same data, which a folder's name does not prove. The names of the data
        and of its classes do not enter. It is computed on first access, in about a second per gigabyte, and
        cached.
        """
        digest = hashlib.sha256()
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)};".encode())
            array = tensor.cpu().contiguous().numpy()
            # Little-endian, so that it is the same on every machine.
            digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).data)
        return digest.hexdigest()


def check_images(name: str, images: Tensor) -> None:
    """Raise InputError unless these are images as bytes, (N, C, H, W), with at least one pixel."""
    right = isinstance(images, Tensor) and images.ndim == 4 and images.dtype == torch.uint8
    if not right or images.numel() == 0:
        raise InputError(
            f"{name}: expected a uint8 tensor (N, C, H, W) of at least one pixel, got {in_words(images)}."
        )


def in_words(value: object) -> str:
    """Return the type and shape of a tensor for an error, or what else came in its place, and what to do.

    Example:
        >>> in_words(torch.zeros(2, 3)), in_words([1, 2])
        ('torch.float32 of shape (2, 3)', 'list. Make it a tensor by torch.as_tensor')
    """
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"{type(value).__name__}. Make it a tensor by torch.as_tensor"


def _check_part(part: str, images: Tensor, labels: Tensor, n_classes: int) -> None:
    check_images(f"{part}_images", images)
    if not isinstance(labels, Tensor) or labels.ndim != 1 or labels.dtype != torch.int64:
        raise InputError(f"{part}_labels: expected an int64 tensor (N,), got {in_words(labels)}.")
    if len(images) != len(labels):
        raise InputError(
            f"{part}: expected one label per image, got {len(images)} images and {len(labels)} labels. "
            "Check that both files are of one set."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= n_classes:
        raise InputError(
            f"{part}_labels: expected labels in [0, {n_classes - 1}] for {n_classes} class(es), "
            f"got labels from {low} to {high}."
        )
