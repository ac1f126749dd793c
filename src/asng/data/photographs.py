"""Patches of six photographs that come in the wheels of scikit-image and scikit-learn.

Only their image files are read; neither package is imported. docs/data.md says whose the photographs are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from asng.checks import integer_at_least, one_of, require
from asng.data.image_data import ImageData
from asng.data.readers.image_file import installed_folder
from asng.errors import InputError, RunError

__all__ = ["PHOTOGRAPHS", "load_photographs"]


@dataclass(frozen=True)
class _File:
    package: str
    path: str


_FILES = {
    "astronaut": _File("skimage", "data/astronaut.png"),
    "chelsea": _File("skimage", "data/chelsea.png"),
    "china": _File("sklearn", "datasets/images/china.jpg"),
    "coffee": _File("skimage", "data/coffee.png"),
    "flower": _File("sklearn", "datasets/images/flower.jpg"),
    "rocket": _File("skimage", "data/rocket.jpg"),
}
PHOTOGRAPHS = tuple(_FILES)
"""Names of the photographs; they are the classes of the patches."""


def load_photographs(size: int = 32, *, test: Sequence[str] = ("chelsea", "flower")) -> ImageData:
    """Cut photographs into patches that do not overlap, and keep whole photographs for the test.

    Patches of one photograph are similar. If both parts had some of them, a network would know much of the
    test from training. So each photograph belongs to one part. The label of a patch is the number of its
    photograph, so `split_groups(data.train_labels)` splits the training part in the same way.

    Args:
        size: Side of a patch in pixels, 1 to 300, the shortest side of any photograph.
        test: Names of the photographs that are kept for the test; the others are for training.

    Returns:
        Patches (N, 3, size, size), row by row within each photograph; remainders at its right and lower edges
        are dropped. At 32x32 there are 992 for training and 386 for the test.

    Raises:
        InputError: `size` leaves a photograph without a patch; or `test` is no sequence of names, names an
            unknown photograph, or leaves a part without any.
        RunError: Pillow or a package with photographs is not installed: pip install 'asng[images]'.

    Example:
        >>> data = load_photographs()
        >>> data.shape, len(data.train_images), len(data.test_images)
        ((3, 32, 32), 992, 386)
    """
    size = integer_at_least("size", size, 1)
    if isinstance(test, str) or not isinstance(test, Sequence):
        raise InputError(f"test: expected a sequence of names, got {test!r:.80}. For one, give [name].")
    for name in test:
        one_of("test", name, PHOTOGRAPHS)
    if not 0 < len(set(test)) < len(PHOTOGRAPHS):
        raise InputError(
            f"test: expected 1 to {len(PHOTOGRAPHS) - 1} of {', '.join(PHOTOGRAPHS)}, got {list(test)}. "
            "Both parts need a photograph."
        )
    require("PIL.Image", extra="images")
    patches = {name: _cut(name, _read(_FILES[name]), size) for name in PHOTOGRAPHS}
    train_images, train_labels = _join(patches, [name for name in PHOTOGRAPHS if name not in test])
    test_images, test_labels = _join(patches, [name for name in PHOTOGRAPHS if name in test])
    return ImageData(
        train_images, train_labels, test_images, test_labels, PHOTOGRAPHS, f"photographs {size}x{size}"
    )


def _read(file: _File) -> Tensor:
    """Return a photograph as uint8 (3, H, W)."""
    import numpy as np
    from PIL import Image

    path: Path = installed_folder(file.package) / file.path
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except OSError as error:
        raise RunError(
            f"{path}: expected a photograph of the package {file.package}, got: {error}. Install it again: "
            "pip install --force-reinstall 'asng[images]'."
        ) from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _cut(name: str, photograph: Tensor, size: int) -> Tensor:
    """Return the patches of a photograph, (N, 3, size, size)."""
    _, height, width = photograph.shape
    if size > min(height, width):
        raise InputError(
            f"size: expected at most {min(height, width)}, the least side of the photograph {name!r}, "
            f"got {size}."
        )
    grid = photograph.unfold(1, size, size).unfold(2, size, size)
    return grid.permute(1, 2, 0, 3, 4).reshape(-1, 3, size, size)


def _join(patches: dict[str, Tensor], names: list[str]) -> tuple[Tensor, Tensor]:
    numbers = torch.tensor([PHOTOGRAPHS.index(name) for name in names])
    counts = torch.tensor([len(patches[name]) for name in names])
    return torch.cat([patches[name] for name in names]), numbers.repeat_interleave(counts)
