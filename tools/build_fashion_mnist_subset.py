"""Build the embedded subset of Fashion-MNIST from the full set: `--source FOLDER` holds the four IDX files.

The same source gives the same bytes: the first images of each class in the order of the files are pooled in
integers and packed by xz with all settings fixed. (Another release of liblzma may pack the same numbers into
other bytes.) The script prints the SHA-256 sums that src/asng/data/fashion.py holds.
"""

import argparse
import hashlib
import lzma
import struct
from pathlib import Path

import torch
from torch import Tensor

from asng.data import read_mnist_like
from asng.data.readers.mnist_like import MNIST_FILES

TARGET = Path(__file__).parents[1] / "src" / "asng" / "data" / "fashion_mnist"
# lc=4 packs pooled clothes 4 % smaller than the default; bytes have no alignment, hence pb=0.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def build(
    source: Path, target: Path, *, train_per_class: int = 500, test_per_class: int = 100
) -> dict[str, str]:
    """Write the four packed files into `target` and return their SHA-256 sums by stem.

    Args:
        source: Folder with the four files of the full set.
        target: Folder to write to; made if missing.
        train_per_class: How many training images of each class.
        test_per_class: How many test images of each class.

    Raises:
        InputError: The source is incomplete.
        SystemExit: A class has fewer images than requested.
    """
    data = read_mnist_like(source)
    train = first_of_each_class(data.train_labels, train_per_class)
    test = first_of_each_class(data.test_labels, test_per_class)
    parts = (
        pool(data.train_images[train, 0]),
        data.train_labels[train].to(torch.uint8),
        pool(data.test_images[test, 0]),
        data.test_labels[test].to(torch.uint8),
    )
    target.mkdir(parents=True, exist_ok=True)
    sums = {}
    for stem, part in zip(MNIST_FILES, parts, strict=True):
        packed = lzma.compress(to_idx(part), check=lzma.CHECK_CRC64, filters=FILTERS)
        (target / f"{stem}.xz").write_bytes(packed)
        sums[stem] = hashlib.sha256(packed).hexdigest()
    return sums


def first_of_each_class(labels: Tensor, count: int) -> Tensor:
    """Return the indices of the first `count` items of each class, in the order of the file."""
    chosen = []
    for label in range(int(labels.max()) + 1):
        indices = torch.nonzero(labels == label).flatten()
        if len(indices) < count:
            raise SystemExit(f"class {label}: expected at least {count} images, got {len(indices)}.")
        chosen.append(indices[:count])
    return torch.cat(chosen).sort().values


def pool(images: Tensor) -> Tensor:
    """Halve images (N, H, W) by the mean of 2x2 pixels, rounded half up, in integers."""
    n, height, width = images.shape
    blocks = images.to(torch.int64).reshape(n, height // 2, 2, width // 2, 2).sum((2, 4))
    return ((blocks + 2) // 4).to(torch.uint8)


def to_idx(array: Tensor) -> bytes:
    """Return a uint8 tensor as the bytes of an IDX file."""
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.contiguous().numpy().tobytes()


def main() -> None:
    """Read the arguments, build, print the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of the full set")
    parser.add_argument("--target", type=Path, default=TARGET, help="folder to write to")
    arguments = parser.parse_args()
    for stem, digest in build(arguments.source, arguments.target).items():
        print(f'    "{stem}": "{digest}",')


if __name__ == "__main__":
    main()
