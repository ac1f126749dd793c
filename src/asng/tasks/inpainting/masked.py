"""Images with something missing, a batch at once."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from asng.data.augment import random_flip
from asng.tasks.inpainting.masks import Mask, draw_masks

__all__ = ["MaskedImages"]


class MaskedImages(Dataset[tuple[Tensor, Tensor]]):
    """Batches of (masked image, image), pixels in [0, 1] and 0 where they are missing.

    For a loader that asks for whole batches, `batch_size=None` and a sampler that yields lists of indices.
    With `num_workers=0` the draws come from torch's default generator in the main process, so that a resumed
    run sees the same batches.

    Args:
        images: (N, C, H, W), uint8.
        mask: What is missing.
        seed: Fixes one mask for each image, so that scores can be compared. None, for training: a new mask
            whenever an image is taken, which is flipped from left to right half of the times.

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
