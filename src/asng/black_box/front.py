"""Several objectives: the evaluations that no other dominates, and what an optimiser is told of them."""

import math
from collections.abc import Sequence

import numpy as np

from asng.black_box.measured import rank_value, worst
from asng.black_box.result import Evaluation
from asng.distributions import Floats
from asng.optim.pareto import ParetoFront

__all__ = ["Front"]


class Front:
    """The evaluations so far that no other dominates.

    Args:
        objectives: Names of the losses; lower is better for each.
    """

    def __init__(self, objectives: Sequence[str]) -> None:
        self._names = tuple(objectives)
        self._front = ParetoFront.empty(len(self._names))
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
        return self._members[int(self._front.scaled(self._front.points).sum(axis=1).argmin())]

    def add(self, one: Evaluation) -> bool:
        """Take in an evaluation; return whether it joins the front."""
        point = self._point(one)
        if not np.isfinite(point).all() or not one.feasible or one.stopped:
            return False
        before, self._front = self._front, self._front.joined(point)
        if self._front.points is before.points:
            return False
        stays = before.stays(point).tolist()
        self._members = [member for member, stay in zip(self._members, stays, strict=True) if stay] + [one]
        return True

    def told(self, evaluations: Sequence[Evaluation]) -> list[float]:
        """Return what to tell an optimiser of one loss, given the evaluations before; lower is better."""
        return [self._worth(one) for one in evaluations]

    def rows(self, evaluations: Sequence[Evaluation]) -> list[list[float]]:
        """Return what to tell an optimiser of several losses: all of them, then the worst constraint."""
        return [[*self._point(one).tolist(), worst(one.constraints)] for one in evaluations]

    def _worth(self, one: Evaluation) -> float:
        if not one.feasible:
            return rank_value(0.0, one.constraints)
        point = self._point(one)
        return float(self._front.worth(point[None])[0]) if np.isfinite(point).all() else math.nan

    def _point(self, one: Evaluation) -> Floats:
        losses = one.losses or {}
        return np.array([losses.get(name, math.nan) for name in self._names])
