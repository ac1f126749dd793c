"""Writers of small files in the format of SVHN's cropped digits."""

import numpy as np
from scipy.io import savemat


def digits(n=12, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "X": rng.integers(0, 256, (32, 32, 3, n), dtype=np.uint8),
        "y": (np.arange(n, dtype=np.uint8) % 10 + 1)[:, None],
    }


def write_svhn(folder, *, compressed=True, **change):
    folder.mkdir(exist_ok=True)
    for seed, part in enumerate(("train", "test", "extra")):
        savemat(folder / f"{part}_32x32.mat", digits(12 - seed, seed) | change, do_compression=compressed)
    return folder
