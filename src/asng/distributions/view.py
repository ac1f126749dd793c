"""theta by the names of variables, as the user reads it."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np

from asng.checks import nearest
from asng.distributions.arrays import Floats
from asng.distributions.product import Product, Theta
from asng.space import Categorical

__all__ = ["ThetaView", "Parameters"]

Parameters: TypeAlias = Floats | tuple[float, float]
"""Probabilities of the choices, or (mean, std)."""


class ThetaView(Mapping[str, Parameters]):
    """A read-only mapping from names to probabilities, or to (mean, std).

    Mean and std are in raw coordinates: logarithms where the variable has ``log=True``. A constant has
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
            raise KeyError(f"{name!r} is no variable of the space.{nearest(name, self._product.rank)}")
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
        return f"theta({dict(self)!r})"

    def to_json(self) -> dict[str, list[float] | dict[str, float]]:
        """Return what JSON can hold, by name: probabilities to five places, or "mean" and "std"."""
        fields: dict[str, list[float] | dict[str, float]] = {}
        for name, value in self.items():
            if isinstance(value, tuple):
                fields[name] = {"mean": value[0], "std": value[1]}
            else:
                fields[name] = [round(float(p), 5) for p in value]
        return fields
