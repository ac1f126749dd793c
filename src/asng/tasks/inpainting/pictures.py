"""Test images as they came, as the network restores them, and as they are, for the report."""

import base64
import io
from typing import Any

import torch
from torch import Tensor, nn

from asng.tasks.inpainting.masks import MaskedImages

__all__ = ["SHOWN", "restored_pictures"]

SHOWN = 8
"""How many test images are shown."""

_GAP = 4
_LEAST_SIDE = 96


@torch.no_grad()
def restored_pictures(network: nn.Module, test: MaskedImages, score: str) -> dict[str, Any]:
    """Return rows of pictures: masked, restored, true.

    The images are evenly spaced in the test data, so that no score has a say in which are shown.

    Args:
        network: Restores images.
        test: The test data, with fixed masks.
        score: How the network scores on all of them, in words.

    Returns:
        A dictionary that JSON can hold: "caption", and "rows" with "label" and "png", in base64.
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
