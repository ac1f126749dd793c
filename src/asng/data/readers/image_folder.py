"""Read folders of pictures, with or without a training and a test part, with or without classes.

Every file is read twice: all headers first, then all pixels. So a wrong file or size is reported before
anything is decoded, and the pixels go straight into one tensor of the final size.
"""

import math
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from asng.checks import as_path, integer_at_least, real_between, require, torch_seed
from asng.data.image_data import ImageData
from asng.data.readers.checksums import Checksums
from asng.data.readers.image_file import Cut, Head, decode, read_head
from asng.data.readers.image_listing import list_parts
from asng.errors import InputError

__all__ = ["read_image_folder", "Progress"]

Progress = Callable[[int, int], None]
"""Called with the number of files read so far and the number of all files."""


def read_image_folder(
    folder: str | PathLike[str],
    *,
    size: int | None = None,
    crop: int | None = None,
    classes: bool = False,
    limit: int | None = None,
    test_share: float = 0.1,
    seed: int = 0,
    progress: Progress | None = None,
) -> ImageData:
    """Read a folder of pictures (png, jpg, jpeg, bmp, webp, ppm) of any depth, sorted by name.

    Without classes, all labels are 0 and the only class is "image", as inpainting needs it. Pictures are RGB
    unless all are grey. They are checked against a list of checksums if the folder has one.

    Args:
        folder: Holds pictures, or `train` and `test` with pictures.
        size: Side in pixels to which the centre of each picture is resized, antialiased. Default: pictures
            are not resized, and must have one size, after `crop` if it is given.
        crop: Side in pixels of the centre square that is taken first. Default: the largest square if `size`
            is given, else the whole picture.
        classes: Whether the folders in `folder`, or in `train` and `test`, are classes.
        limit: Largest number of pictures, of `train` and of `test` each; taken evenly over the sorted names.
            Default: all.
        test_share: Share of the pictures that is the test part if there is no folder `test`, in (0, 1).
        seed: Seed of that split, in [0, 2**63).
        progress: Called while pixels are read. Default: quiet.

    Returns:
        Images of 3 channels, or of 1 if all pictures are grey.

    Raises:
        InputError: The folder is missing, closed or has no picture. A picture is of another format,
            truncated, damaged, too large (Pillow's limit) or of another size. Classes differ between the
            parts. All pictures together do not fit into memory.
        RunError: Pillow is not installed: pip install 'asng[images]'.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = tempfile.mkdtemp()
        >>> for number in range(10):
        ...     Image.new("RGB", (20 + number, 30)).save(f"{folder}/{number}.png")
        >>> read_image_folder(folder, size=16).train_images.shape
        torch.Size([9, 3, 16, 16])
    """
    folder = as_path("folder", folder, to_read=True)
    for name, value in (("size", size), ("crop", crop), ("limit", limit)):
        if value is not None:
            integer_at_least(name, value, 1)
    seed = torch_seed("seed", seed)
    real_between("test_share", test_share, 0.0, 1.0)
    require("PIL.Image", extra="images")
    parts = list_parts(folder, classes=classes, limit=limit, test_share=test_share, seed=seed)
    paths = [path for part in parts for path in part.paths]
    cut = Cut(crop, size)
    heads = {path: read_head(path) for path in paths}
    shape = _common_shape(heads, cut)
    grey = all(head.grey for head in heads.values())
    checksums = Checksums(folder)
    images = _room_for(len(paths), 1 if grey else 3, *shape)
    # One after the other: threads were no faster when measured, at 178x218 and at 2000x1500 pixels.
    for index, path in enumerate(paths):
        checksums.check(path)
        images[index] = decode(path, cut, grey=grey)
        if progress is not None:
            progress(index + 1, len(paths))
    train, test = parts
    n_train = len(train.paths)
    return ImageData(
        images[:n_train], train.labels, images[n_train:], test.labels, train.classes, folder.resolve().name
    )


def _room_for(*shape: int) -> Tensor:
    """Return an empty tensor for all pictures, (N, C, H, W), uint8."""
    try:
        return torch.empty(shape, dtype=torch.uint8)
    except (RuntimeError, TypeError, MemoryError) as error:  # torch raises TypeError beyond 64 bits
        n, _, height, width = shape
        raise InputError(
            f"size: expected pictures that fit into memory, got {n} of {width} x {height} pixels, "
            f"{math.prod(shape):,} bytes. Take a smaller size, or fewer pictures by limit."
        ) from error


def _common_shape(heads: dict[Path, Head], cut: Cut) -> tuple[int, int]:
    """Return the height and width that all pictures have once cropped and resized."""
    first_path, first = next(iter(heads.items()))
    for path, head in heads.items():
        if cut.crop is not None and cut.crop > min(head.width, head.height):
            raise InputError(
                f"{path}: expected at least {cut.crop} x {cut.crop} pixels, of which crop takes the middle, "
                f"got {head.width} x {head.height}. Take a smaller crop."
            )
        if cut.shape(head) != cut.shape(first):
            raise InputError(
                f"{path}: expected {first.width} x {first.height} pixels, as {first_path} has, got "
                f"{head.width} x {head.height}. Give a size to resize all pictures to, such as size=64."
            )
    return cut.shape(first)
