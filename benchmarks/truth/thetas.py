"""An optimiser of theta that differs from the default of one-shot search in one respect."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

import asng
from asng.space import Architecture, Candidate, Space

__all__ = ["Paired"]


class Paired(asng.ASNG):
    """ASNG over pairs: two consecutive variables become one choice among all pairs of their values.

    Args:
        space: Choices only, all of them read by every pass.
        lam: Samples in an update.
        seed: Seed of the generator.
    """

    def __init__(self, space: Space, *, lam: int, seed: int) -> None:
        super().__init__(space, lam=lam, seed=seed, reuse=False)
        names = list(space)
        self._groups = [names[k : k + 2] for k in range(0, len(names), 2)]
        joint = {
            " ".join(group): asng.Categorical(range(math.prod(self._counts(group)))) for group in self._groups
        }
        self._joint = asng.ASNG(Space(joint), lam=lam, seed=seed, reuse=False)
        self._drawn: dict[bytes, list[Candidate]] = {}

    def _counts(self, group: list[str]) -> list[int]:
        return [len(self.space[name].choices) for name in group]

    def _raw(self, joint: Architecture) -> list[float]:
        """Return the indices of the choices of single variables."""
        index = zip(self._groups, joint.values(), strict=True)
        return [float(k) for group, value in index for k in np.unravel_index(value, self._counts(group))]

    def _draw(self, u: np.ndarray) -> np.ndarray:
        candidates = self._joint.ask(len(u))
        x = np.array([self._raw(candidate.architecture) for candidate in candidates])
        self._drawn = {}
        for row, candidate in zip(x, candidates, strict=True):
            self._drawn.setdefault(row.tobytes(), []).append(candidate)  # two may be equal
        return x

    def _update(self, told: Any) -> Any:
        self._joint.tell([self._drawn[row.tobytes()].pop() for row in told.x], told.losses.tolist())
        view = self._joint.theta
        tables = (view[" ".join(group)].reshape(self._counts(group)) for group in self._groups)
        single = [
            table.sum(axis=tuple(set(range(table.ndim)) - {axis}))
            for table in tables
            for axis in range(table.ndim)
        ]
        return replace(self._state, theta=self._state.theta._replace(p=np.concatenate(single)))

    def _best(self) -> np.ndarray:
        return np.array(self._raw(self._joint.best))
