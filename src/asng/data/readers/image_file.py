"""Read one picture of a folder: its header, and its pixels cropped and resized."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from asng.errors import InputError, RunError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Head", "Cut", "read_head", "decode", "installed_folder"]

# Listed, so that Pillow tries none of its many other decoders on untrusted files.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
_GREY = ("1", "L", "LA")
_COLOUR = ("RGB", "RGBA", "P", "CMYK", "YCbCr")
_ORIENTATION = 0x0112  # EXIF


@dataclass(frozen=True)
class Head:
    """The header of a picture: its size when turned upright, and whether it is grey."""

    width: int
    height: int
    grey: bool


@dataclass(frozen=True)
class Cut:
    """Which part of a picture to take, and which size to bring it to.

    Args:
        crop: Side of the centre square; None takes the largest one if `size` is given, else everything.
        size: Side of the result; None keeps the size of the crop.
    """

    crop: int | None = None
    size: int | None = None

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the left, upper, right and lower edge of the crop."""
        if self.crop is None and self.size is None:
            return 0, 0, width, height
        side = self.crop or min(width, height)
        left, upper = (width - side) // 2, (height - side) // 2
        return left, upper, left + side, upper + side

    def shape(self, head: Head) -> tuple[int, int]:
        """Return the height and width of the result."""
        left, upper, right, lower = self.box(head.width, head.height)
        return (self.size or lower - upper), (self.size or right - left)


def read_head(path: Path) -> Head:
    """Read the header of a picture.

    Raises:
        InputError: The picture is missing, of another format, too large or damaged, or is not a grey or
            coloured one of 8 bits per channel.
    """
    with _opened(path) as image:
        if image.mode not in _GREY + _COLOUR:
            raise InputError(
                f"{path}: expected a grey or coloured picture of 8 bits a channel, got Pillow's mode "
                f"{image.mode!r}. Convert it first."
            )
        width, height = image.size
        # The last four of the eight orientations swap width and height.
        if _orientation(image) >= 5:
            width, height = height, width
        return Head(width, height, image.mode in _GREY)


def decode(path: Path, cut: Cut, *, grey: bool) -> Tensor:
    """Read the pixels of a picture as uint8 (C, H, W), with one channel if `grey`, else three.

    Raises:
        InputError: The picture is missing, truncated or damaged.
    """
    from PIL import Image, ImageOps

    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image) if _orientation(image) > 1 else image
        if "transparency" in upright.info:
            upright = upright.convert("RGBA")  # straight to RGB, Pillow warns of transparent palettes
        # Crop before resizing, or the filter would see pixels beyond the edge of the crop.
        plain = upright.convert("L" if grey else "RGB").crop(cut.box(*upright.size))
        if cut.size is not None:
            # Pillow widens its filters when a picture shrinks, which prevents aliasing.
            plain = plain.resize((cut.size, cut.size), Image.Resampling.BICUBIC)
        pixels = np.array(plain)
    return torch.from_numpy(pixels).unsqueeze(0) if grey else torch.from_numpy(pixels).permute(2, 0, 1)


@contextmanager
def _opened(path: Path) -> Iterator["Image.Image"]:
    """Open a picture; turn whatever goes wrong with it, then or later, into an error that names it."""
    from PIL import Image

    try:
        with Image.open(path, formats=_FORMATS) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise Image.DecompressionBombError(
                    f"{image.width} x {image.height} pixels, more than {limit}"
                )
            yield image
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(
            f"{path}: expected a picture that is not too large, got: {error}. A small file that unpacks to "
            "so much may be an attack; shrink it with a program that you trust."
        ) from error
    except FileNotFoundError:
        raise InputError(f"{path}: expected a picture, got no such file.") from None
    except MemoryError as error:
        raise InputError(
            f"{path}: expected a picture that fits into memory, got none left to read it or to resize it. "
            "Take a smaller size, or free some memory."
        ) from error
    # Pillow's decoders raise errors of many kinds on damaged files (OSError, SyntaxError, ValueError, ...).
    except Exception as error:
        raise InputError(
            f"{path}: expected a whole picture ({', '.join(_FORMATS)}), got: {error}. It is cut short, "
            "damaged or of another format: fetch it again or take it out of the folder."
        ) from error


def _orientation(image: "Image.Image") -> int:
    """Return the EXIF orientation, 1 to 8; not of PNG, which would have to be decoded for it."""
    orientation = image.getexif().get(_ORIENTATION, 1) if image.format in ("JPEG", "WEBP") else 1
    return orientation if orientation in range(1, 9) else 1


def installed_folder(package: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises:
        RunError: The package is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise RunError(
            f"images: expected the package {package}, whose photographs are read, got none. Install it: "
            "pip install 'asng[images]'."
        )
    return Path(spec.submodule_search_locations[0])
