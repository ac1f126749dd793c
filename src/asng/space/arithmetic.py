"""Arithmetic on variables: sizes computed from others, such as twice a width."""

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from asng.errors import SpaceError

__all__ = ["Arithmetic", "SizeExpression"]

_OPERATIONS: dict[str, Callable[[Any, Any], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
}

_MOST = 1_000_000
"""Most combinations of values that are enumerated."""


class Arithmetic:
    """Base of integer variables and size expressions, which can be added, subtracted, multiplied, divided."""

    __slots__ = ()

    def __add__(self, other: object) -> "SizeExpression":
        return SizeExpression("+", self, other)

    def __radd__(self, other: object) -> "SizeExpression":
        return SizeExpression("+", other, self)

    def __sub__(self, other: object) -> "SizeExpression":
        return SizeExpression("-", self, other)

    def __rsub__(self, other: object) -> "SizeExpression":
        return SizeExpression("-", other, self)

    def __mul__(self, other: object) -> "SizeExpression":
        return SizeExpression("*", self, other)

    def __rmul__(self, other: object) -> "SizeExpression":
        return SizeExpression("*", other, self)

    def __floordiv__(self, other: object) -> "SizeExpression":
        return SizeExpression("//", self, other)


@dataclass(frozen=True)
class SizeExpression(Arithmetic):
    """A size that is computed from variables: `2 * kv`, `heads * head_width`, `width // 4`.

    Use it as a size of a searchable layer. It adds no variable of its own: its variables are those of other
    layers with the same labels. Make it by `+`, `-`, `*` and `//` of variables, integers and expressions.

    Args:
        operation: One of `+`, `-`, `*`, `//`.
        left: A variable with a label, an expression or an integer.
        right: The same.

    Raises:
        SpaceError: A variable has no label to tie it to another, or its values are not integers.

    Example:
        >>> from asng.space import Integer
        >>> kv = Integer(1, 4, label="kv")
        >>> (2 * kv).value({"kv": 3}), str(2 * kv), max((2 * kv + 1).values())
        (6, '2 * kv', 9)
    """

    operation: str
    left: Any
    right: Any

    def __post_init__(self) -> None:
        for operand in (self.left, self.right):
            _check(operand)

    def variables(self) -> dict[str, Any]:
        """Return the variables by label.

        Raises:
            SpaceError: Two different variables have the same label.
        """
        found: dict[str, Any] = {}
        for operand in (self.left, self.right):
            inner = operand.variables() if isinstance(operand, SizeExpression) else {}
            if isinstance(operand, Arithmetic) and not inner:
                inner = {operand.label: operand}  # type: ignore[attr-defined]
            for label, variable in inner.items():
                if found.setdefault(label, variable) != variable:
                    raise SpaceError(f"label {label!r}: expected one variable in {self}, got two.")
        return found

    def value(self, values: Mapping[str, Any] | Callable[[str], Any]) -> int:
        """Return the size for the given values.

        Args:
            values: Label to value, or a function that returns the value of a label.
        """
        known = values.__getitem__ if isinstance(values, Mapping) else values
        left, right = (_value(operand, known) for operand in (self.left, self.right))
        return _OPERATIONS[self.operation](left, right)

    def values(self) -> Iterator[int]:
        """Yield the size for each combination of values.

        Raises:
            SpaceError: There are more than a million combinations.
        """
        variables = self.variables()
        sizes = [int(variable.size) for variable in variables.values()]
        if math.prod(sizes) > _MOST:
            raise SpaceError(
                f"{self}: expected at most {_MOST:,} combinations of values, got {math.prod(sizes):,}. Give "
                "the variables steps."
            )
        for indices in product(*map(range, sizes)):
            triples = zip(variables.items(), indices, sizes, strict=True)
            yield self.value({n: variable.uniform((i + 0.5) / size) for (n, variable), i, size in triples})

    def __str__(self) -> str:
        """Return the expression as text."""
        return f"{_words(self.left)} {self.operation} {_words(self.right)}"


def _check(operand: object) -> None:
    if isinstance(operand, SizeExpression) or (isinstance(operand, int) and not isinstance(operand, bool)):
        return
    if not isinstance(operand, Arithmetic):
        raise SpaceError(
            f"arithmetic: expected integers, variables of integers and expressions of them, got {operand!r}."
        )
    choices = getattr(operand, "choices", ())
    if any(isinstance(choice, bool) or not isinstance(choice, int) for choice in choices):
        raise SpaceError(f"arithmetic: expected a Categorical of integers, got {operand}.")
    if operand.label is None:  # type: ignore[attr-defined]
        raise SpaceError(
            "arithmetic: expected a variable with a label, which ties it to the same one elsewhere, got "
            f"{operand}. Give it a label."
        )


def _value(operand: Any, known: Callable[[str], Any]) -> int:
    if isinstance(operand, SizeExpression):
        return operand.value(known)
    return int(known(operand.label)) if isinstance(operand, Arithmetic) else int(operand)  # type: ignore[attr-defined]


def _words(operand: Any) -> str:
    if isinstance(operand, SizeExpression):
        return f"({operand})"
    return str(operand.label) if isinstance(operand, Arithmetic) else str(operand)  # type: ignore[attr-defined]
