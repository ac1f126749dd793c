"""ASNG as a sampler of Optuna: the search of `asng.minimize` over the trials of a study.

All that the sampler knows is in the storage. Before each trial it reads which trials have ended since it last
looked, tells its optimiser of them, and asks for one more. So any number of processes work on one study, each
with a sampler of its own, and learn from what all of them tried; one that is killed leaves a trial that never
ends, and nothing else. A new sampler on an old study goes on with it.

Three things keep several samplers together. An optimiser is told of trials in the order in which they ended,
and draws from a generator of the trial, not its own, so that all of them come to know the same. A point that
was drawn from a distribution is told with how likely it was there, so that it counts for others by their
ratio. And points under way are known as such, so that nobody else tries the same.
"""

import math
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import RLock
from typing import Any

import numpy as np

from asng.black_box import Evaluation
from asng.black_box.front import Front
from asng.black_box.measured import rank_value
from asng.checks import integer_at_least
from asng.errors import InputError
from asng.optim import ASNG, Optimizer, Staged
from asng.space import Candidate, Categorical, Integer, Real, Space, Variable

try:
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.samplers import BaseSampler
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise ImportError(
        f"asng.integrations.optuna: expected the library optuna, got: {error}. Install it: "
        "pip install 'asng[optuna]'."
    ) from error

__all__ = ["ASNGSampler"]

DRAWN, FAILED, CONSTRAINTS = "asng:drawn", "asng:failed", "constraints"
"""Attributes of trials: how one was drawn from a distribution; that its objective failed; Optuna's own."""

FEW = 1000
"""With more trials than that a search of reals leaves the model out, as `asng.optim.Staged` says."""

_PART = 32
"""Trials that a model is told of at a time when a study is read anew; a fit follows each."""

_MOST_UNDER_WAY = 64
"""The latest of the trials that have not ended; those of killed processes never do."""

_MOST_DRAWN = 1000
"""Trials whose draw is remembered until they end."""


class ASNGSampler(BaseSampler):
    """Samples as `asng.minimize` searches: by a model of the losses first, then by the natural gradient.

    The space need not be known before: a variable joins as the first trial that has it ends, and a trial
    counts for the variables that it has. So conditions are learnt, and need not be declared. In the first
    trial with a variable it is drawn uniformly.

    A trial that was pruned counts by the last value that it reported. One whose objective failed counts as
    worst, and one whose process was lost not at all. Constraints, by `constraints_func` or Optuna's
    `Trial.set_constraint`, are kept if each is at most 0; trials that keep all of them rank first. With
    several objectives, one distribution follows the front, as in `asng.minimize(objectives=...)`.

    Args:
        seed: The same seed gives the same trials if one process makes them one after the other; >= 0. Other
            processes may have the same seed, since draws depend on the number of the trial too. Default: from
            the operating system.
        constraints_func: Takes a finished `FrozenTrial`, and returns its constraints: numbers that are at
            most 0 if kept, and else say by how much they are not.
        n_trials: How many trials there will be, >= 1, if it is known. With more than 1000, a space that is
            half of reals or more is searched without a model, as that pays in the end. Default: fewer.
        noisy: Whether another trial with the same parameters has another value.

    Raises:
        InputError: An argument is not as described.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> def objective(trial):
        ...     if trial.suggest_categorical("kernel", ["linear", "poly"]) == "linear":
        ...         return 3.0
        ...     return abs(trial.suggest_int("degree", 1, 9) - 4)
        >>> study = optuna.create_study(sampler=ASNGSampler(seed=0))
        >>> study.optimize(objective, n_trials=20)
        >>> study.best_params
        {'kernel': 'poly', 'degree': 4}
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
        n_trials: int | None = None,
        noisy: bool = False,
    ) -> None:
        if constraints_func is not None and not callable(constraints_func):
            raise InputError(
                f"constraints_func: expected a function of a FrozenTrial, got {constraints_func!r}."
            )
        if not isinstance(noisy, bool):
            raise InputError(f"noisy: expected True or False, got {noisy!r}.")
        self._seed = _entropy() if seed is None else integer_at_least("seed", seed, 0)
        self._constraints_func = constraints_func
        self._budget = FEW if n_trials is None else integer_at_least("n_trials", n_trials, 1)
        self._noisy = noisy
        self._lock = RLock()
        self._followed: tuple[Any, ...] = ()
        self._search: _Search | None = None
        self._drawn: dict[int, tuple[Candidate, Optimizer, dict[str, Any]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # What was learnt is in the storage, and a lock does not travel.
        return self.__dict__ | {"_lock": None, "_followed": (), "_search": None, "_drawn": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock())

    def reseed_rng(self) -> None:
        """Take another seed, from the operating system."""
        self._seed = _entropy()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the variables that trials have had so far, each over all values that it could have."""
        with self._lock:
            return dict(self._up_to_date(study).distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return a value for each variable of a search space."""
        with self._lock:
            search = self._up_to_date(study)
            known = search.distributions.keys() & search_space.keys()
            values: dict[str, Any] = {}
            if known and search.optimizer is not None:
                candidate = search.ask(study, trial, self._rng(trial, ""))
                values = {
                    name: _returned(search.distributions[name], value)
                    for name, value in candidate.architecture.items()
                }
                self._remember(trial, candidate, search.optimizer, values)
        return {
            name: _fitted(distribution, values[name])
            if name in known
            else _uniform(distribution, self._rng(trial, name))
            for name, distribution in search_space.items()
        }

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value of a variable that is new, or whose range is another one now.

        The latter is the value that the search wants, or the nearest one to it.
        """
        drawn = self._drawn.get(trial._trial_id)
        if drawn is not None and param_name in drawn[2]:
            return _fitted(param_distribution, drawn[2][param_name])
        return _uniform(param_distribution, self._rng(trial, param_name))

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Note in the storage what other samplers need to know of a trial, and its constraints."""

        def note(key: str, value: Any) -> None:
            study._storage.set_trial_system_attr(trial._trial_id, key, value)

        drawn = self._drawn.pop(trial._trial_id, None)
        if drawn is not None and (state != TrialState.FAIL) and not _has_model(drawn[1]):
            candidate, optimizer, _ = drawn
            read = candidate.with_active(frozenset(candidate.architecture.keys() & trial.params.keys()))
            raw = dict(zip(candidate.space, map(float, candidate.x), strict=True))
            note(DRAWN, {"x": raw, "log_density": float(optimizer.log_density([read], drawn=True)[0])})
        if state == TrialState.FAIL:
            note(FAILED, True)
        elif self._constraints_func is not None:
            constraints = [float(value) for value in self._constraints_func(trial)]
            if any(math.isnan(value) for value in constraints):
                raise ValueError(f"constraints_func: expected numbers, got {constraints}.")
            note(CONSTRAINTS, constraints)

    def _up_to_date(self, study: Study) -> "_Search":
        """Return what is known of a study, brought up to date."""
        followed = study._study_id, id(study._storage), tuple(study.directions)
        if self._search is None or followed != self._followed:
            self._search = _Search(
                study.directions,
                budget=self._budget,
                noisy=self._noisy,
                constrained=self._constraints_func is not None,
            )
            self._followed, self._drawn = followed, {}
        self._search.follow(study.get_trials(deepcopy=False))
        return self._search

    def _rng(self, trial: FrozenTrial, name: str) -> np.random.Generator:
        """Return the generator of a trial, and of one of its variables."""
        return np.random.default_rng([self._seed, trial.number, zlib.crc32(name.encode())])

    def _remember(
        self, trial: FrozenTrial, candidate: Candidate, optimizer: Optimizer, values: dict[str, Any]
    ) -> None:
        while len(self._drawn) >= _MOST_DRAWN:
            del self._drawn[next(iter(self._drawn))]
        self._drawn[trial._trial_id] = candidate, optimizer, values


class _Search:
    """An optimiser that is told of the trials of a study.

    Args:
        directions: One an objective.
        budget: Trials that there will be.
        noisy: Whether values have noise.
        constrained: Whether a trial without constraints breaks them.

    Attributes:
        distributions: Of each variable with more than one value, over all values that a trial could have had.
        optimizer: None before there is a variable.
    """

    def __init__(
        self, directions: Sequence[StudyDirection], *, budget: int, noisy: bool, constrained: bool
    ) -> None:
        self._signs = [-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in directions]
        self._budget, self._noisy, self._constrained = budget, noisy, constrained
        self.distributions: dict[str, BaseDistribution] = {}
        self.optimizer: Optimizer | None = None
        self._all: dict[str, BaseDistribution] = {}
        self._seen: set[int] = set()
        self._told: list[FrozenTrial] = []
        self._waiting: list[Candidate] = []
        self._known: set[tuple[Any, ...]] = set()
        self._front: Front | None = None

    def follow(self, trials: Sequence[FrozenTrial]) -> None:
        """Tell of trials that have ended since the last time, in the order in which they did."""
        ended = [trial for trial in trials if trial.number not in self._seen and trial.state.is_finished()]
        if not ended:
            return
        self._seen.update(trial.number for trial in ended)
        new = sorted(
            filter(_counts, ended), key=lambda one: (one.datetime_complete or datetime.min, one.number)
        )
        self._told += new
        for trial in new:
            for name, distribution in trial.distributions.items():
                self._all[name] = _joined(self._all.get(name, distribution), distribution)
        wide = {name: self._all[name] for name in sorted(self._all) if not self._all[name].single()}
        if wide != self.distributions:
            self.distributions = wide
            self._begin()
            new = self._told
        if self.optimizer is not None:
            self._tell(self.optimizer, new)

    def ask(self, study: Study, trial: FrozenTrial, rng: np.random.Generator) -> Candidate:
        """Return what to try, other than what is being tried."""
        optimizer = self.optimizer
        assert optimizer is not None  # nobody asks before there is a variable
        under_way: list[Candidate] = []
        if _has_model(optimizer):
            running = [
                other
                for other in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
                if other.number != trial.number and other.params.keys() & self.distributions.keys()
            ]
            under_way = [self._candidate(other) for other in running[-_MOST_UNDER_WAY:]] + self._waiting
        return optimizer.ask(1, under_way=under_way, rng=rng)[0]

    def _begin(self) -> None:
        """Make an optimiser over the variables that there are now."""
        self._waiting, self._known, self.optimizer = [], set(), None
        if not self.distributions:
            return
        space = Space({name: _variable(one) for name, one in self.distributions.items()})
        # Its seed says where a search begins anew: for all samplers of a study that is the same place.
        if len(self._signs) > 1:
            self._front = Front([str(i) for i in range(len(self._signs))])
            self.optimizer = ASNG(space, seed=0, reuse=False, covariance=False, spread=0.5)
        else:
            self.optimizer = Staged(space, budget=self._budget, seed=0, noisy=self._noisy)

    def _tell(self, optimizer: Optimizer, trials: Sequence[FrozenTrial]) -> None:
        done = 0
        while done < len(trials):
            model = _has_model(optimizer)
            part = trials[done : done + (min(_PART, max(8, done)) if model else 1)]
            done += len(part)
            candidates, losses, then = [], [], []
            for trial in part:
                candidate = self._candidate(trial)
                if not candidate.active or (model and not self._is_new(candidate)):
                    continue
                candidates.append(candidate)
                losses.append(self._loss(trial, candidate))
                then.append(_log_density(trial))
            if len(candidates) > 1:
                optimizer.tell(candidates, losses)
                self._waiting = []
            elif candidates:
                generation = optimizer.generation
                densities = None if model else np.array(then)
                optimizer.tell(candidates[0], losses[0], log_densities=densities)
                self._waiting = [*self._waiting, candidates[0]] if optimizer.generation == generation else []

    def _candidate(self, trial: FrozenTrial) -> Candidate:
        """Return what a trial tried, or is trying; of variables that it has not the middle."""
        assert self.optimizer is not None
        space, drawn = self.optimizer.space, trial.system_attrs.get(DRAWN, {}).get("x", {})
        x = []
        for name, variable in space.items():
            raw = variable.encode(variable.uniform(0.5))
            if name in trial.params:
                distribution = trial.distributions[name]
                value = _own(self.distributions[name], trial.params[name])
                raw = float(value) if isinstance(variable, Categorical) else _raw(variable, value)
                # Rounded and clipped it is the same value: the optimiser learns from what was drawn.
                if name in drawn and _own(distribution, trial.params[name]) == variable.decode(drawn[name]):
                    raw = drawn[name]
            x.append(raw)
        return space.candidate(x, trial.params.keys() & space.keys())

    def _is_new(self, candidate: Candidate) -> bool:
        """Whether a model has not been told of a point; it takes what repeats as a sign of its end."""
        if self._noisy:
            return True
        key = tuple(sorted((name, candidate[name]) for name in candidate.active or ()))
        known = key in self._known
        self._known.add(key)
        return not known

    def _loss(self, trial: FrozenTrial, candidate: Candidate) -> float:
        constraints = _constraints(trial)
        if self._constrained and not constraints:
            constraints = {"": math.inf}
        losses = [sign * value for sign, value in zip(self._signs, _values(trial), strict=False)]
        if self._front is None:
            return rank_value(losses[0] if losses else math.nan, constraints)
        one = Evaluation(
            candidate.architecture,
            sum(losses) if losses else math.nan,
            generation=0,
            losses={str(i): loss for i, loss in enumerate(losses)},
            constraints=constraints,
        )
        told = self._front.told([one])[0]
        self._front.add(one)
        return told


def _entropy() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])


def _has_model(optimizer: Optimizer) -> bool:
    """Whether an optimiser is in the stage of a model: then steps have no length yet."""
    return isinstance(optimizer, Staged) and optimizer.delta == 0.0


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial says something: one whose process was lost does not."""
    return trial.state != TrialState.FAIL or FAILED in trial.system_attrs


def _log_density(trial: FrozenTrial) -> float:
    """Return how likely a trial was to be drawn, NaN where it was not drawn from a distribution."""
    return float(trial.system_attrs.get(DRAWN, {}).get("log_density", math.nan))


def _values(trial: FrozenTrial) -> list[float]:
    """Return what a trial came to; nothing if its objective failed."""
    if trial.state == TrialState.FAIL:
        return []
    if trial.values is not None:
        return list(trial.values)
    reported = trial.intermediate_values
    return [reported[max(reported)]] if reported else []


def _constraints(trial: FrozenTrial) -> dict[str, float]:
    """Return constraints as a sampler notes them, a list, and as `Trial.set_constraint` does, one by one."""
    found = {str(i): float(value) for i, value in enumerate(trial.system_attrs.get(CONSTRAINTS) or ())}
    for key, value in trial.system_attrs.items():
        if key.startswith(f"{CONSTRAINTS}:"):
            found[key.partition(":")[2]] = float(value)
    return found


def _joined(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    """Return a distribution over all values of two of a kind; Optuna lets no name have two kinds."""
    if one == other or isinstance(one, CategoricalDistribution):
        return one
    low, high = min(one.low, other.low), max(one.high, other.high)
    if isinstance(one, IntDistribution):
        step = math.gcd(one.step, other.step, abs(one.low - other.low))
        return IntDistribution(low, high, log=one.log, step=1 if one.log else step)
    alike = one.step is not None and one.step == other.step
    apart = (one.low - other.low) / one.step if alike else 0.0
    gap = one.step if alike and math.isclose(apart, round(apart), abs_tol=1e-9) else None
    return FloatDistribution(low, high, log=one.log, step=gap)


def _variable(distribution: BaseDistribution) -> Variable:
    """Return the variable that stands for a distribution; one of choices by their places.

    Choices may be the same to Python, as 1 and True are.
    """
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(range(len(distribution.choices)))
    kind = Integer if isinstance(distribution, IntDistribution) else Real
    step: Any = distribution.step
    return kind(distribution.low, distribution.high, log=distribution.log, step=step)


def _own(distribution: BaseDistribution, value: Any) -> Any:
    """Return a value of a trial as the variable has it."""
    if isinstance(distribution, CategoricalDistribution):
        return int(distribution.to_internal_repr(value))
    return value


def _returned(distribution: BaseDistribution, value: Any) -> Any:
    """Return the value of a variable as a trial has it."""
    return distribution.choices[value] if isinstance(distribution, CategoricalDistribution) else value


def _raw(variable: Integer | Real, value: float) -> float:
    return math.log(value) if variable.log else float(value)


def _fitted(distribution: BaseDistribution, value: Any) -> Any:
    """Return the value of a distribution that is nearest to one."""
    if isinstance(distribution, CategoricalDistribution):
        return value
    variable = _variable(distribution)
    assert not isinstance(variable, Categorical)
    return variable.decode(_raw(variable, min(max(value, distribution.low), distribution.high)))


def _uniform(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """Return a value that is drawn evenly, of logarithms where they are set."""
    return _returned(distribution, _variable(distribution).uniform(rng.random()))
