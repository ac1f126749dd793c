"""Writers of small files in the formats that asng.data reads."""

import gzip
import lzma
import struct
from pathlib import Path

import numpy as np

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
MNIST_SHAPES = {"train": (8, 4, 6), "t10k": (4, 4, 6)}


def idx_bytes(array):
    header = struct.pack(f">4B{array.ndim}I", 0, 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(path: Path, array, pack=""):
    packed = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[pack](idx_bytes(array))
    path = path.with_name(path.name + pack)
    path.write_bytes(packed)
    return path


def write_mnist_like(folder: Path, *, pack=".gz", n_classes=2, shapes=MNIST_SHAPES, seed=0):
    """Write four files of random images whose labels go round the classes."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    for part, shape in shapes.items():
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        labels = (np.arange(shape[0]) % n_classes).astype(np.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte", pixels, pack)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels, pack)
    return folder
