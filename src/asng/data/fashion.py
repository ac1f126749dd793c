"""The data set that comes with the package: a subset of Fashion-MNIST, to start without a download.

Made by tools/build_fashion_mnist_subset.py; src/asng/data/fashion_mnist/README.md says how.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from asng.data.image_data import ImageData
from asng.data.readers.idx import parse_idx
from asng.data.readers.mnist_like import MNIST_FILES, from_idx_arrays
from asng.errors import InputError

__all__ = ["load_fashion_mnist_subset", "FASHION_MNIST_CLASSES"]

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""Names of the labels 0 to 9, as Fashion-MNIST gives them."""

# Checksums of the packed files, as the build script prints them. Results compare only on the same bytes.
_SHA256 = {
    "train-images-idx3-ubyte": "14aa79223299aafbaa95335128c475f85c89fdacfa05184ad681f3497ce72e52",
    "train-labels-idx1-ubyte": "47b08ddee0137243fae8e243b104573b1977af88ab9c5d159d3ed94e335495e8",
    "t10k-images-idx3-ubyte": "6aa84b623d74aba96b4d5b2fb8b7d647f64f118a8b70befb66fd5e1a07994cad",
    "t10k-labels-idx1-ubyte": "73ccb739fe73c97161533f6be6517c82090c40d3f5fd52adcc9a9221d28a9fb0",
}


def load_fashion_mnist_subset() -> ImageData:
    """Return 5,000 training and 1,000 test images of Fashion-MNIST at 14x14, with balanced classes.

    The subset comes with the package, so examples and tests need no download. A search on it takes minutes,
    and yet operators still differ on it. Scores on it are not those of the full set.

    Returns:
        Training images (5000, 1, 14, 14), test images (1000, 1, 14, 14), ten classes of 500 and 100.

    Raises:
        InputError: The installed files are not the released ones.

    Example:
        >>> load_fashion_mnist_subset().shape
        (1, 14, 14)

    References:
        H. Xiao, K. Rasul, R. Vollgraf (2017), "Fashion-MNIST: a Novel Image Dataset for Benchmarking
        Machine Learning Algorithms", arXiv:1708.07747.
    """
    return _load(Path(__file__).parent / "fashion_mnist", _SHA256)


def _load(folder: Path, sha256: Mapping[str, str]) -> ImageData:
    arrays = {}
    for stem in MNIST_FILES:
        file = folder / f"{stem}.xz"
        if not file.is_file():
            raise InputError(f"{file}: expected the package's data, got no such file. Install asng again.")
        packed = file.read_bytes()
        found = hashlib.sha256(packed).hexdigest()
        if found != sha256[stem]:
            raise InputError(
                f"{file}: expected SHA-256 {sha256[stem]}, got {found}. The file was changed or damaged: "
                "install asng again."
            )
        arrays[stem] = parse_idx(packed, str(file))
    return from_idx_arrays(arrays, classes=FASHION_MNIST_CLASSES, name="Fashion-MNIST 14x14 subset")
