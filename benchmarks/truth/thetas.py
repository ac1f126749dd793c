"""Optimisers of theta that differ from the default of one-shot search in one thing each."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import asng
from asng.space import Architecture, Candidate, Space

__all__ = ["Averaged", "Fair", "Paired", "Remembering"]


class Averaged(asng.ASNG):
    """ASNG whose theta is, after the last of so many updates, the mean over the last half of them.

    The search itself is that of `ASNG` to the bit.

    Args:
        space: Choices only.
        moves: Updates of the whole search.
        seed: Of the generator.

    Attributes:
        unaveraged: The mode before theta was averaged.
    """

    def __init__(self, space: Space, *, moves: int, seed: int) -> None:
        super().__init__(space, lam=2, seed=seed, reuse=False)
        self.moves, self._seen = moves, []
        self.unaveraged: Architecture | None = None

    def tell(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> None:
        super().tell(candidates, losses)
        theta = self._state.theta
        self._seen.append(theta.p)
        if len(self._seen) == self.moves:
            self.unaveraged = self.best
            mean = np.mean(self._seen[self.moves // 2 :], axis=0)
            self._state = replace(self._state, theta=theta._replace(p=mean))


class Fair(asng.ASNG):
    """ASNG that deals architectures to be trained, asked for one by one, out of a stratified deck.

    While theta is uniform every candidate of a choice is trained equally often within a deck; later, about as
    often as theta has it.

    Args:
        space: Choices only.
        seed: Of the generator.

    References:
        Chu, Zhang, Xu, "FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture
        Search", ICCV 2021 (there the paths of a deck are one step of the weights).
    """

    def __init__(self, space: Space, *, seed: int) -> None:
        super().__init__(space, lam=2, seed=seed, reuse=False)
        self.size = math.lcm(*(len(variable.choices) for variable in space.values()))
        self._deck: list[np.ndarray] = []

    def ask(self, n: int | None = None) -> list[Candidate]:
        if n == 1 and not self._deck:
            self._deck = list(_stratified(self._rng, self.size, self._product.n_free))
        return super().ask(n)

    def _draw(self, u: np.ndarray) -> np.ndarray:
        return super()._draw(u if len(u) != 1 else self._deck.pop()[None])


def _stratified(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Return uniform numbers, shape (n, size), that cover the range evenly in each column."""
    v = rng.random(size)
    u = np.tile(np.arange(n)[:, None] / n, (1, size))
    return (rng.permuted(u, axis=0) + v) % 1.0


class Remembering(asng.ASNG):
    """ASNG that reads the samples of the last updates again, by importance weights, the older the less.

    Losses are taken less the mean of their update, since weights ripen and batches differ. A sample of `a`
    updates ago counts p_now / p_then times fading^a, at most once.

    Args:
        space: Choices only, all of them read by every pass.
        seed: Of the generator.
        updates: How many former updates are read.
        fading: What a loss loses in weight with every update, in (0, 1].
    """

    def __init__(self, space: Space, *, seed: int, updates: int = 4, fading: float = 0.7) -> None:
        super().__init__(space, lam=2, seed=seed, reuse=True)
        self.updates, self.fading = updates, fading
        self._former: list[Any] = []  # the newest last

    def tell(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> None:
        centred = np.asarray(losses) - np.mean(losses)
        if self._former:
            self._state = replace(self._state, former=self._faded())
        theta, x = self._state.theta, np.array([candidate.x for candidate in candidates])
        super().tell(candidates, centred.tolist())
        if self._state.former is None:  # nothing but ties up to now
            return
        density = self._product.log_density(theta, self._product.placed(theta, x), None)
        newest = replace(self._state.former, x=x, losses=centred, active=None, density=density)
        self._former = [*self._former, newest][-self.updates :]

    def _faded(self) -> Any:
        """Return all former samples as those of one update: a greater density is a smaller weight."""
        ages = range(len(self._former), 0, -1)
        faded = [f.density - age * math.log(self.fading) for age, f in zip(ages, self._former, strict=True)]
        return replace(
            self._former[-1],
            x=np.concatenate([f.x for f in self._former]),
            losses=np.concatenate([f.losses for f in self._former]),
            active=None,
            density=np.concatenate(faded),
        )


class Paired(asng.ASNG):
    """ASNG over pairs: variables that follow each other are one choice among all pairs of their values.

    Args:
        space: Choices only, all of them read by every pass.
        lam: Samples an update.
        seed: Of the generator.
    """

    def __init__(self, space: Space, *, lam: int, seed: int) -> None:
        super().__init__(space, lam=lam, seed=seed, reuse=False)
        names = list(space)
        self._groups = [names[k : k + 2] for k in range(0, len(names), 2)]
        joint = {
            " ".join(group): asng.Categorical(range(math.prod(self._counts(group)))) for group in self._groups
        }
        self._joint = asng.ASNG(Space(joint), lam=lam, seed=seed, reuse=False)
        self._drawn: dict[bytes, Candidate] = {}

    def _counts(self, group: list[str]) -> list[int]:
        return [len(self.space[name].choices) for name in group]

    def _raw(self, joint: Architecture) -> list[float]:
        """Return the indices of the choices of single variables."""
        index = zip(self._groups, joint.values(), strict=True)
        return [float(k) for group, value in index for k in np.unravel_index(value, self._counts(group))]

    def _draw(self, u: np.ndarray) -> np.ndarray:
        candidates = self._joint.ask(len(u))
        x = np.array([self._raw(candidate.architecture) for candidate in candidates])
        self._drawn = {row.tobytes(): one for row, one in zip(x, candidates, strict=True)}
        return x

    def _update(self, told: Any) -> Any:
        self._joint.tell([self._drawn[row.tobytes()] for row in told.x], told.losses.tolist())
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
