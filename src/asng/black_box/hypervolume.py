"""The volume that points dominate, and which of them no other dominates."""

from collections.abc import Iterable

import numpy as np

from asng.distributions import Floats

__all__ = ["REFERENCE", "hypervolume", "undominated"]

REFERENCE = 1.1
"""In each objective, scaled so that the front goes from 0 to 1: its ends count a little more than nothing."""


def undominated(points: Floats) -> Floats:
    """Return those of some points, shape (n, m), that no other dominates, each once."""
    kept: list[Floats] = []
    for point in np.unique(points, axis=0):  # in lexical order: none is dominated by a later one
        if not any((other <= point).all() for other in kept):
            kept.append(point)
    return np.array(kept).reshape(-1, points.shape[1])


def hypervolume(points: Floats, reference: float = REFERENCE) -> float:
    """Return the volume that points dominate below a reference, the same in each objective.

    Args:
        points: None of them dominated by another, shape (n, m).
        reference: What lies beyond it counts for nothing.

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
    # Slices along the first objective, each of what has begun before it.
    slices: Iterable[float] = (
        width * hypervolume(undominated(order[: i + 1, 1:]), reference)
        for i, width in enumerate(ends - order[:, 0])
        if width > 0.0
    )
    return float(sum(slices))
