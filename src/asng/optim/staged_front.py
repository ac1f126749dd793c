r"""Several objectives: a model of each, and points that are to push the front forward everywhere.

Every objective has a Gaussian process of its own, fitted to its bent losses (`asng.optim.model`): a bend is
increasing, so it leaves the front as it is. In bent units, scaled so that the front spans 0 to 1, a direction
lambda > 0 turns m objectives y into one number,

    s(y) = max_j (y_j - o_j) / lambda_j,    o_j = -1/4

where o is better than all known points in every objective. Each minimum of s is on the front, and each point
of the front is the minimum of s for some lambda, also where the front is concave, at its ends, and beyond the
present ends. Each point that is proposed has a direction of its own, drawn uniformly. It is the one with the
largest expected improvement of s over the front, a mean over draws from the processes.

References:
    Knowles, "ParEGO: a hybrid algorithm with on-line landscape approximation for expensive multiobjective
    optimization problems", IEEE Transactions on Evolutionary Computation 10, 2006. Differs: a model for each
    objective instead of one for s, which stays valid for all directions.
    Miettinen, "Nonlinear multiobjective optimization", 1999, Section 3.4 (weighted Tchebycheff, utopian o).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from asng.checks import integer_at_least
from asng.distributions import Floats, Theta
from asng.errors import RunError
from asng.optim.ask_tell import Told
from asng.optim.joint import updated
from asng.optim.model import INFEASIBLE, MOST, POWERS, Archive, Model, bent, learnt_model, surrogate_of
from asng.optim.pareto import ParetoFront, undominated
from asng.optim.proposals import Flags, Pool, searched
from asng.optim.reading import Reading
from asng.optim.saving import array, get
from asng.optim.staged import Staged, StagedState
from asng.optim.step import Settings, State
from asng.optim.surrogate import Coordinates, Surrogate
from asng.space import Space

__all__ = ["StagedFront"]

_DRAWS = 64
"""Draws from the processes of which an expectation is the mean."""

_PARENTS = 8
_UTOPIAN = -0.25
"""o, if the front spans 0 to 1. Closer to 0, fewer directions move its ends, and more of them its middle."""

_LEAST = 1e-3
"""Least component of a direction: with 0, one objective would not count at all."""


@dataclass(frozen=True)
class FrontState(StagedState):
    """The state that an update changes.

    Attributes:
        front: Losses of the points that no other dominates.
        models: What has been learnt about each objective.
    """

    front: ParetoFront = field(default_factory=lambda: ParetoFront.empty(0))
    models: tuple[Model, ...] = ()


class StagedFront(Staged):
    """The default optimiser of `asng.minimize` for several objectives.

    1. A few points are spread evenly over the space.
    2. A Gaussian process of each objective proposes points that are to push the front forward, each in a
       direction of its own.
    3. After 400 evaluations, or from the start if the space is too wide for a model or the budget large, the
       natural gradient moves one distribution. It ranks points by the hypervolume that they add to the front
       (`asng.optim.pareto`).

    `tell` takes a list for each candidate: its losses, and by how much it violates constraints in all, 0 if
    it keeps them. Points that violate any rank behind all others, by the violation.

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
        models = (Model.first(self._product.n_free),) * m
        self._state = FrontState(**vars(self._state), front=ParetoFront.empty(m), models=models)

    def _update(self, told: Told) -> StagedState:
        state, front = super()._update(told), self._state.front
        assert isinstance(state, FrontState)
        for row in told.losses[_feasible(told.losses)]:
            front = front.joined(row[:-1])
        state = replace(state, front=front)
        archive = state.archive
        if len(archive) and (feasible := _feasible(archive.losses)).any():
            away = front.scaled(archive.losses[:, :-1]).sum(axis=1)
            state = replace(state, best=archive.x[int(np.argmin(np.where(feasible, away, np.inf)))])
        return state

    def _worth(self, losses: Floats) -> Floats:
        """Return what each point adds to the front before this update, shape (n,); lower is better."""
        over, good = losses[:, -1], _feasible(losses)
        worth = np.where(over > 0.0, INFEASIBLE * (1.0 + _share(over)), np.nan)
        worth[good] = self._state.front.worth(losses[good, :-1])
        return worth

    def _learnt(self, state: StagedState) -> StagedState:
        assert isinstance(state, FrontState)
        known = chosen(state.archive)
        models = tuple(
            learnt_model(self._product, replace(known, losses=losses), model)
            for losses, model in zip(targets(known.losses).T, state.models, strict=True)
        )
        return replace(state, models=models)

    def _modelled_draw(self, u: Floats, reads: Reading, others: Floats) -> Floats:
        product, known = self._product, chosen(self._state.archive)
        losses = targets(known.losses)
        y, surrogates = np.empty(losses.shape), list[Surrogate]()
        for j, model in enumerate(self._state.models):
            own = replace(known, losses=losses[:, j]).chosen()
            y[:, j] = bent(own.losses, POWERS[model.bend])[0]
            surrogates.append(surrogate_of(product, own, model, others, reads(others)))

        def predicted(x: Floats) -> tuple[Floats, Floats]:
            points = Coordinates.of(product, x, reads(x))
            means, variances, _, _ = zip(*(one.predicted(points) for one in surrogates), strict=True)
            return np.stack(means, axis=1), np.sqrt(np.stack(variances, axis=1))

        front = undominated(np.concatenate((y, predicted(others)[0])) if len(others) else y)
        is_known, points = self._known(reads, others), np.empty((len(u), len(self.space)))
        for i in range(len(u)):
            improvement = Improvement(self._rng, front)

            def weighed(
                x: Floats, taken: Floats = points[:i], improvement: Improvement = improvement
            ) -> Pool:
                x = x[~(is_known(x) | (x[:, None] == taken).all(axis=2).any(axis=1))]
                return Pool(x, improvement(*predicted(x)) if len(x) else np.zeros(0))

            best = known.x[np.argsort(improvement.along(y), kind="stable")[:_PARENTS]]
            pool, everywhere = searched(product, self._rng, best, weighed)
            points[i] = pool.x[int(np.argmax(pool.value))] if len(pool.x) else everywhere[0]
            front = undominated(np.concatenate((front, predicted(points[i : i + 1])[0])))
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
    """

    def __init__(self, rng: np.random.Generator, front: Floats) -> None:
        m = front.shape[1]
        direction = np.abs(rng.standard_normal(m))
        self._direction = np.maximum(direction / np.sqrt((direction**2).sum()), _LEAST)
        self._normal = rng.standard_normal((_DRAWS, m))
        self._low, width = front.min(axis=0), np.ptp(front, axis=0)
        self._width = np.where(width > 0.0, width, 1.0)
        self._front = self._scaled(front)
        self._goal = float(self.along(front).min())

    def __call__(self, mean: Floats, deviation: Floats) -> Floats:
        """Return what points are worth, given predictions of shape (n, m); shape (n,), more is better.

        A point without any improvement is worth less than 0, by how far the prediction is behind the front.
        """
        drawn = mean[:, None] + deviation[:, None] * self._normal
        gain = np.maximum(self._goal - self.along(drawn), 0.0).mean(axis=1)
        behind = (self._scaled(mean)[:, None] - self._front).min(axis=2).max(axis=1)
        return np.asarray(np.where(gain > 1e-12, gain, -1.0 - behind))

    def along(self, y: Floats) -> Floats:
        """Return s of points of shape (..., m), shape (...)."""
        return np.asarray(((self._scaled(y) - _UTOPIAN) / self._direction).max(axis=-1))

    def _scaled(self, y: Floats) -> Floats:
        return np.asarray((y - self._low) / self._width)


def chosen(archive: Archive) -> Archive:
    """Return the points that models use: the front, at most two thirds, and the newest of the others."""
    n = len(archive)
    if n <= MOST:
        return archive
    rows = targets(archive.losses)
    front = {row.tobytes() for row in undominated(rows)}
    good = np.flatnonzero([row.tobytes() in front for row in rows])[-(2 * MOST // 3) :]
    rest = np.setdiff1d(np.arange(n), good)[-(MOST - len(good)) :]
    keep = np.sort(np.concatenate((good, rest)))
    return Archive(archive.x[keep], archive.losses[keep], archive.active[keep])


def targets(losses: Floats) -> Floats:
    """Return the losses to model, shape (n, m), given losses with the violation as the last, (n, m + 1).

    Those of a point that violates constraints are beyond the worst of the others in every objective, by its
    violation. Failed points get infinity. If all violate, the violation is each of the losses.

    Example:
        >>> targets(np.array([[1.0, 4.0, 0.0], [3.0, 2.0, 0.0], [0.0, 0.0, 1.0], [np.nan, 1.0, 0.0]]))
        array([[ 1.,  4.],
               [ 3.,  2.],
               [ 6.,  8.],
               [inf, inf]])
    """
    y, over, good = losses[:, :-1], losses[:, -1:], _feasible(losses)
    if not good.any():
        return np.where(np.isfinite(y).all(axis=1, keepdims=True), _share(over), np.inf) + np.zeros_like(y)
    finite = y[np.isfinite(y).all(axis=1)]
    with np.errstate(over="ignore"):  # beyond all floats is as good as failed
        width = np.ptp(finite, axis=0)
        beyond = y[good].max(axis=0) + np.where(width > 0.0, width, 1.0) * (0.5 + _share(over))
    return np.where(good[:, None], y, np.where(over > 0.0, beyond, np.inf))


def _share(over: Floats) -> Floats:
    """Map violations from 0 to infinity to numbers from 0 to 1."""
    finite = np.where(np.isfinite(over), over, 0.0)
    return np.where(np.isfinite(over), finite / (1.0 + finite), 1.0)


def _feasible(losses: Floats) -> Flags:
    """Return which points, of shape (n, m + 1), have finite losses and violate no constraint."""
    return np.asarray(np.isfinite(losses).all(axis=1) & (losses[:, -1] <= 0.0))
