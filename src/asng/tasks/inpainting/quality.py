"""The quality of restored images: PSNR and SSIM by torchmetrics, and pictures for the report."""

import base64
import io
from typing import Any

import torch
from torch import Tensor, nn

from asng.tasks.inpainting.masks import MaskedImages
from asng.training import Forward

__all__ = ["MOST_PSNR", "psnr", "ssim", "SHOWN", "restored_pictures"]

SHOWN = 8
"""Number of test images in the pictures."""

_GAP = 4
_LEAST_SIDE = 96

MOST_PSNR = 100.0
"""Cap in decibels for images that are restored exactly, as a network without bias restores a black image."""


def psnr(forward: Forward, batch: Any) -> float:
    """Return the mean over the images of the peak signal-to-noise ratio, in decibels, at most `MOST_PSNR`.

    Restored pixels are clipped to [0, 1], and the peak is 1. All pixels count, visible ones too.

    Args:
        forward: The network that restores images.
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

    The windows are Gaussian with standard deviation 1.5, as in the authors' code. Pixels are clipped as in
    `psnr`.

    Differs: the mean is over all pixels; scikit-image, which the authors use, excludes the border.

    Args:
        forward: The network that restores images.
        batch: As for `psnr`; sides of at least 6 pixels.

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
    assert isinstance(each, Tensor)  # it is a tuple only if the full map is requested
    return float(each.mean())


@torch.no_grad()
def restored_pictures(network: nn.Module, test: MaskedImages, score: str) -> dict[str, Any]:
    """Return rows of pictures: masked, restored, true.

    The images are evenly spaced in the test data, so that their selection does not depend on any score.

    Args:
        network: The network that restores images.
        test: The test data, with fixed masks.
        score: The scores of the network on all test data, as text.

    Returns:
        A JSON-serialisable dictionary: "caption", and "rows" with "label" and "png", in base64.
    """
    n = min(SHOWN, len(test))
    masked, true = test[[(2 * i + 1) * len(test) // (2 * n) for i in range(n)]]
    device = next(parameter.device for parameter in network.parameters())
    restored = network(masked.to(device)).clamp(0, 1).cpu()
    rows = (("masked", masked), ("restored", restored), ("true", true))
    return {
        "caption": f"{n} of {len(test)} test images, evenly spaced, restored by the found network ({score}).",
        "rows": [{"label": label, "png": _png(_strip(images))} for label, images in rows],
    }


def _restored(forward: Forward, batch: Any) -> tuple[Tensor, Tensor]:
    masked, true = batch
    with torch.no_grad():
        return forward(masked).clamp(0, 1), true


def _strip(images: Tensor) -> Tensor:
    """Put images (n, C, H, W) side by side, enlarged, and return bytes (H', W', 3)."""
    factor = max(1, _LEAST_SIDE // images.shape[2])
    large = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    padded = nn.functional.pad(large, (0, _GAP), value=1.0).expand(-1, 3, -1, -1)
    row = torch.cat(list(padded), dim=2)[:, :, :-_GAP]
    return (row * 255).round().to(torch.uint8).permute(1, 2, 0)


def _png(pixels: Tensor) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
