"""Which variables of a space there are, where some depend on the values of others."""

import math
from collections.abc import Iterator, Mapping

from asng.checks import nearest
from asng.errors import SpaceError
from asng.space.variables import Categorical, Value, Variable

__all__ = ["Conditions"]

_MOST_CASES = 100_000
"""Combinations of values that decide, to be counted one by one; beyond it the size is an upper bound."""


class Conditions:
    """The conditions of all variables of a space.

    Args:
        variables: Name to variable.

    Attributes:
        deciding: Names of the variables that others depend on, those first that they depend on themselves.

    Raises:
        SpaceError: A variable depends on one that there is not, on a value that it does not have, or on
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
        parents = {other for when in self._of.values() for other, _ in when}
        self.deciding = tuple(name for name in self._order if name in parents)

    def __bool__(self) -> bool:
        return bool(self._of)

    def present(self, values: Mapping[str, object]) -> list[str]:
        """Return the names of the variables that are there, in the order of the space.

        Args:
            values: Name to value; one that is missing decides against what depends on it.
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
        """Return how many architectures there are; infinite with reals that may be there."""
        groups = self._groups()
        return math.prod(self._size_of(group) for group in groups)

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
        """Return all names, each after those that it depends on."""
        order = [name for name in self._variables if name not in self._of]
        done, left = set(order), list(self._of)
        while left:
            ready = [name for name in left if all(other in done for other, _ in self._of[name])]
            if not ready:
                names = ", ".join(left)
                raise SpaceError(f"when: expected variables that do not depend on themselves, got {names}.")
            order += ready
            done.update(ready)
            left = [name for name in left if name not in done]
        return order

    def _groups(self) -> list[list[str]]:
        """Return sets of variables between which there are no conditions, each in order."""
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
        deciding = [name for name in group if name in self.deciding]
        if math.prod(len(list(self._cases(name))) for name in deciding) > _MOST_CASES:
            return math.prod(self._variables[name].size for name in group)
        return self._count(group, 0, {})

    def _count(self, group: list[str], at: int, values: dict[str, object]) -> float:
        """Return how many ways there are to go on from the variable at a place, those before being set."""
        if at == len(group):
            return 1
        name, when = group[at], self._of.get(group[at], ())
        if not all(other in values and values[other] in allowed for other, allowed in when):
            return self._count(group, at + 1, values)
        if name not in self.deciding:
            return self._variables[name].size * self._count(group, at + 1, values)
        return sum(
            ways * self._count(group, at + 1, values | {name: value})
            for value, ways in self._cases(name)
            if ways
        )

    def _cases(self, name: str) -> Iterator[tuple[object, float]]:
        """Give the values of a variable that something depends on, one by one, and the others together."""
        variable = self._variables[name]
        if isinstance(variable, Categorical):
            named = dict.fromkeys(variable.choices)
        else:
            conditions = (pair for when in self._of.values() for pair in when)
            named = dict.fromkeys(v for other, values in conditions if other == name for v in values)
        yield from ((value, 1) for value in named)
        yield object(), variable.size - len(named)
