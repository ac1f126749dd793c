"""Conditions: which variables of a space are present, if some depend on the values of others."""

import math
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from asng.checks import nearest
from asng.errors import SpaceError
from asng.space.variables import Categorical, Value, Variable

__all__ = ["Conditions", "product_of"]

_MOST_CASES = 100_000
"""Most combinations of the deciding variables' values to count exactly; beyond it, size is an upper bound."""
_MOST_STEPS = 2_000_000
"""Most steps of that count: one for each variable in each combination."""
_SHOWN = 10
"""Most names in an error."""
_FEW = 16
"""Up to about twice as many factors are multiplied one after the other."""

_Cases: TypeAlias = Mapping[str, Sequence[tuple[object, float]]]
"""Name to the values that others depend on, each with the number of values that it stands for."""


class Conditions:
    """The conditions of all variables of a space.

    Args:
        variables: Name to variable.

    Attributes:
        deciding: Names of the variables that others depend on, each after those that it depends on itself.

    Raises:
        SpaceError: A variable depends on an unknown variable, on a value that the other cannot have, or on
            itself.

    Example:
        >>> from asng.space.variables import Integer
        >>> degree = Integer(1, 9, when={"kernel": "poly"})
        >>> conditions = Conditions({"kernel": Categorical(["poly", "rbf"]), "degree": degree})
        >>> [conditions.present({"kernel": kernel, "degree": 3}) for kernel in ("poly", "rbf")]
        [['kernel', 'degree'], ['kernel']]
    """

    def __init__(self, variables: Mapping[str, Variable]) -> None:
        self._variables = variables
        self._of = {name: variable.when for name, variable in variables.items() if variable.when}
        for name, when in self._of.items():
            for other, values in when:
                self._check(name, other, values)
        self._order = self._sorted() if self._of else list(variables)
        self._named: dict[str, dict[Value, None]] = {}
        for other, allowed in (pair for when in self._of.values() for pair in when):
            self._named.setdefault(other, {}).update(dict.fromkeys(allowed))
        self.deciding = tuple(name for name in self._order if name in self._named)

    def __bool__(self) -> bool:
        return bool(self._of)

    def present(self, values: Mapping[str, object]) -> list[str]:
        """Return the names of the variables that are present, in the order of the space.

        Args:
            values: Name to value; if a value is missing, the variables that depend on it are absent.
        """
        there: set[str] = set()
        for name in self._order:
            when = self._of.get(name, ())
            if all(
                other in there and other in values and values[other] in allowed for other, allowed in when
            ):
                there.add(name)
        return [name for name in self._variables if name in there]

    def size(self) -> float:
        """Return the number of architectures; infinite if a real may be present."""
        groups = self._groups()
        return product_of([self._size_of(group) for group in groups])

    def _check(self, name: str, other: str, values: tuple[Value, ...]) -> None:
        if other not in self._variables:
            hint = nearest(other, self._variables)
            raise SpaceError(f"variables[{name!r}], when: the space has no variable {other!r}.{hint}")
        for value in values:
            if not self._variables[other].contains(value):
                words = self._variables[other].expected(value)
                raise SpaceError(f"variables[{name!r}], when {other!r}: expected {words}")
        if not values:
            raise SpaceError(f"variables[{name!r}], when {other!r}: expected at least one value, got none.")

    def _sorted(self) -> list[str]:
        """Return all names, each after the names that it depends on."""
        depends = {name: [other for other, _ in when] for name, when in self._of.items()}
        try:
            level = dict.fromkeys(self._variables, 0)
            for name in TopologicalSorter(depends).static_order():
                level[name] = 1 + max((level[other] for other in depends.get(name, ())), default=-1)
        except CycleError as error:
            names = ", ".join(error.args[1][:_SHOWN])
            raise SpaceError(
                f"when: expected variables that do not depend on themselves, got {names}."
            ) from None
        return sorted(self._variables, key=level.__getitem__)

    def _groups(self) -> list[list[str]]:
        """Return groups of variables without conditions between groups, each group in order."""
        group = {name: name for name in self._order}

        def top(name: str) -> str:
            while group[name] != name:
                name = group[name]
            return name

        for name, when in self._of.items():
            for other, _ in when:
                group[top(name)] = top(other)
        found: dict[str, list[str]] = {}
        for name in self._order:
            found.setdefault(top(name), []).append(name)
        return list(found.values())

    def _size_of(self, group: list[str]) -> float:
        cases = {name: self._cases_of(name) for name in group if name in self._named}
        combinations = 1
        for ways in cases.values():
            combinations *= len(ways)
            if combinations > _MOST_CASES or combinations * len(group) > _MOST_STEPS:
                return product_of([self._variables[name].size for name in group])
        return self._count(group, 0, {}, cases)

    def _count(self, group: list[str], at: int, values: dict[str, object], cases: _Cases) -> float:
        """Return the number of combinations of the variables from place `at` on, given the values before."""
        sizes: list[float] = []
        for place in range(at, len(group)):
            name, when = group[place], self._of.get(group[place], ())
            if not all(other in values and values[other] in allowed for other, allowed in when):
                continue
            if name in cases:
                sizes.append(
                    sum(
                        ways * self._count(group, place + 1, values | {name: value}, cases)
                        for value, ways in cases[name]
                        if ways
                    )
                )
                break
            sizes.append(self._variables[name].size)
        return product_of(sizes)

    def _cases_of(self, name: str) -> list[tuple[object, float]]:
        """Return the cases of a deciding variable: values to tell apart, and all others as one case."""
        variable = self._variables[name]
        named = dict.fromkeys(variable.choices) if isinstance(variable, Categorical) else self._named[name]
        return [*((value, 1) for value in named), (object(), variable.size - len(named))]


def product_of(sizes: Sequence[float]) -> float:
    """Return the product of integers, or infinity if one of them is infinite.

    Example:
        >>> product_of([2, 3, 7]), product_of([10**400, math.inf]), product_of([])
        (42, inf, 1)
    """
    if math.inf in sizes:
        return math.inf
    # By halves, so that long integers meet long ones; one by one, the time would grow quadratically.
    middle = len(sizes) // 2
    return product_of(sizes[:middle]) * product_of(sizes[middle:]) if middle > _FEW else math.prod(sizes)
