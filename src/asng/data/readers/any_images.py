"""Read labelled images from a folder in any of the known formats."""

from os import PathLike

from asng.checks import as_path
from asng.data.image_data import ImageData
from asng.data.readers.cifar import holds_cifar, read_cifar
from asng.data.readers.image_folder import read_image_folder
from asng.data.readers.image_listing import ENDINGS, holds_pictures
from asng.data.readers.mnist_like import MNIST_FILES, holds_mnist_like, read_mnist_like
from asng.data.readers.svhn import SVHN_FILES, read_svhn
from asng.errors import InputError

__all__ = ["read_images"]

_LOOKED_FOR = (
    f"four IDX files ({MNIST_FILES[0]}, ..., plain, .gz or .xz), CIFAR-10's or CIFAR-100's binary version "
    f"(data_batch_1.bin, ... or train.bin, test.bin, or the archive), SVHN's cropped digits "
    f"({SVHN_FILES[0]}, ...), or folders of pictures ({', '.join(ENDINGS)}), one folder per class"
)
_FORMATS = {
    "MNIST's": (holds_mnist_like, read_mnist_like),
    "CIFAR's": (holds_cifar, read_cifar),
    "SVHN's": (lambda folder: any((folder / name).is_file() for name in SVHN_FILES), read_svhn),
}


def read_images(folder: str | PathLike[str], *, size: int | None = None) -> ImageData:
    """Read labelled images from a folder, detecting their format.

    Args:
        folder: Holds the four IDX files of MNIST's layout, CIFAR-10 or CIFAR-100 in the binary version,
            SVHN's cropped digits, or one folder of pictures per class, below `train` and `test` or not.
        size: Side in pixels that pictures in folders are cropped and resized to. Default: they must all have
            one size. The other formats have a size of their own, so `size` must be left out.

    Raises:
        InputError: There is no such folder; it holds none of the formats, or several; or the reader of the
            format raises it.

    Example:
        >>> read_images("data/cifar-10-batches-bin").shape   # doctest: +SKIP
        (3, 32, 32)
    """
    folder = as_path("folder", folder, to_read=True)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of images, got no such folder. Check the path.")
    held = [name for name, (holds, _) in _FORMATS.items() if holds(folder)]
    if len(held) > 1:
        raise InputError(
            f"{folder}: expected one data set, got files of {held[0]} and of {held[1]} format. "
            "Give each a folder."
        )
    if held and size is not None:
        raise InputError(
            f"size: expected none, because images of {held[0]} format have a fixed size, got {size}."
        )
    if held:
        _, read = _FORMATS[held[0]]
        return read(folder)
    if not holds_pictures(folder):
        raise InputError(
            f"{folder}: expected {_LOOKED_FOR}; got none of them. See docs/data.md for how to lay out data."
        )
    return read_image_folder(folder, size=size, classes=True)
