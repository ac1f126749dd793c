"""Compute the volume that points dominate, and find the points that no other dominates."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from asng.distributions import Floats

__all__ = ["REFERENCE", "hypervolume", "undominated"]

REFERENCE = 1.1
"""Reference in each objective, scaled so that the front spans 0 to 1: above 1, so that its ends count."""


def undominated(points: Floats) -> Floats:
    """Return the points, shape (n, m), that no other dominates, each once."""
    points = np.unique(points, axis=0)  # in lexicographic order: no later point dominates
    if points.shape[1] == 2 and len(points):
        least = np.minimum.accumulate(points[:, 1])
        falls: NDArray[np.bool_] = np.append(True, points[1:, 1] < least[:-1])
        return np.asarray(points[falls])
    kept: list[Floats] = []
    for point in points:
        if not any((other <= point).all() for other in kept):
            kept.append(point)
    return np.array(kept).reshape(-1, points.shape[1])


def hypervolume(points: Floats, reference: float = REFERENCE) -> float:
    """Return the volume that points dominate below a reference, which is the same in each objective.

    Args:
        points: Points that do not dominate each other, shape (n, m).
        reference: Points beyond it count for nothing.

    Example:
        >>> hypervolume(np.array([[0.0, 0.5], [0.5, 0.0]]), reference=1.0)
        0.75
    """
    points = points[(points < reference).all(axis=1)]
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(reference - points.min())
    order = points[np.argsort(points[:, 0], kind="stable")]
    ends = np.append(order[1:, 0], reference)
    if points.shape[1] == 2:
        return float(((ends - order[:, 0]) * (reference - np.minimum.accumulate(order[:, 1]))).sum())
    # Slices along the first objective, each over the points that begin at or before it.
    slices: Iterable[float] = (
        width * hypervolume(undominated(order[: i + 1, 1:]), reference)
        for i, width in enumerate(ends - order[:, 0])
        if width > 0.0
    )
    return float(sum(slices))
