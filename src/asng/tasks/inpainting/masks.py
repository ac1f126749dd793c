"""The masks of Suganuma et al. (2018), section 4.1, and a dataset of masked images."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from asng.checks import integer_at_least, one_of
from asng.data.augment import random_flip
from asng.options import Mask

__all__ = ["MISSING_PIXELS", "draw_masks", "MaskedImages"]

MISSING_PIXELS = 0.8
"""Share of the pixels that the random pixel mask hides."""


def draw_masks(
    kind: Mask, n: int, height: int, width: int, *, generator: torch.Generator | None = None
) -> Tensor:
    """Draw a mask for each of n images.

    Args:
        kind: Which mask.
        n: How many images, at least 1.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        generator: Generator to draw from. Default: torch's default generator.

    Returns:
        Masks (n, 1, height, width): 1 if a pixel is visible, 0 if it is missing, in all channels.

    Raises:
        InputError: An argument is out of its range.

    Example:
        >>> draw_masks("center", 1, 4, 4)[0, 0]
        tensor([[1., 1., 1., 1.],
                [1., 0., 0., 1.],
                [1., 0., 0., 1.],
                [1., 1., 1., 1.]])
    """
    one_of("mask", kind, list(_KINDS))
    for name, size in (("n", n), ("height", height), ("width", width)):
        integer_at_least(name, size, 1)
    return _KINDS[kind](n, height, width, generator)


def _center(n: int, height: int, width: int, generator: torch.Generator | None) -> Tensor:
    masks = torch.ones(n, 1, height, width)
    masks[:, :, height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = 0
    return masks


def _pixel(n: int, height: int, width: int, generator: torch.Generator | None) -> Tensor:
    return (torch.rand(n, 1, height, width, generator=generator) >= MISSING_PIXELS).float()


def _half(n: int, height: int, width: int, generator: torch.Generator | None) -> Tensor:
    halves = torch.ones(4, 1, height, width)
    halves[0, :, :, : width // 2] = 0
    halves[1, :, : height // 2] = 0
    halves[2, :, :, width // 2 :] = 0
    halves[3, :, height // 2 :] = 0
    return halves[torch.randint(4, (n,), generator=generator)]


_KINDS: dict[str, Callable[[int, int, int, torch.Generator | None], Tensor]] = {
    "center": _center,
    "pixel": _pixel,
    "half": _half,
}


class MaskedImages(Dataset[tuple[Tensor, Tensor]]):
    """Batches of (masked image, image), with pixels in [0, 1] and missing pixels 0.

    Use it with a loader that asks for whole batches: `batch_size=None` and a sampler that yields lists of
    indices. With `num_workers=0` the draws come from torch's default generator in the main process, so that
    a resumed run sees the same batches.

    Args:
        images: Images (N, C, H, W), uint8.
        mask: Which part of an image is missing.
        seed: Fixes one mask for each image, so that scores can be compared. None, for training: a new mask
            each time an image is read, and a left-right flip with probability 1/2.

    Example:
        >>> data = MaskedImages(torch.full((10, 3, 8, 8), 255, dtype=torch.uint8), "center", seed=0)
        >>> masked, images = data[[0, 1]]
        >>> masked.shape, float(images.mean()), float(masked.mean())
        (torch.Size([2, 3, 8, 8]), 1.0, 0.75)
    """

    def __init__(self, images: Tensor, mask: Mask, *, seed: int | None) -> None:
        self.images = images
        self.mask = mask
        self.masks: Tensor | None = None
        if seed is not None:
            height, width = images.shape[2:]
            generator = torch.Generator().manual_seed(seed)
            self.masks = draw_masks(mask, len(images), height, width, generator=generator)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the batch of a list of indices."""
        images = self.images[index].float() / 255
        if self.masks is not None:
            return images * self.masks[index], images
        images = random_flip(images)
        return images * draw_masks(self.mask, len(images), *images.shape[2:]), images
