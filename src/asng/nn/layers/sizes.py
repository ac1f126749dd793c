"""Sizes of layers: whole numbers, or variables that take whole numbers."""

from collections.abc import Iterable
from typing import TypeAlias

from asng.checks import integer_at_least
from asng.errors import SpaceError
from asng.space import Categorical, Integer, Real, SizeExpression, Variable

__all__ = [
    "Rate",
    "Size",
    "check_plain",
    "largest",
    "rate_range",
    "values_of",
    "variables_among",
    "variables_in",
]

Size: TypeAlias = int | Integer | Categorical | SizeExpression
"""A number of features, channels, heads, blocks or pixels, or what decides it: a variable or an expression
such as `2 * variable`."""

_SEARCHED = (Categorical, Integer, Real, SizeExpression)

Rate: TypeAlias = float | Real | Categorical
"""A probability, or the variable that decides it."""


def largest(name: str, size: object, *, least: int = 1) -> int:
    """Return the largest value of a size; a layer holds weights for that value.

    Args:
        name: Name of the argument, for messages.
        size: A whole number, an `Integer`, a `Categorical` of whole numbers, or a `SizeExpression`.
        least: The smallest value allowed.

    Raises:
        InputError: A plain number is not an integer of at least `least`.
        SpaceError: A variable may take any other value.

    Example:
        >>> largest("out_features", Integer(16, 64)), largest("kernel_size", Categorical([1, 5, 3]))
        (64, 5)
    """
    if isinstance(size, Integer):
        if size.low < least:
            raise SpaceError(f"{name}: expected an Integer from {least} on, got {size}. Raise its low.")
        return size.high
    if isinstance(size, Categorical):
        for choice in size.choices:
            if isinstance(choice, bool) or not isinstance(choice, int) or choice < least:
                raise SpaceError(f"{name}: expected choices that are integers >= {least}, got {choice!r}.")
        return max(size.choices)  # type: ignore[type-var, return-value]
    if isinstance(size, SizeExpression):
        lowest, highest = min(size.values()), max(size.values())
        if lowest < least:
            raise SpaceError(f"{name}: expected sizes from {least} on, got {size}, which may be {lowest}.")
        return highest
    if isinstance(size, Real):
        raise SpaceError(f"{name}: expected whole numbers, got {size}. Use asng.Integer.")
    return integer_at_least(name, size, least)


def rate_range(name: str, rate: object) -> float:
    """Return the largest value of a rate.

    Raises:
        SpaceError: The rate, or one of its values, is not a number in [0, 1].

    Example:
        >>> rate_range("p", Real(0.0, 0.5)), rate_range("p", 0.1)
        (0.5, 0.1)
    """
    values: tuple[object, ...] = (rate,)
    if isinstance(rate, Real):
        values = (rate.low, rate.high)
    elif isinstance(rate, Categorical):
        values = rate.choices
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
            raise SpaceError(f"{name}: expected rates in [0, 1], got {value!r}.")
    return max(float(value) for value in values)  # type: ignore[arg-type]


def variables_among(**arguments: object) -> dict[str, Variable | SizeExpression]:
    """Return the arguments that are variables or size expressions, by name: the slots of a layer.

    Example:
        >>> variables_among(out_features=Integer(1, 8), p=0.5)
        {'out_features': Integer(1, 8)}
    """
    return {n: v for n, v in arguments.items() if isinstance(v, _SEARCHED)}


def check_plain(**arguments: object) -> None:
    """Raise if an argument that cannot be searched is a variable or holds one.

    Raises:
        SpaceError: One does; the message names the argument.

    Example:
        >>> check_plain(bias=True, stride=(1, 2))
    """
    for name, value in arguments.items():
        if variables_in(value):
            raise SpaceError(
                f"{name}: expected a value, because this layer reads no variable there, got {value}. To "
                "search it, put an asng.nn.Choice of layers."
            )


def variables_in(value: object) -> bool:
    """Return whether a value is a variable, or a list or tuple that holds one."""
    if isinstance(value, (list, tuple)):
        return any(map(variables_in, value))
    return isinstance(value, _SEARCHED)


def values_of(size: Size) -> Iterable[int]:
    """Return the values of a size, or enough of them to tell what all of them are multiples of.

    Example:
        >>> list(values_of(Integer(4, 12, step=4))), list(values_of(3))
        ([4, 8], [3])
    """
    if isinstance(size, Integer):
        return [size.low, size.low + size.step] if size.low < size.high else [size.low]
    if isinstance(size, Categorical):
        return size.choices  # type: ignore[return-value]
    return size.values() if isinstance(size, SizeExpression) else [size]
