"""An optimiser that learns from all trials of an Optuna study, whichever process made them."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from asng.black_box.measured import worst
from asng.integrations._optuna_space import joined, own_value, raw_of, variable_of
from asng.optim import Optimizer, Staged, StagedConstrained, StagedFront
from asng.space import Candidate, Categorical, Space

__all__ = ["CONSTRAINTS", "DRAWN", "FAILED", "Search", "has_model"]

DRAWN, FAILED, CONSTRAINTS = "asng:drawn", "asng:failed", "constraints"
"""Attributes of trials: how a trial was drawn; that its objective failed; Optuna's own for constraints."""

_FEW, _PART = 2, 32
"""Trials told to a model at a time: as many as in `asng.minimize`, and the most when a study is read anew. A
fit follows each time."""

_MOST_UNDER_WAY = 64
"""How many of the latest running trials are considered; those of killed processes never end."""

_AGAIN = 8
"""Attempts to replace a draw that would repeat a trial; if all of them do, there is nothing new."""


class Search:
    """An optimiser that is told of the trials of a study.

    Args:
        directions: One per objective.
        budget: Expected number of trials.
        noisy: Whether values are noisy.
        constrained: Whether a trial without constraints counts as violating them.

    Attributes:
        distributions: For each variable with more than one value, a distribution over all values that a trial
            could have had.
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
        self._known: dict[frozenset[str], set[tuple[Any, ...]]] = {}

    def follow(self, trials: Sequence[FrozenTrial]) -> None:
        """Tell the optimiser of trials that have ended since the last call, in the order of their ends."""
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
                self._all[name] = joined(self._all.get(name, distribution), distribution)
        wide = {name: self._all[name] for name in sorted(self._all) if not self._all[name].single()}
        if wide != self.distributions:
            self.distributions = wide
            self._begin()
            new = self._told
        if self.optimizer is not None:
            self._tell(self.optimizer, new, _FEW if len(new) < len(self._told) else _PART)

    def ask(self, study: Study, trial: FrozenTrial, rng: np.random.Generator) -> Candidate:
        """Return a candidate to try, different from those that are running."""
        optimizer = self.optimizer
        assert optimizer is not None  # nobody asks before there is a variable
        under_way: list[Candidate] = []
        if has_model(optimizer):
            running = [
                other
                for other in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
                if other.number != trial.number and other.params.keys() & self.distributions.keys()
            ]
            under_way = [self._candidate(other) for other in running[-_MOST_UNDER_WAY:]]
        candidate = optimizer.ask(1, under_way=under_way, rng=rng)[0]
        tried = [_key(other) for other in under_way]
        for _ in range(_AGAIN if has_model(optimizer) and not self._noisy else 0):
            if not self._is_known(candidate) and _key(candidate) not in tried:
                break
            candidate = optimizer.ask(1, under_way=under_way, rng=rng)[0]
        return candidate

    def _begin(self) -> None:
        """Make a new optimiser over the variables known now."""
        self._known, self.optimizer = {}, None
        if not self.distributions:
            return
        space = Space({name: variable_of(one) for name, one in self.distributions.items()})
        # The seed fixes where a new search begins: the same for all samplers of a study.
        given: dict[str, Any] = {"budget": self._budget, "seed": 0, "noisy": self._noisy}
        m = len(self._signs)
        one = m == 1
        self.optimizer = (
            StagedConstrained(space, **given) if one else StagedFront(space, objectives=m, **given)
        )

    def _tell(self, optimizer: Optimizer, trials: Sequence[FrozenTrial], most: int) -> None:
        done = 0
        while done < len(trials):
            model = has_model(optimizer)
            part = trials[done : done + (min(most, max(_PART // 4, done)) if model else 1)]
            done += len(part)
            candidates, losses, then = [], list[Any](), []
            for trial in part:
                candidate = self._candidate(trial)
                # A model takes repeats as a sign that there is nothing new.
                if not candidate.active or (model and not self._noisy and self._is_known(candidate)):
                    continue
                self._known.setdefault(candidate.active, set()).add(_key(candidate))
                candidates.append(candidate)
                losses.append(self._row(trial))
                then.append(_log_density(trial))
            if len(candidates) > 1:
                optimizer.tell(candidates, losses)
            elif candidates:
                densities = None if model else np.array(then)
                optimizer.tell(candidates[0], losses[0], log_densities=densities)

    def _candidate(self, trial: FrozenTrial) -> Candidate:
        """Return the candidate that a trial tried or is trying; variables that it lacks get their middle."""
        assert self.optimizer is not None
        space, drawn = self.optimizer.space, trial.system_attrs.get(DRAWN, {}).get("x", {})
        x = []
        for name, variable in space.items():
            raw = variable.encode(variable.uniform(0.5))
            if name in trial.params:
                distribution = trial.distributions[name]
                value = own_value(self.distributions[name], trial.params[name])
                raw = float(value) if isinstance(variable, Categorical) else raw_of(variable, value)
                # If it rounds and clips to the same value, the optimiser learns from what was drawn.
                if name in drawn and own_value(distribution, trial.params[name]) == variable.decode(
                    drawn[name]
                ):
                    raw = drawn[name]
            x.append(raw)
        return space.candidate(x, trial.params.keys() & space.keys())

    def _is_known(self, candidate: Candidate) -> bool:
        """Whether an earlier trial has the same values in all variables that it read."""
        return any(_key(candidate, names) in keys for names, keys in self._known.items())

    def _row(self, trial: FrozenTrial) -> list[float]:
        """Return what the optimiser is told: all losses, then the worst constraint."""
        constraints = _constraints(trial)
        if self._constrained and not constraints and CONSTRAINTS not in trial.system_attrs:
            constraints = {"": math.inf}
        values = _values(trial) or [math.nan] * len(self._signs)
        losses = [sign * value for sign, value in zip(self._signs, values, strict=True)]
        return [*losses, worst(constraints)]


def _key(candidate: Candidate, names: frozenset[str] | None = None) -> tuple[Any, ...]:
    """Return the values of some variables, by default of those that were read, in order."""
    names = candidate.active if names is None else names
    return tuple(value for name, value in candidate.architecture.items() if names is None or name in names)


def has_model(optimizer: Optimizer) -> bool:
    """Whether an optimiser is still in its model stage, in which delta is 0."""
    return isinstance(optimizer, Staged) and optimizer.delta == 0.0


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial counts: one whose process was lost does not."""
    return trial.state != TrialState.FAIL or FAILED in trial.system_attrs


def _log_density(trial: FrozenTrial) -> float:
    """Return the log density with which a trial was drawn; NaN if it was not drawn from a distribution."""
    return float(trial.system_attrs.get(DRAWN, {}).get("log_density", math.nan))


def _values(trial: FrozenTrial) -> list[float]:
    """Return the values of a trial, or the last one that it reported; none if its objective failed."""
    if trial.state == TrialState.FAIL:
        return []
    if trial.values is not None:
        return list(trial.values)
    reported = trial.intermediate_values
    return [reported[max(reported)]] if reported else []


def _constraints(trial: FrozenTrial) -> dict[str, float]:
    """Return a trial's constraints, stored by a sampler as a list or by `Trial.set_constraint` one by one."""
    found = {str(i): float(value) for i, value in enumerate(trial.system_attrs.get(CONSTRAINTS) or ())}
    for key, value in trial.system_attrs.items():
        if key.startswith(f"{CONSTRAINTS}:"):
            found[key.partition(":")[2]] = float(value)
    return found
