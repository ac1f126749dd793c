"""One loss under constraints: models of the loss and of the worst constraint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from asng.distributions import Floats, Theta
from asng.optim.limit import Limit
from asng.optim.model import INFEASIBLE, POWERS, Archive, bent, learnt_model, surrogate_of
from asng.optim.proposals import Flags, best_of, log_improvement
from asng.optim.reading import Reading
from asng.optim.saving import array
from asng.optim.staged import PARENTS, Staged, StagedState
from asng.optim.surrogate import Coordinates, Surrogate

__all__ = ["ConstrainedState", "StagedConstrained", "feasible", "share"]


@dataclass(frozen=True)
class ConstrainedState(StagedState):
    """The state that an update changes.

    Attributes:
        limit: What has been learnt about the worst constraint.
    """

    limit: Limit = field(default_factory=lambda: Limit.first(0))


class StagedConstrained(Staged):
    """`Staged` for a loss under constraints, the default optimiser of `asng.minimize`.

    `tell` takes a list of two numbers for each candidate: its loss, and its worst constraint, which holds if
    it is at most 0; 0 if there is none. Once a point has violated it, proposals of the Gaussian process have
    the largest expected improvement times the probability of keeping the constraints (`asng.optim.limit`), or
    the largest probability alone until a point keeps them. Everything else orders points that violate them
    behind all others, by the violation. Without constraints the search is that of `Staged`, bit for bit.

    Args:
        space: The search space.
        budget: Number of evaluations that there will be, >= 1. Default: many.
        lam: Number of candidates that `ask` returns by default, as for `Staged`.
        seed: Seed of the generator, >= 0.
        noisy: Whether repeated evaluations of a point give different losses.

    Raises:
        InputError: An argument is not as described.

    Example:
        >>> from asng.space import Real, Space
        >>> opt = StagedConstrained(Space({"x": Real(0.0, 1.0), "y": Real(0.0, 1.0)}), budget=60)
        >>> for _ in range(17):
        ...     candidates = opt.ask()
        ...     opt.tell(candidates, [(c["x"] + c["y"], 0.5 - c["x"] * c["y"]) for c in candidates])
        >>> abs(opt.best["x"] + opt.best["y"] - 2**0.5) < 0.02
        True
    """

    numbers_each = 2
    _state: ConstrainedState

    def _extended(self, state: StagedState) -> ConstrainedState:
        return ConstrainedState(**vars(state), limit=Limit.first(self._product.n_free))

    def _worth(self, losses: Floats) -> Floats:
        loss, worst = losses.T
        return np.where((worst > 0.0) & ~np.isnan(loss), INFEASIBLE * (1.0 + share(worst)), loss)

    def _kept(self, archive: Archive) -> Archive:
        """Return the points that models use."""
        at = self._ranked(archive).kept()
        return Archive(archive.x[at], archive.losses[at], archive.active[at])

    def _learnt(self, state: StagedState) -> StagedState:
        assert isinstance(state, ConstrainedState)
        known = self._kept(state.archive)
        own, worst = (replace(known, losses=column) for column in known.losses.T)
        model = learnt_model(self._product, own, state.model)
        return replace(state, model=model, limit=state.limit.learnt(self._product, worst))

    def _by_process(self, n: int, reads: Reading, others: Floats, known: Callable[[Floats], Flags]) -> Floats:
        state, product, archive = self._state, self._product, self._kept(self._state.archive)
        if not (archive.losses[:, -1] > 0.0).any():
            return super()._by_process(n, reads, others, known)
        own, worst = (replace(archive, losses=column) for column in archive.losses.T)
        good, kept = feasible(archive.losses), state.limit.kept(product, worst)
        y, _ = bent(own.chosen().losses, POWERS[state.model.bend])
        goal = float(y[good].min()) if good.any() else None
        best, points = archive.x[self._ranked(archive).order()[:PARENTS]], np.empty((n, archive.x.shape[1]))

        def value(surrogate: Surrogate, x: Floats) -> Floats:
            at = Coordinates.of(product, x, reads(x))
            if goal is None:
                return kept(at)
            mean, variance, _, _ = surrogate.predicted(at)
            return kept(at) + log_improvement(goal - mean, np.sqrt(variance))

        for i in range(n):
            busy = np.concatenate((others, points[:i]))
            surrogate = surrogate_of(product, own, state.model, busy, reads(busy))
            points[i] = best_of(product, self._rng, best, partial(value, surrogate), known, points[:i])
        return points

    def _pack(self) -> dict[str, Any]:
        return super()._pack() | {"limit": self._state.limit.hyper.tolist()}

    def _unpack(self, state: Mapping[str, Any], theta: Theta) -> StagedState:
        limit = Limit(array(state, "limit", self._product.n_free + 2))
        return ConstrainedState(**vars(super()._unpack(state, theta)), limit=limit)


def share(worst: Floats) -> Floats:
    """Map violations from 0 to infinity to numbers from 0 to 1."""
    finite = np.where(np.isfinite(worst), np.maximum(worst, 0.0), 0.0)
    return np.where(np.isfinite(worst), finite / (1.0 + finite), 1.0)


def feasible(losses: Floats) -> Flags:
    """Return which points have finite losses and a worst constraint, the last, of at most 0."""
    return np.asarray(np.isfinite(losses).all(axis=1) & (losses[:, -1] <= 0.0))
