"""ASNG as an Optuna sampler: the search of `asng.minimize` over the trials of a study.

All that the sampler knows is in the storage. Before each trial it reads which trials have ended since it last
looked, tells its optimiser of them, and asks for one more candidate. Any number of processes can thus work on
one study, each with its own sampler, and learn from all trials. A process that is killed leaves a trial that
never ends, and nothing else. A new sampler on an old study continues it.

Three things keep several samplers consistent. An optimiser is told of trials in the order in which they
ended, and draws from a generator of the trial rather than its own, so that all optimisers come to know the
same. A point that was drawn from a distribution is told with its density there, so that others weight it by
the ratio of densities. And running points are known, so that no other process tries the same.
"""

import math
import zlib
from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any

import numpy as np

from asng.checks import check_flags, integer_at_least
from asng.errors import InputError
from asng.optim import Optimizer
from asng.space import Candidate

try:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState

    from asng.integrations._optuna_search import CONSTRAINTS, DRAWN, FAILED, Search, has_model
    from asng.integrations._optuna_space import drawn_evenly, fitted, returned
except ImportError as error:
    raise ImportError(
        f"asng.integrations.optuna: expected the library optuna, got: {error}. Install it: "
        "pip install 'asng[optuna]'."
    ) from error

__all__ = ["ASNGSampler"]

FEW = 1000
"""With more trials than this, a search of reals uses no model, as `asng.optim.Staged` says."""

_MOST_DRAWN = 1000
"""Maximum number of trials whose draw is remembered until they end."""


class ASNGSampler(BaseSampler):
    """Samples as `asng.minimize` searches: first by a model of the losses, then by the natural gradient.

    The space need not be known in advance: a variable joins when the first trial that has it ends, and a
    trial counts for the variables that it has. Conditions are thus learnt and need not be declared. In its
    first trial, a variable is drawn uniformly.

    A pruned trial counts by the last value that it reported. One whose objective failed counts as worst, and
    one whose process was lost does not count. Constraints, from `constraints_func` or Optuna's
    `Trial.set_constraint`, hold if each is at most 0; trials in which all of them hold rank first.
    Several objectives have a model each, as in `asng.minimize(objectives=...)`.

    Args:
        seed: The same seed gives the same trials if one process runs them one after the other; >= 0. Other
            processes may have the same seed, since draws depend on the number of the trial too. Default: from
            the operating system.
        constraints_func: Takes a finished `FrozenTrial` and returns its constraints: numbers that are at most
            0 if they hold, and otherwise say by how much they are violated.
        n_trials: Number of trials, >= 1, if it is known. With more than 1000, a space of which at least half
            are reals is searched without a model, as that pays in the end. Default: fewer.
        noisy: Whether trials with the same parameters have different values.

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
        check_flags(noisy=noisy)
        self._seed = _entropy() if seed is None else integer_at_least("seed", seed, 0)
        self._constraints_func = constraints_func
        self._budget = FEW if n_trials is None else integer_at_least("n_trials", n_trials, 1)
        self._noisy = noisy
        self._lock = RLock()
        self._followed: tuple[Any, ...] = ()
        self._search: Search | None = None
        self._drawn: dict[int, tuple[Candidate, Optimizer | None, dict[str, Any]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # What was learnt is in the storage, and a lock cannot be pickled.
        return self.__dict__ | {"_lock": None, "_followed": (), "_search": None, "_drawn": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock())

    def reseed_rng(self) -> None:
        """Take a new seed from the operating system."""
        self._seed = _entropy()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the variables of the trials so far, each over all values that it could have."""
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
                    name: returned(search.distributions[name], value)
                    for name, value in candidate.architecture.items()
                }
                self._remember(trial, candidate, search.optimizer, values)
        return {
            name: fitted(distribution, values[name])
            if name in known
            else drawn_evenly(distribution, self._rng(trial, name))
            for name, distribution in search_space.items()
        }

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value for a variable that is new, or whose range has changed.

        If the range has changed, this is the value that the search wants, or the nearest one to it.
        """
        drawn = self._drawn.get(trial._trial_id)
        if drawn is not None and param_name in drawn[2]:
            return fitted(param_distribution, drawn[2][param_name])
        return drawn_evenly(param_distribution, self._rng(trial, param_name))

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Store what other samplers need to know about a trial, and its constraints."""

        def note(key: str, value: Any) -> None:
            study._storage.set_trial_system_attr(trial._trial_id, key, value)

        candidate, optimizer, _ = self._drawn.pop(trial._trial_id, (None, None, {}))
        if candidate is not None and optimizer is not None:
            read = candidate.with_active(frozenset(candidate.architecture.keys() & trial.params.keys()))
            raw = dict(zip(candidate.space, map(float, candidate.x), strict=True))
            note(DRAWN, {"x": raw, "log_density": float(optimizer.log_density([read], drawn=True)[0])})
        if state == TrialState.FAIL:
            note(FAILED, True)
        elif self._constraints_func is not None:
            returned: Any = self._constraints_func(trial)
            try:
                constraints = [float(value) for value in returned]
            except (TypeError, ValueError):
                constraints = [math.nan]
            if any(math.isnan(value) for value in constraints):
                raise InputError(f"constraints_func: expected a list of numbers, got {returned!r:.80}.")
            note(CONSTRAINTS, constraints)

    def _up_to_date(self, study: Study) -> "Search":
        """Return the search of a study, told of all trials that have ended."""
        followed = study._study_id, id(study._storage), tuple(study.directions)
        if self._search is None or followed != self._followed:
            self._search = Search(
                study.directions,
                budget=self._budget,
                noisy=self._noisy,
                constrained=self._constraints_func is not None,
            )
            self._followed, self._drawn = followed, {}
        self._search.follow(study.get_trials(deepcopy=False))
        return self._search

    def _rng(self, trial: FrozenTrial, name: str) -> np.random.Generator:
        """Return the random generator of a trial, or of one of its variables."""
        return np.random.default_rng([self._seed, trial.number, zlib.crc32(name.encode())])

    def _remember(
        self, trial: FrozenTrial, candidate: Candidate, optimizer: Optimizer, values: dict[str, Any]
    ) -> None:
        while len(self._drawn) >= _MOST_DRAWN:
            del self._drawn[next(iter(self._drawn))]
        # What a model proposes has no density.
        self._drawn[trial._trial_id] = candidate, None if has_model(optimizer) else optimizer, values


def _entropy() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
