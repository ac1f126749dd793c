"""Importance of each variable, from the losses of samples and from the path of theta."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asng.distributions import Gaussians
from asng.space import Categorical, Integer, Real, Space, Value, Variable

__all__ = ["Importance", "ThetaPath", "sample_importance", "enough_samples"]

_BINS = 5
"""Most bins of an ordered variable, enough for a valley. There are fewer, but at least two, if a bin would
have less than eight samples."""

_SWEEPS = 30
"""Sweeps of backfitting, which converges in a few unless variables were sampled together."""

_FEWEST = 8
"""Fewest samples for a result, and in each bin of an ordered variable if there are more than two."""


class Importance(NamedTuple):
    """The importance of one variable.

    Attributes:
        samples: Share of the variance of the losses' ranks that the variable explains by itself, without the
            effects of others, in [0, 1]. The rest over all variables is interaction and noise.
        theta: How early and how far theta converged on it: the share of its first entropy or spread that is
            lost, averaged over the search, in [0, 1]. It is 0 if theta did not converge on the variable.
    """

    samples: float
    theta: float


class ThetaPath:
    """The path of theta, variable by variable.

    Args:
        space: The searched space.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._first: dict[str, float] = {}
        self._area: dict[str, float] = dict.fromkeys(space, 0.0)
        self._last: dict[str, float] = {}
        self._step = 0

    def add(self, step: int, theta: Mapping[str, Any]) -> None:
        """Add theta after a step, with each variable's probabilities or mean and std; steps must increase.

        The first one is where theta began, usually at step 0.
        """
        widths = {name: self._width(name, value) for name, value in theta.items() if name in self._area}
        if not self._first:
            self._first, self._step = widths, step
        now = {name: self._left(name, width) for name, width in widths.items()}
        for name, left in now.items():
            before = self._last.get(name, 1.0)
            self._area[name] += (step - self._step) * (1.0 - 0.5 * (before + left))
        self._last, self._step = now, step

    def shares(self) -> dict[str, float]:
        """Return the share of entropy or spread that each variable lost, a mean over the steps, in [0, 1]."""
        return {name: min(max(area / max(self._step, 1), 0.0), 1.0) for name, area in self._area.items()}

    def _left(self, name: str, width: float) -> float:
        """Return which share of its first width a variable still has."""
        first = self._first.get(name, 0.0)
        return min(width / first, 1.0) if first > 0.0 else 1.0

    def _width(self, name: str, value: Any) -> float:
        """Return the entropy of a choice, or by how much a spread exceeds the least that it can have."""
        variable = self._space[name]
        if isinstance(variable, Categorical):
            return float(-sum(one * math.log(one) for one in value if one))
        mean, std = (value["mean"], value["std"]) if isinstance(value, Mapping) else (value.mean, value.std)
        least = Gaussians([variable]).std_min(np.array([mean], dtype=np.float64))[0]
        return max(float(std - least), 0.0)


def sample_importance(
    space: Mapping[str, Variable], samples: Sequence[tuple[Mapping[str, Value], float, frozenset[str] | None]]
) -> dict[str, float]:
    """Return the share of the variance of the losses' ranks that each variable explains.

    In an additive model, the rank of a loss is a sum of one effect per variable, which depends on its choice
    or on the bin of its value (at most five). Backfitting separates variables that the search moved together.
    The share that chance alone would explain is subtracted.

    Args:
        space: The searched space, or the variables of interest.
        samples: Architecture, loss, and the names that were read, None for all. Non-finite losses rank worst.
            A variable that was not read counts as a separate value.

    Example:
        >>> from asng.space import Integer
        >>> space = Space({"x": Integer(0, 3), "y": Integer(0, 3)})
        >>> drawn = [({"x": i % 4, "y": i // 4 % 4}, 10.0 * (i % 4) + i // 4 % 4, None) for i in range(64)]
        >>> {name: round(share, 1) for name, share in sample_importance(space, drawn).items()}
        {'x': 0.9, 'y': 0.1}

    References:
        Hastie and Tibshirani, "Generalized Additive Models", 1990, Section 4.4 (backfitting). Hutter, Hoos
        and Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance", ICML 2014 (shares
        of variance).
    """
    none = dict.fromkeys(space, 0.0)
    losses = np.array([loss if math.isfinite(loss) else np.inf for _, loss, _ in samples])
    if len(losses) < _FEWEST or (losses == losses[0]).all():
        return none
    levels, counts = np.unique(losses, return_inverse=True, return_counts=True)[1:]
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[levels]  # ties share their mean rank
    y = (ranks - ranks.mean()) / ranks.std()
    groups = {name: _groups(space, name, samples) for name in space}
    groups = {name: group for name, group in groups.items() if group.max() > 0}
    effects = {name: np.zeros(len(y)) for name in groups}
    left = y.copy()
    for _ in range(_SWEEPS):
        for name, group in groups.items():
            left += effects[name]
            sizes = np.bincount(group)
            # Add half a sample of value 0 to each group, because single values explain only themselves.
            effects[name] = (np.bincount(group, left) / (sizes + 0.5))[group]
            effects[name] -= effects[name].mean()
            left -= effects[name]
    # Each effect has also fitted some of the noise, which the residuals then lack.
    noise = float(left.var()) / max(1.0 - (_freedom(groups.values()) + 1) / len(y), 0.5)
    shares = {
        name: max(float(effects[name].var()) - group.max() * noise / len(y), 0.0)
        for name, group in groups.items()
    }
    total = max(sum(shares.values()), 1.0)
    return none | {name: float(share / total) for name, share in shares.items()}


def enough_samples(space: Mapping[str, Variable], samples: Sequence[Any]) -> bool:
    """Return whether there are at least twice as many samples as effects to fit in `sample_importance`.

    With fewer samples, its results are mostly due to chance. At least eight are needed in any case.

    Args:
        space: As in `sample_importance`.
        samples: As in `sample_importance`.

    Example:
        >>> space = Space({"a": Categorical([0, 1, 2]), "b": Categorical([0, 1, 2])})
        >>> drawn = [({"a": n % 3, "b": n // 3 % 3}, 0.0, None) for n in range(9)]
        >>> enough_samples(space, drawn), enough_samples({"a": space["a"]}, drawn)
        (True, True)
        >>> enough_samples(space, drawn[:7])
        False
    """
    effects = _freedom(_groups(space, name, samples) for name in space)
    return len(samples) >= max(_FEWEST, 2 * effects)


def _freedom(groups: Iterable[NDArray[np.int64]]) -> int:
    """Return the number of effects to fit: for each variable, one less than its number of groups."""
    return int(sum(group.max(initial=0) for group in groups))


def _groups(space: Mapping[str, Variable], name: str, samples: Sequence[Any]) -> NDArray[np.int64]:
    """Return the group number of each sample by the value of a variable, from 0 on without gaps."""
    variable = space[name]
    read = [
        architecture.get(name) if active is None or name in active else None
        for architecture, _, active in samples
    ]
    if isinstance(variable, Categorical):
        index: dict[Any, int] = {choice: number for number, choice in enumerate(variable.choices)}
        found: Any = [index.get(value, -1) if isinstance(value, Hashable) else -1 for value in read]
        unread = [active is not None and name not in active for _, _, active in samples]
        found = np.where(unread, -1, found)
    else:
        raw = np.array([_raw(variable, value) for value in read])
        known = raw[~np.isnan(raw)]
        bins = min(max(len(known) // _FEWEST, 2), _BINS)
        edges = np.unique(np.quantile(known, np.arange(1, bins) / bins)) if len(known) else known
        found = np.where(np.isnan(raw), -1, np.searchsorted(edges, raw, side="left"))
    groups: NDArray[np.int64] = np.unique(found, return_inverse=True)[1]
    return groups


def _raw(variable: Integer | Real, value: Any) -> float:
    """Return the raw coordinate of a value; NaN if it is invalid, as in a log that someone has edited."""
    try:
        return variable.encode(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
