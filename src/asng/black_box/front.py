"""Several objectives at once: the front of non-dominated evaluations, and what an optimiser is told of them.

An optimiser ranks by one number. A point that no earlier one dominates counts by the hypervolume that it
would add to the front of earlier ones, so that filling gaps pays. Any other counts by its distance from being
non-dominated, so that there is a way back. This is an uncrowded hypervolume improvement against the archive
of all evaluations. Objectives are scaled so that the front spans 0 to 1 in each.

References:
    Touré, Hansen, Auger, Brockhoff, "Uncrowded Hypervolume Improvement: COMO-CMA-ES and the Sofomore
    Framework", GECCO 2019. Differs: there several distributions, one for each point of the front to be, and
    Euclidean distances; here one distribution that goes where a gap is.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asng.black_box.hypervolume import REFERENCE, hypervolume, undominated
from asng.black_box.measured import rank_value
from asng.black_box.result import Evaluation
from asng.distributions import Floats

__all__ = ["Front"]


class Front:
    """The evaluations so far that no other dominates.

    Args:
        objectives: Names of the losses; lower is better for each.
    """

    def __init__(self, objectives: Sequence[str]) -> None:
        self._names = tuple(objectives)
        self._low = np.full(len(self._names), np.inf)
        self._high = -self._low
        self._points: Floats = np.empty((0, len(self._names)))
        self._members: list[Evaluation] = []

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> tuple[Evaluation, ...]:
        """The non-dominated evaluations, sorted by the first objective."""
        return tuple(sorted(self._members, key=lambda one: self._point(one).tolist()))

    def middle(self) -> Evaluation | None:
        """Return the member with the least sum of scaled losses; None if there is no member."""
        if not self._members:
            return None
        return self._members[int(self._scaled(self._points).sum(axis=1).argmin())]

    def add(self, one: Evaluation) -> bool:
        """Take in an evaluation; return whether it joins the front."""
        point = self._point(one)
        if not np.isfinite(point).all() or not one.feasible or one.stopped:
            return False
        self._low, self._high = np.minimum(self._low, point), np.maximum(self._high, point)
        if (self._points <= point).all(axis=1).any():
            return False
        stays: NDArray[np.bool_] = ~np.all(self._points >= point, axis=1)
        self._members = [
            member for member, stay in zip(self._members, stays.tolist(), strict=True) if stay
        ] + [one]
        self._points = np.vstack((self._points[stays], point))
        return True

    def told(self, evaluations: Sequence[Evaluation]) -> list[float]:
        """Return what to tell the optimiser of evaluations, given those taken in before; lower is better."""
        front = self._scaled(self._points)
        return [self._value(one, front) for one in evaluations]

    def _value(self, one: Evaluation, front: Floats) -> float:
        point = self._point(one)
        if not one.feasible:
            return rank_value(0.0, one.constraints)
        if not np.isfinite(point).all():
            return math.nan
        y = self._scaled(point[None])[0]
        behind = float((y - front).min(axis=1).max()) if len(front) else -math.inf
        outside = float((y - REFERENCE).max())
        if behind >= 0.0 or outside >= 0.0:
            return max(behind, outside, 0.0)
        clipped = undominated(np.maximum(front, y)) if len(front) else front
        return hypervolume(clipped) - float(np.prod(REFERENCE - y))

    def _scaled(self, points: Floats) -> Floats:
        many = len(self._points) > 1
        low = self._points.min(axis=0) if many else self._low
        high = self._points.max(axis=0) if many else self._high
        width = high - low
        known = np.isfinite(width) & (width > 0.0)
        return (points - np.where(np.isfinite(low), low, 0.0)) / np.where(known, width, 1.0)

    def _point(self, one: Evaluation) -> Floats:
        losses = one.losses or {}
        return np.array([losses.get(name, math.nan) for name in self._names])
