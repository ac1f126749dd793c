"""Long series made short enough to draw: what the eye sees stays, the file stays small."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["envelope", "smooth", "every"]

Floats = NDArray[np.float64]


def envelope(x: Floats, y: Floats, bins: int = 500) -> tuple[Floats, Floats]:
    """Keep the least and the greatest finite value of each bin, so that spikes stay to be seen.

    Args:
        x: Rising positions, shape (n,).
        y: Values, shape (n,); NaN is left out.
        bins: How many bins of equally many values.

    Returns:
        At most 2 * bins positions and values, in their order.
    """
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) <= 2 * bins:
        return x, y
    edges = np.linspace(0, len(x), bins + 1).astype(int)
    kept = np.array([a + at for a, b in pairwise(edges.tolist()) for at in _ends(y[a:b])], dtype=int)
    return x[kept], y[kept]


def _ends(y: Floats) -> list[int]:
    return sorted({int(np.argmin(y)), int(np.argmax(y))})


def smooth(x: Floats, y: Floats, share: float = 0.04, points: int = 400) -> tuple[Floats, Floats]:
    """Return the centred running mean of the finite values, over a share of the series.

    Args:
        x: Rising positions, shape (n,).
        y: Values, shape (n,); NaN is left out.
        share: Width of the window as a share of the values; at least one value.
        points: How many points to return at most.
    """
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if not len(y):
        return x, y
    half = int(share * len(y) / 2)
    at = every(len(y), points)
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(y))
    # About the mean, so that a long sum of large losses does not cancel.
    centre = y.mean()
    sums = np.concatenate([[0.0], np.cumsum(y - centre)])
    return x[at], centre + (sums[high] - sums[low]) / (high - low)


def every(n: int, points: int) -> NDArray[np.int64]:
    """Return at most `points` indices into n values, evenly spread, both ends among them."""
    return np.unique(np.linspace(0, n - 1, min(n, points)).round().astype(np.int64))
