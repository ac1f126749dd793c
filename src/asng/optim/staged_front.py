r"""Several objectives: a model of each, and points that are to push the front forward everywhere.

Every objective has a Gaussian process of its own, fitted to its bent losses (`asng.optim.model`): a bend is
increasing, so it leaves the front as it is. In bent units, scaled so that what is known spans 0 to 1, a
direction lambda > 0 turns m objectives y into one number,

    s(y) = max_j (y_j - o_j) / lambda_j,    o_j = -1/4

where o is better than all known points in every objective. Each minimum of s is on the front, and each point
of the front is the minimum of s for some lambda. This holds where the front is concave, at its ends, and
beyond the present ends. Each point that is proposed has a direction of its own, drawn uniformly. It is the
one with the largest expected improvement of s over the front, a mean over draws from the processes.

What spans 0 to 1 is either the front or all known points, by the toss of a coin. The first spreads points
evenly over the front. But if all points of it are close to one end, hardly any direction leads beyond, and
the search would stay there. With the second, it looks further.

References:
    Knowles, "ParEGO: a hybrid algorithm with on-line landscape approximation for expensive multiobjective
    optimization problems", IEEE Transactions on Evolutionary Computation 10, 2006. Differs: a model for each
    objective instead of one for s, which stays valid for all directions.
    Miettinen, "Nonlinear multiobjective optimization", 1999, Section 3.4 (weighted Tchebycheff, utopian o).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from asng.checks import integer_at_least
from asng.distributions import Floats, Theta
from asng.errors import RunError
from asng.optim.ask_tell import Told
from asng.optim.joint import updated
from asng.optim.model import INFEASIBLE, MOST, POWERS, Archive, Model, bent, learnt_model, surrogate_of
from asng.optim.pareto import ParetoFront, undominated
from asng.optim.proposals import Flags, best_of
from asng.optim.reading import Reading
from asng.optim.saving import array, get
from asng.optim.staged import PARENTS, StagedState
from asng.optim.staged_constrained import ConstrainedState, StagedConstrained, feasible, share
from asng.optim.step import Settings, State
from asng.optim.surrogate import Coordinates, Surrogate
from asng.space import Space

__all__ = ["StagedFront"]

_DRAWS = 64
"""Draws from the processes of which an expectation is the mean."""

_UTOPIAN = -0.25
"""o, in units of the span. Closer to 0, fewer directions move its ends, and more of them its middle."""

_HALF, _SLIGHT, _NONE = math.log(0.5), 1e-12, -30.0

_LEAST = 1e-3
"""Least component of a direction: with 0, one objective would not count at all."""


@dataclass(frozen=True)
class FrontState(ConstrainedState):
    """The state that an update changes.

    Attributes:
        front: Losses of the points that no other dominates.
        models: What has been learnt about each objective.
    """

    front: ParetoFront = field(default_factory=lambda: ParetoFront.empty(0))
    models: tuple[Model, ...] = ()


class StagedFront(StagedConstrained):
    """The default optimiser of `asng.minimize` for several objectives.

    1. A few points are spread evenly over the space.
    2. A Gaussian process of each objective proposes points that are to push the front forward, each in a
       direction of its own.
    3. After 400 evaluations, or from the start if the space is too wide for a model or the budget large, the
       natural gradient moves one distribution. It ranks points by the hypervolume that they add to the front
       (`asng.optim.pareto`).

    `tell` takes a list for each candidate: its losses, and its worst constraint, which holds if it is at
    most 0; 0 if there is none. Points that violate it are as for `StagedConstrained`.

    Args:
        space: The search space.
        objectives: Number of losses, at least 2.
        budget: Number of evaluations that there will be, >= 1. Default: many.
        lam: Number of candidates that `ask` returns by default, as for `Staged`.
        seed: Seed of the generator, >= 0.
        noisy: Whether repeated evaluations of a point give different losses.

    Raises:
        InputError: An argument is not as described.

    Example:
        >>> from asng.space import Real
        >>> opt = StagedFront(Space({"x": Real(0.0, 1.0), "y": Real(0.0, 1.0)}), budget=50)
        >>> for _ in range(20):
        ...     candidates = opt.ask()
        ...     opt.tell(candidates, [(c["x"] + c["y"], 1 - c["x"] + c["y"], 0.0) for c in candidates])
        >>> opt.best["y"] < 0.05
        True
    """

    _settings = Settings(delta_max=2.0, early=True, control_variate=True, scores=True)
    _spread, _covariance, _model_calls = 0.5, False, 400
    _state: FrontState

    def __init__(
        self,
        space: Space,
        *,
        objectives: int = 2,
        budget: int | None = None,
        lam: int | None = None,
        seed: int = 0,
        noisy: bool = False,
    ) -> None:
        m = integer_at_least("objectives", objectives, 2)
        self.numbers_each = m + 1
        super().__init__(space, budget=budget, lam=lam, seed=seed, noisy=noisy)
        self._fixed |= {"objectives": m}

    def _extended(self, state: StagedState) -> FrontState:
        m = self.numbers_each - 1
        models = (Model.first(self._product.n_free),) * m
        return FrontState(**vars(super()._extended(state)), front=ParetoFront.empty(m), models=models)

    def _update(self, told: Told) -> StagedState:
        state, front = super()._update(told), self._state.front
        assert isinstance(state, FrontState)
        for row in told.losses[feasible(told.losses)]:
            front = front.joined(row[:-1])
        state = replace(state, front=front)
        archive = state.archive
        if len(archive) and (good := feasible(archive.losses)).any():
            away = front.scaled(archive.losses[:, :-1]).sum(axis=1)
            state = replace(state, best=archive.x[int(np.argmin(np.where(good, away, np.inf)))])
        return state

    def _worth(self, losses: Floats) -> Floats:
        """Return what each point adds to the front before this update, shape (n,); lower is better."""
        over, good = losses[:, -1], feasible(losses)
        worth = np.where(over > 0.0, INFEASIBLE * (1.0 + share(over)), np.nan)
        worth[good] = self._state.front.worth(losses[good, :-1])
        return worth

    def _kept(self, archive: Archive) -> Archive:
        """Return the points that models use: the front, at most two thirds, and the newest of the others."""
        n = len(archive)
        if n <= MOST:
            return archive
        good = np.flatnonzero(feasible(archive.losses))
        front = {row.tobytes() for row in undominated(archive.losses[good, :-1])}
        good = good[[row.tobytes() in front for row in archive.losses[good, :-1]]][-(2 * MOST // 3) :]
        rest = np.setdiff1d(np.arange(n), good)[-(MOST - len(good)) :]
        at = np.sort(np.concatenate((good, rest)))
        return Archive(archive.x[at], archive.losses[at], archive.active[at])

    def _learnt(self, state: StagedState) -> StagedState:
        assert isinstance(state, FrontState)
        known = self._kept(state.archive)
        models = tuple(
            learnt_model(self._product, replace(known, losses=losses), model)
            for losses, model in zip(known.losses.T, state.models, strict=False)
        )
        limit = state.limit.learnt(self._product, replace(known, losses=known.losses[:, -1]))
        return replace(state, models=models, limit=limit)

    def _modelled_draw(self, u: Floats, reads: Reading, others: Floats) -> Floats:
        state, product, known = self._state, self._product, self._kept(self._state.archive)
        y, surrogates = np.empty((len(known), len(state.models))), list[Surrogate]()
        for j, model in enumerate(state.models):
            own = replace(known, losses=known.losses[:, j]).chosen()
            y[:, j] = bent(own.losses, POWERS[model.bend])[0]
            surrogates.append(surrogate_of(product, own, model, others, reads(others)))
        kept = state.limit.kept(product, replace(known, losses=known.losses[:, -1]))

        def predicted(at: Coordinates) -> tuple[Floats, Floats]:
            means, variances, _, _ = zip(*(one.predicted(at) for one in surrogates), strict=True)
            return np.stack(means, axis=1), np.sqrt(np.stack(variances, axis=1))

        def expected(x: Floats) -> Floats:
            """Return what is predicted for points that probably keep the constraints."""
            at = Coordinates.of(product, x, reads(x))
            return predicted(at)[0][kept(at) > _HALF] if len(x) else np.empty((0, y.shape[1]))

        good = feasible(known.losses)
        front = undominated(np.concatenate((y[good], expected(others))))
        is_known, points = self._known(reads, others), np.empty((len(u), len(self.space)))

        def value(improvement: Improvement | None, x: Floats) -> Floats:
            at = Coordinates.of(product, x, reads(x))
            return kept(at) + (0.0 if improvement is None else improvement(*predicted(at)))

        for i in range(len(u)):
            improvement = Improvement(self._rng, front, y[good]) if len(front) else None
            order = np.argsort(known.losses[:, -1], kind="stable")
            if improvement is not None:
                order = np.argsort(improvement.along(y) + 1e9 * ~good, kind="stable")
            best, worth = known.x[order[:PARENTS]], partial(value, improvement)
            points[i] = best_of(product, self._rng, best, worth, is_known, points[:i])
            front = undominated(np.concatenate((front, expected(points[i : i + 1]))))
        return points

    def _descended(self, state: StagedState, gradient: State, told: Told, new: Flags) -> StagedState:
        if len(told.losses) > 1:
            gradient = updated(self._product, self._joint, self._settings, gradient, told)
        return replace(state, gradient=gradient, theta=gradient.theta)

    def _pack(self) -> dict[str, Any]:
        state = self._state
        names = ("points", "low", "high") if len(state.front) else ()
        front = {name: getattr(state.front, name).tolist() for name in names} or {"points": []}
        return super()._pack() | {"models": [model.pack() for model in state.models], "front": front}

    def _unpack(self, state: Mapping[str, Any], theta: Theta) -> StagedState:
        models, front, m = get(state, "models"), get(state, "front"), self.numbers_each - 1
        if not isinstance(models, list) or len(models) != m:
            raise RunError(f"state['models']: expected {m} models, got {models!r:.80}.")
        loaded = ParetoFront.empty(m)
        if k := len(get(front, "points")):
            low, high = array(front, "low", m), array(front, "high", m)
            loaded = ParetoFront(array(front, "points", k, m), low, high)
        return FrontState(
            **vars(super()._unpack(state, theta)),
            models=tuple(Model.unpack(model, self._product.n_free) for model in models),
            front=loaded,
        )


class Improvement:
    """The expected improvement over a front along one direction.

    Args:
        rng: Draws the direction, and what the expectation is the mean of.
        front: Points that no other dominates, in the units of the models, shape (k, m).
        known: All known points, shape (n, m).
    """

    def __init__(self, rng: np.random.Generator, front: Floats, known: Floats) -> None:
        m = front.shape[1]
        direction = np.abs(rng.standard_normal(m))
        self._direction = np.maximum(direction / np.sqrt((direction**2).sum()), _LEAST)
        self._normal = rng.standard_normal((_DRAWS, m))
        spanned = front if rng.random() < 0.5 else np.concatenate((front, known))
        self._low, width = front.min(axis=0), np.ptp(spanned, axis=0)
        self._width = np.where(width > 0.0, width, 1.0)
        self._front = self._scaled(front)
        self._goal = float(self.along(front).min())

    def __call__(self, mean: Floats, deviation: Floats) -> Floats:
        """Return the logarithm of the expected improvement, given predictions of shape (n, m); shape (n,).

        For a point without any it is lower, by how far the prediction is behind the front.
        """
        drawn = mean[:, None] + deviation[:, None] * self._normal
        gain = np.maximum(self._goal - self.along(drawn), 0.0).mean(axis=1)
        behind = (self._scaled(mean)[:, None] - self._front).min(axis=2).max(axis=1)
        return np.asarray(np.where(gain > _SLIGHT, np.log(np.maximum(gain, _SLIGHT)), _NONE - behind))

    def along(self, y: Floats) -> Floats:
        """Return s of points of shape (..., m), shape (...)."""
        return np.asarray(((self._scaled(y) - _UTOPIAN) / self._direction).max(axis=-1))

    def _scaled(self, y: Floats) -> Floats:
        return np.asarray((y - self._low) / self._width)
