"""theta by the names of variables: a view for users to read, and a prior for them to give."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from asng.checks import nearest
from asng.distributions.arrays import Floats
from asng.distributions.product import Product, Theta
from asng.errors import InputError
from asng.shown import few, html_table
from asng.space import Categorical

__all__ = ["Parameters", "ThetaView", "start"]

Parameters: TypeAlias = Floats | tuple[float, float]
"""Probabilities of the choices, or (mean, std)."""


class ThetaView(Mapping[str, Parameters]):
    """A read-only mapping from names to probabilities, or to (mean, std).

    Mean and std are in raw coordinates: logarithms if the variable has ``log=True``. A constant has
    (value, 0.0). Nothing is copied before a name is looked up.

    Example:
        >>> from asng.space import Integer, Space
        >>> product = Product(Space({"width": Integer(1, 9)}))
        >>> ThetaView(product, product.initial())["width"]
        (5.0, 4.0)
    """

    def __init__(self, product: Product, theta: Theta) -> None:
        self._product = product
        self._theta = theta

    def __getitem__(self, name: str) -> Parameters:
        if name not in self._product.rank:
            raise KeyError(f"{name!r} is not a variable of the space.{nearest(name, self._product.rank)}")
        column = self._product.rank[name]
        variable = self._product.space[name]
        if isinstance(variable, Categorical):
            return self._probabilities(column)
        at = int(np.searchsorted(self._product.ordered_columns, column))
        if at < self._product.gaussians.size and self._product.ordered_columns[at] == column:
            return float(self._theta.mean[at]), float(self._theta.std[at])
        return variable.encode(variable.low), 0.0

    def _probabilities(self, column: int) -> Floats:
        family = self._product.categoricals
        at = int(np.searchsorted(self._product.choice_columns, column))
        if at == family.size or self._product.choice_columns[at] != column:
            return np.ones(1)
        own: Floats = self._theta.p[family.starts[at] : family.ends[at]].copy()
        return own

    def __iter__(self) -> Iterator[str]:
        return iter(self._product.space)

    def __len__(self) -> int:
        return len(self._product.space)

    def __repr__(self) -> str:
        return f"theta({{{few(f'{name!r}: {_short(value)}' for name, value in self.items())}}})"

    def _repr_html_(self) -> str:
        rows = [(name, *self._likeliest(name, value)) for name, value in self.items()]
        return html_table("", rows, header=["variable", "likeliest", "probability, or spread"])

    def _likeliest(self, name: str, value: Parameters) -> tuple[object, str]:
        """Return the likeliest value of a variable, and its probability or spread as text."""
        variable = self._product.space[name]
        if isinstance(variable, Categorical):
            at = int(np.argmax(value))
            return variable.decode(at), f"{value[at]:.1%} of {len(value)} choices"
        return variable.decode(value[0]), f"± {value[1]:.3g}" + (" in logarithms" if variable.log else "")

    def to_json(self) -> dict[str, list[float] | dict[str, float]]:
        """Return values for JSON by name: probabilities to five decimal places, or "mean" and "std"."""
        fields: dict[str, list[float] | dict[str, float]] = {}
        for name, value in self.items():
            if isinstance(value, tuple):
                fields[name] = {"mean": value[0], "std": value[1]}
            else:
                fields[name] = [round(float(p), 5) for p in value]
        return fields


def _short(value: Parameters) -> str:
    numbers = few(f"{float(one):.3g}" for one in value)
    return f"({numbers})" if isinstance(value, tuple) else f"[{numbers}]"


def start(product: Product, prior: Mapping[str, Any], trust: float) -> Theta:
    """Mix a prior into the usual start: trust * prior + (1 - trust) * start, in the parameters E[T(x)].

    These are the probabilities of choices, and E[x] and E[x^2] of ordered variables. The result has the
    moments of a draw from the prior with probability `trust`, and else from the usual start.

    Args:
        product: Family of distributions.
        prior: For some or all variables, the parameters as in `ThetaView`, or its JSON.
        trust: Weight of the prior, in [0, 1].

    Raises:
        InputError: A name is unknown, the number of choices differs, or values are not a distribution.

    Example:
        >>> from asng.space import Categorical, Integer, Space
        >>> product = Product(Space({"op": Categorical(["conv", "skip"]), "width": Integer(0, 10)}))
        >>> theta = start(product, {"op": [0.9, 0.1], "width": (2.0, 1.0)}, 0.5)
        >>> theta.p.round(2).tolist(), theta.mean.tolist(), theta.std.round(2).tolist()
        ([0.7, 0.3], [3.5], [3.91])
    """
    if not isinstance(prior, Mapping):
        raise InputError(f"prior: expected a mapping from names to parameters, got {prior!r}.")
    first = product.initial()
    p, mean, std = (part.copy() for part in first)
    family, gauss = product.categoricals, product.gaussians
    for name in prior:
        if name not in product.rank:
            raise InputError(
                f"prior[{name!r}]: expected a variable of the space, which has none of that name."
                f"{nearest(str(name), product.rank)}"
            )
    usual = ThetaView(product, first)
    places = {int(column): i for i, column in enumerate(product.choice_columns)}
    for name, value in prior.items():
        column, known = product.rank[name], usual[name]
        if not isinstance(known, tuple):
            new = _probabilities(name, value, len(known))
            if column in places:
                at = places[column]
                p[family.starts[at] : family.ends[at]] = trust * new + (1.0 - trust) * known
            continue
        (mean_of, std_of), (middle, half) = _moments(name, value), known
        at = int(np.searchsorted(product.ordered_columns, column))
        if half > 0.0:
            mean_of = min(max(mean_of, float(gauss.low[at])), float(gauss.high[at]))
            widest = float(gauss.std_max[at])
            std_of = min(std_of, widest)
            mean[at] = trust * mean_of + (1.0 - trust) * middle
            spread = (
                trust * std_of**2 + (1.0 - trust) * half**2 + trust * (1.0 - trust) * (mean_of - middle) ** 2
            )
            std[at] = min(float(np.sqrt(spread)), widest)
    std = np.clip(std, gauss.std_min(mean), gauss.std_max)
    return Theta(family.project(p) if family.size else p, mean, std)


def _probabilities(name: str, value: Any, choices: int) -> Floats:
    try:
        p = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        p = np.zeros(0)
    if p.shape != (choices,) or not np.isfinite(p).all() or (p < 0.0).any() or abs(p.sum() - 1.0) > 1e-3:
        raise InputError(f"prior[{name!r}]: expected {choices} probabilities that sum to 1, got {value!r}.")
    shares: Floats = p / p.sum()
    return shares


def _moments(name: str, value: Any) -> tuple[float, float]:
    try:
        mean, std = (value["mean"], value["std"]) if isinstance(value, Mapping) else value
        mean, std = float(mean), float(std)
    except (TypeError, ValueError, KeyError):
        mean, std = float("nan"), 0.0
    if not (np.isfinite(mean) and np.isfinite(std) and std >= 0.0):
        raise InputError(f"prior[{name!r}]: expected a finite mean and a std >= 0, got {value!r}.")
    return mean, std
