"""Pareto fronts of several objectives: which points no other dominates, and what another is worth to them.

A point that no earlier one dominates is worth the hypervolume that it would add to the front of earlier ones,
so that filling gaps pays. Any other counts by its distance from being non-dominated, so that there is a way
back. This is an uncrowded hypervolume improvement against the archive of all evaluations. Objectives are
scaled so that the front spans 0 to 1 in each.

References:
    Touré, Hansen, Auger, Brockhoff, "Uncrowded Hypervolume Improvement: COMO-CMA-ES and the Sofomore
    Framework", GECCO 2019. Differs: there several distributions, one for each point of the front to be, and
    Euclidean distances; here one distribution that goes where a gap is.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asng.distributions import Floats

__all__ = ["REFERENCE", "ParetoFront", "hypervolume", "undominated"]

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


@dataclass(frozen=True)
class ParetoFront:
    """Points that no other dominates.

    Attributes:
        points: The points, shape (k, m), in the order in which they were added.
        low: Least value of each objective among all points that were added, shape (m,); at first infinite.
        high: Largest value of each.

    Example:
        >>> front = ParetoFront.empty(2).joined([1.0, 5.0]).joined([3.0, 2.0]).joined([4.0, 6.0])
        >>> front.points.tolist()
        [[1.0, 5.0], [3.0, 2.0]]
        >>> front.worth([[2.0, 3.0], [3.5, 4.0]]).round(3).tolist()
        [-0.333, 0.25]
    """

    points: Floats
    low: Floats
    high: Floats

    @classmethod
    def empty(cls, m: int) -> "ParetoFront":
        """Return a front without points, for m objectives."""
        return cls(np.empty((0, m)), np.full(m, np.inf), np.full(m, -np.inf))

    def __len__(self) -> int:
        return len(self.points)

    def joined(self, point: Floats | list[float]) -> "ParetoFront":
        """Return the front with a finite point, shape (m,), and without those that it dominates.

        The points stay the same object if another is as good in all objectives.
        """
        point = np.asarray(point)
        low, high = np.minimum(self.low, point), np.maximum(self.high, point)
        if (self.points <= point).all(axis=1).any():
            return ParetoFront(self.points, low, high)
        return ParetoFront(np.vstack((self.points[self.stays(point)], point)), low, high)

    def stays(self, point: Floats) -> NDArray[np.bool_]:
        """Return which points another point does not dominate, shape (k,)."""
        return np.asarray(~np.all(self.points >= point, axis=1))

    def scaled(self, points: Floats) -> Floats:
        """Return points, shape (n, m), in units in which the front spans 0 to 1."""
        many = len(self.points) > 1
        low = self.points.min(axis=0) if many else self.low
        high = self.points.max(axis=0) if many else self.high
        width = high - low
        known = np.isfinite(width) & (width > 0.0)
        return np.asarray((points - np.where(np.isfinite(low), low, 0.0)) / np.where(known, width, 1.0))

    def worth(self, points: Floats | list[list[float]]) -> Floats:
        """Return what finite points, shape (n, m), are worth to the front, each alone, shape (n,).

        Lower is better; it is negative for a point that would join the front.
        """
        front, y = self.scaled(self.points), self.scaled(np.asarray(points))
        found = np.maximum((y - REFERENCE).max(axis=1), 0.0)
        joins = (y < REFERENCE).all(axis=1)
        if len(front):
            behind = (y[:, None] - front).min(axis=2).max(axis=1)
            found, joins = np.maximum(found, behind), joins & (behind < 0.0)
        for i in np.flatnonzero(joins).tolist():
            clipped = undominated(np.maximum(front, y[i])) if len(front) else front
            found[i] = hypervolume(clipped) - float(np.prod(REFERENCE - y[i]))
        return np.asarray(found)
