"""How near a restored image comes to the true one: PSNR and SSIM, by torchmetrics."""

from typing import Any

import torch
from torch import Tensor

from asng.training import Forward

__all__ = ["MOST_PSNR", "psnr", "ssim"]

MOST_PSNR = 100.0
"""In decibels, for an image that is restored to the last bit, as a black one is by a network without bias."""


def psnr(forward: Forward, batch: Any) -> float:
    """Return the mean over the images of the peak signal-to-noise ratio, in decibels, at most `MOST_PSNR`.

    Restored pixels are clipped to [0, 1], of which 1 is the peak; all pixels count, those that were seen too.

    Args:
        forward: Restores images.
        batch: Masked images and images, each (batch, channels, height, width) in [0, 1].

    Example:
        >>> images = torch.zeros(2, 3, 16, 16)
        >>> round(psnr(lambda x: x + 0.1, (images, images)), 3)
        20.0
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    restored, true = _restored(forward, batch)
    each = peak_signal_noise_ratio(restored, true, data_range=1.0, reduction="none", dim=(1, 2, 3))
    return float(each.clamp(max=MOST_PSNR).mean())


def ssim(forward: Forward, batch: Any) -> float:
    """Return the mean over the images of the structural similarity, at most 1.

    Gaussian windows of standard deviation 1.5, as the authors' code has them; clipped as in `psnr`.

    Differs: the mean is over all pixels, where scikit-image, which the authors use, leaves the border out.

    Args:
        forward: Restores images.
        batch: As of `psnr`; sides of 6 pixels at least.

    Example:
        >>> images = torch.rand(2, 3, 16, 16)
        >>> round(ssim(lambda x: x, (images, images)), 3)
        1.0

    References:
        Wang, Bovik, Sheikh, Simoncelli (2004). Image quality assessment: from error visibility to structural
        similarity.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    restored, true = _restored(forward, batch)
    each = structural_similarity_index_measure(restored, true, data_range=1.0, reduction="none")
    assert isinstance(each, Tensor)  # a tuple only where the whole map is asked for
    return float(each.mean())


def _restored(forward: Forward, batch: Any) -> tuple[Tensor, Tensor]:
    masked, true = batch
    with torch.no_grad():
        return forward(masked).clamp(0, 1), true
