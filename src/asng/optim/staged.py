"""ASNG for a black box with a budget: a model first, then the natural gradient, then restarts."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from asng.checks import check_flags, integer_at_least
from asng.distributions import Floats, Ints, Product, Theta
from asng.errors import RunError
from asng.optim.ask_tell import Optimizer, Told
from asng.optim.asng import FIRST_SPREAD, pack_state, unpack_state
from asng.optim.density import improving
from asng.optim.handover import handed_over, near
from asng.optim.joint import Joint, begun, drawn, updated, weighed
from asng.optim.model import Archive, Model, learnt_model, surrogate_of
from asng.optim.proposals import Flags, proposed
from asng.optim.reading import Reading, read_only
from asng.optim.saving import array, get, number, whole
from asng.optim.step import Settings, State
from asng.optim.told import none_if_not_finite, shape_told
from asng.space import Space

__all__ = ["Staged"]

SETTLED = 0.37
SETTINGS = Settings(delta_max=2.0, early=True, reuse=True, control_variate=True, scores=True)
"""The settings of `ASNG` for a black box."""

FIRST = 8
"""Points that are drawn evenly before there is a model."""

BATCH = 2
"""Points that the model proposes at a time."""

NEARBY = 2
"""In every NEARBY-th batch, one point is drawn near the best one, whatever the model predicts for it."""

FOREST_SHARE, FOREST_FROM = 0.5, 21
"""The share of points that a forest chooses instead of the model, where good ones are dense, and the number
of evaluations from which on it does: three of 21 count as good."""

MODEL_CALLS = 200
"""Most evaluations that the model proposes, the initial ones included."""

MODEL_VARIABLES = 64
"""Most free variables for which there is a model."""

MODEL_BUDGET = 1000
"""With a larger budget, a space of which at least half are reals is left to the covariance from the start. A
model's results of the first 200 would delay what the covariance learns, and be no better by then."""

LAM = 8
"""Samples of the natural gradient's first updates; 16 were not better on the development half."""

PARENTS, _FLAT, _LAM_MAX = 8, 5, 64


@dataclass(frozen=True)
class StagedState:
    """The state that an update changes.

    Attributes:
        theta: The present distribution; while there is a model, the one that the gradient would start from.
        archive: The evaluated points, while there is a model.
        keys: A number for the read values of each evaluated point, sorted; empty if losses are noisy.
        best: The best point, snapped, shape (D,).
        least: Its loss; infinite before there is any.
        calls: Number of points told that differ in what was read; if losses are noisy, of all points told.
        model: What the model has learnt about the losses.
        gradient: The state of the natural gradient, None while there is a model.
        lam: Its samples per update.
        runs: Number of times it was started.
        still: Evaluations since it converged without a better loss, or generations without a new point.
    """

    theta: Theta
    archive: Archive
    keys: Ints
    best: Floats
    least: float
    calls: int
    model: Model
    gradient: State | None = None
    lam: int = LAM
    runs: int = 0
    still: int = 0


class Staged(Optimizer):
    """The default optimiser of `asng.minimize`, which picks the best method for the number of evaluations.

    1. A few points are spread evenly over the space.
    2. A Gaussian process of the losses (`asng.optim.model`) proposes two points at a time: the one with the
       best expected loss, and the one with the largest expected improvement. The model is uncertain about a
       category whose own variables are unknown, so none is rejected early. Variables that a call did not
       read are left out. From 21 evaluations on, a random half of the points is drawn where good points are
       dense, and chosen by a forest of trees (`asng.optim.density`). It uses only the order of losses: those
       of real models jump and have steps, which a smooth process predicts badly.
    3. After 200 evaluations, `asng.ASNG` continues from the best, in a hundredth of the time.
    4. Once it has converged, it restarts: in turns elsewhere with twice the samples, and near the best.

    Differs from `ASNG`: while there is a model, the losses themselves count and not only their order.

    Args:
        space: The search space.
        budget: Number of evaluations that there will be, >= 1. Default: many.
        lam: Number of candidates that `ask` returns by default, at least 2, as for parallel calls. Default:
            what suits the stage: 8 initial points, 2 with a model, 8 or more per update after that.
        seed: Seed of the generator, >= 0.
        noisy: Whether repeated evaluations of a point give different losses. Then the best loss is partly
            luck: the search returns the mode of theta, does not restart, and omits the forest.

    Raises:
        InputError: An argument is not as described.

    Example:
        >>> from asng.space import Real
        >>> opt = Staged(Space({"x": Real(-1.0, 1.0), "y": Real(-1.0, 1.0)}), budget=60)
        >>> for _ in range(27):
        ...     candidates = opt.ask()
        ...     opt.tell(candidates, [(c["x"] - 0.3) ** 2 + (c["y"] + c["x"]) ** 2 for c in candidates])
        >>> bool(opt.theta["x"][0] > 0.2)
        True
    """

    _settings, _spread, _covariance, _model_calls = SETTINGS, FIRST_SPREAD, True, MODEL_CALLS
    _state: StagedState

    def __init__(
        self,
        space: Space,
        *,
        budget: int | None = None,
        lam: int | None = None,
        seed: int = 0,
        noisy: bool = False,
    ) -> None:
        if budget is not None:
            budget = integer_at_least("budget", budget, 1)
        check_flags(noisy=noisy)
        product = Product(space, settled=SETTLED, spread=self._spread)
        super().__init__(product, lam=LAM if lam is None else lam, seed=seed, sampling="stratified")
        self._lam_given = None if lam is None else self._lam
        self._first_lam = self._lam
        self._budget, self._noisy = math.inf if budget is None else budget, noisy
        self._fixed |= {"lam": lam, "budget": budget, "noisy": noisy}
        self._modelled = self._calls_of_model()
        self._joint: Joint | None = None
        if self._covariance and len(product.of_reals):
            discrete = Product(space, settled=SETTLED, spread=FIRST_SPREAD, reals=False)
            self._joint = Joint(product, discrete)
        size = len(space)
        first = StagedState(
            theta=product.initial(),
            archive=Archive.empty(size),
            keys=np.empty(0, dtype=np.intp),
            best=product.mode(product.initial()),
            least=math.inf,
            calls=0,
            model=Model.first(product.n_free),
        )
        self._state = self._extended(first)
        if not self._modelled:
            self._state = self._begun(self._state, product.initial(), self._first_lam)

    def _extended(self, state: StagedState) -> StagedState:
        """Return the initial state with what a subclass adds to it."""
        return state

    def _calls_of_model(self) -> int:
        product = self._product
        too_wide = (product.gaussians.std_max > np.finfo(np.float64).max / 2).any()  # no float is its range
        if too_wide or not 0 < product.n_free <= MODEL_VARIABLES:
            return 0
        real = 2 * len(product.of_reals) >= product.n_free
        return 0 if real and self._budget > MODEL_BUDGET else self._model_calls

    @property
    def delta(self) -> float:
        """Length of the next step of the natural gradient; 0 while there is a model."""
        gradient = self._state.gradient
        return 0.0 if gradient is None else self._settings.delta_init / gradient.Delta

    @property
    def gamma(self) -> float:
        """As in `ASNG`; 0 while there is a model."""
        gradient = self._state.gradient
        return 0.0 if gradient is None else gradient.gamma

    @property
    def runs(self) -> int:
        """Number of times the natural gradient was started."""
        return self._state.runs

    def _count(self) -> int:
        state = self._state
        if self._lam_given is not None:
            return self._lam_given
        if state.gradient is not None:
            return state.lam
        return BATCH if len(state.archive) >= FIRST else FIRST

    def _best(self) -> Floats:
        """The mode of theta; without noise, the best point while there is a model and after a restart."""
        state = self._state
        wanders = state.gradient is None or state.runs > 1
        return state.best if wanders and not self._noisy else self._product.mode(state.theta)

    def _draw(self, u: Floats) -> Floats:
        state, product = self._state, self._product
        if state.gradient is not None:
            return drawn(product, self._joint, state.gradient, u)
        archive = state.archive
        if len(archive) < FIRST or not np.isfinite(archive.losses).any():
            return product.snapped(product.uniform(u))
        reads = Reading(product, archive.x, archive.active)
        others = product.snapped(self._under_way) if len(self._under_way) else self._under_way
        return self._modelled_draw(u, reads, others)

    def _modelled_draw(self, u: Floats, reads: Reading, others: Floats) -> Floats:
        """Return points that a model proposes.

        Args:
            u: Uniform numbers, as for `_draw`.
            reads: Returns which variables points are expected to read.
            others: Points under way, snapped, shape (m, D).
        """
        product, archive = self._product, self._ranked(self._state.archive)
        known, chosen = self._known(reads, others), np.zeros(len(u), dtype=bool)
        if not self._noisy and len(archive) >= FOREST_FROM:
            chosen = self._rng.random(len(u)) < FOREST_SHARE
        points = product.snapped(product.uniform(u))
        if not chosen.all():
            points = self._by_process(len(u), reads, others, known)
        at = np.flatnonzero(chosen)
        if not len(at):
            return points
        return improving(product, self._rng, archive, points, at, reads=reads, known=known)

    def _by_process(self, n: int, reads: Reading, others: Floats, known: Callable[[Floats], Flags]) -> Floats:
        """Return n points that the Gaussian process proposes."""
        state, archive = self._state, self._ranked(self._state.archive)
        surrogate = surrogate_of(self._product, archive, state.model, others, reads(others))
        turn, place = state.model.turn, 0
        if n == 1:  # single draws take the places of a batch one by one
            turn, place = divmod(self._draws.drawn, BATCH)
        return proposed(
            self._product,
            self._rng,
            surrogate,
            archive.x[archive.order()[:PARENTS]],
            n,
            place=place,
            nearby=turn % NEARBY == NEARBY - 1,
            reads=reads,
            known=known,
        )

    def _log_density(self, theta: Theta, x: Floats, active: Floats | None) -> Floats:
        # A model's proposals are not drawn from theta, and are as informative if they are told late.
        if self._state.gradient is None:
            return np.zeros(len(x))
        return super()._log_density(theta, x, weighed(self._joint, x, active))

    def _known(self, reads: Reading, others: Floats) -> Callable[[Floats], Flags]:
        """Return a function that says which points equal a known one in all variables that they will read.

        Args:
            reads: Returns which variables points are expected to read.
            others: Points under way, snapped, shape (m, D).
        """
        archive = self._state.archive
        keys = _keys(read_only(archive.x, archive.active))
        if len(others):
            keys = np.concatenate((keys, _keys(read_only(others, reads(others)))))

        def known(x: Floats) -> Flags:
            if self._noisy:
                return np.zeros(len(x), dtype=bool)
            return np.isin(_keys(read_only(x, reads(x))), keys)

        return known

    def _update(self, told: Told) -> StagedState:
        state, new = self._counted(self._state, told)
        if state.gradient is not None:
            return self._descended(state, state.gradient, told._replace(losses=self._worth(told.losses)), new)
        archive = state.archive
        if new.any():
            read = None if told.active is None else told.active[new]
            archive = archive.joined(self._product.snapped(told.x[new]), told.losses[new], read)
        state = replace(state, archive=archive, still=0 if new.any() else state.still + 1)
        if len(archive) >= FIRST:
            state = self._learnt(state) if new.any() else state
            state = replace(state, theta=handed_over(self._product, self._ranked(archive)))
        # If draws find nothing new any more, the model has no points left to propose.
        if state.calls >= self._modelled or (state.still > _FLAT and len(archive) >= FIRST):
            nothing = Archive.empty(told.x.shape[1])
            state = self._begun(replace(state, archive=nothing), state.theta, self._first_lam)
        return state

    def _worth(self, losses: Floats) -> Floats:
        """Return the numbers by which points are ordered, shape (n,); lower is better."""
        return losses

    def _ranked(self, archive: Archive) -> Archive:
        """Return points with the numbers by which they are ordered."""
        return replace(archive, losses=self._worth(archive.losses))

    def _learnt(self, state: StagedState) -> StagedState:
        """Return the state with a model of the points that it has."""
        return replace(state, model=learnt_model(self._product, state.archive, state.model))

    def _counted(self, state: StagedState, told: Told) -> tuple[StagedState, Flags]:
        """Return the state with keys, calls and best point updated, and which points are new."""
        snapped = self._product.snapped(told.x)
        if self._noisy:
            new = np.ones(len(snapped), dtype=bool)
            keys = state.keys
        else:
            own = _keys(read_only(snapped, told.active))
            first = np.zeros(len(own), dtype=bool)
            first[np.unique(own, return_index=True)[1]] = True
            new = first & ~np.isin(own, state.keys)
            keys = np.union1d(state.keys, own)
        losses = self._worth(told.losses)
        losses = np.where(np.isfinite(losses), losses, np.inf)
        at = int(np.argmin(losses))
        better = float(losses[at]) < state.least
        return (
            replace(
                state,
                keys=keys,
                calls=state.calls + int(new.sum()),
                best=snapped[at] if better else state.best,
                least=float(losses[at]) if better else state.least,
                still=0 if better else state.still,
            ),
            new,
        )

    def _begun(self, state: StagedState, theta: Theta, lam: int) -> StagedState:
        gradient = begun(self._product, self._joint, self._settings, theta)
        return replace(state, theta=theta, gradient=gradient, lam=lam, runs=state.runs + 1, still=0)

    def _descended(self, state: StagedState, gradient: State, told: Told, new: Flags) -> StagedState:
        """Return the state after an update of the natural gradient, restarted if it has converged."""
        if len(told.losses) > 1:
            gradient = updated(self._product, self._joint, self._settings, gradient, told)
        state = replace(state, gradient=gradient, theta=gradient.theta)
        if self._noisy:
            return state
        if not self._settled(gradient.theta, told.active):
            still = state.still + 1 if not new.any() else 0
            return self._restarted(state) if still > 4 * _FLAT else replace(state, still=still)
        still = state.still + (int(new.sum()) or len(new))
        return self._restarted(state) if still > self._patience(state) else replace(state, still=still)

    def _patience(self, state: StagedState) -> float:
        """Return how many evaluations a converged search may spend without a better loss."""
        return max(
            _FLAT * state.lam, 2.0 * self._product.categoricals.n_theta + 2.0 * len(self._product.of_integers)
        )

    def _settled(self, theta: Theta, active: Floats | None) -> bool:
        """Whether probabilities and spreads of the variables that most samples read are at their bounds."""
        product, family, gauss = self._product, self._product.categoricals, self._product.gaussians
        read = np.ones(len(self.space), dtype=bool) if active is None else (active > 0).mean(axis=0) >= 0.5
        if family.size:
            most = np.maximum.reduceat(theta.p, family.starts)
            undecided = 1.0 - most > 2.0 * family.theta_min * (family.counts - 1) + 1e-9
            if undecided[read[product.choice_columns]].any():
                return False
        low = gauss.std_min(theta.mean)
        finest = np.where(np.isin(np.arange(gauss.size), product.of_reals), 1e-3 * low, 1.2 * low)
        return bool((theta.std <= finest)[read[product.ordered_columns]].all())

    def _restarted(self, state: StagedState) -> StagedState:
        product, fresh = self._product, state.runs % 2 == 1
        first = product.initial()
        if fresh:
            mean = product.gaussians.uniform(self._rng.random((1, product.gaussians.size)))[0]
            return self._begun(state, Theta(first.p, mean, first.std), min(2 * state.lam, _LAM_MAX))
        return self._begun(state, near(product, state.best), state.lam)

    def _pack(self) -> dict[str, Any]:
        state = self._state
        return {
            "archive": {name: getattr(state.archive, name).tolist() for name in ("x", "active")}
            | {"losses": none_if_not_finite(state.archive.losses)},
            "keys": state.keys.tolist(),
            "best": state.best.tolist(),
            "least": state.least if math.isfinite(state.least) else None,
            "calls": state.calls,
            "model": state.model.pack(),
            "gradient": None if state.gradient is None else pack_state(state.gradient),
            "lam": state.lam,
            "runs": state.runs,
            "still": state.still,
        }

    def _unpack(self, state: Mapping[str, Any], theta: Theta) -> StagedState:
        saved, product, size = get(state, "archive"), self._product, len(self.space)
        n = len(get(saved, "losses"))
        archive = Archive(
            array(saved, "x", n, size) if n else np.empty((0, size)),
            array(saved, "losses", *shape_told(n, self.numbers_each), missing=True) if n else np.empty(0),
            array(saved, "active", n, size) if n else np.empty((0, size)),
        )
        gradient = get(state, "gradient")
        if gradient is not None:
            like = begun(product, self._joint, self._settings, theta)
            discrete = product if self._joint is None else self._joint.discrete
            gradient = unpack_state(gradient, theta, like, self._settings, product, discrete)
        keys = get(state, "keys")
        if not isinstance(keys, list) or not all(type(key) is int for key in keys):
            raise RunError(f"state['keys']: expected a list of integers, got {keys!r:.80}.")
        least = get(state, "least")
        return StagedState(
            theta=theta,
            archive=archive,
            keys=np.array(keys, dtype=np.intp),
            best=array(state, "best", size),
            least=math.inf if least is None else number(state, "least"),
            calls=whole(state, "calls"),
            model=Model.unpack(get(state, "model"), product.n_free),
            gradient=gradient,
            lam=whole(state, "lam"),
            runs=whole(state, "runs"),
            still=whole(state, "still"),
        )


def _keys(x: Floats) -> Ints:
    """Return one number per row, shape (n,), practically never the same for two points."""
    rows = np.ascontiguousarray(x + 0.0)  # turns -0 into 0
    found = [
        int.from_bytes(blake2b(row.tobytes(), digest_size=8).digest(), "little", signed=True) for row in rows
    ]
    return np.array(found, dtype=np.intp)
