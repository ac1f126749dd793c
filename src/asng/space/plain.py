"""Plain values for variables, and checks that floats can stand for all of them."""

import math
from collections.abc import ItemsView, Iterable, KeysView, Sequence, Set
from numbers import Real as Number
from typing import Any

from asng.errors import SpaceError

__all__ = ["check_integers", "check_steps", "in_order", "is_finite", "plain", "shown"]

_LARGEST = 2**53
"""Largest integer up to which floats skip none."""

_LARGEST_LOG = 2**46
"""Largest integer up to which the floats of logarithms tell neighbours apart."""

_SHORT = 10**30
"""Smallest integer that an error does not print; Python refuses to print very long ones."""


def in_order(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Return values as a tuple, with plain ones in place of NumPy's scalars.

    Raises:
        SpaceError: They are no list, or a set, whose order may differ from one process to the next.
    """
    if not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise SpaceError(f"{name}: expected a list, got {values!r:.80}.")
    if isinstance(values, Set) and not isinstance(values, (KeysView, ItemsView, Sequence)):
        raise SpaceError(
            f"{name}: expected a list, whose order is fixed, got a {type(values).__name__}, {values!r:.80}. "
            "Give a list, as by sorted(...)."
        )
    return tuple(map(plain, values))


def plain(value: Any) -> Any:
    """Return a scalar of NumPy as one of Python, which does not overflow; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def is_finite(value: object) -> bool:
    """Whether a value is a number other than a truth value, NaN, or what a float cannot hold."""
    try:
        return isinstance(value, Number) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def check_integers(low: int, high: int, step: int, *, log: bool) -> None:
    """Raise if raw coordinates, which are floats, cannot tell the integers in a range apart.

    Raises:
        SpaceError: An end or their distance is too large.
    """
    if max(abs(low), abs(high), abs(high - low), abs(step)) > (_LARGEST_LOG if log else _LARGEST):
        raise SpaceError(
            "low, high: expected integers from -2**53 to 2**53 that are at most 2**53 apart, or up to 2**46 "
            f"with log, because floats skip integers beyond, got {shown(low)} and {shown(high)}. Search an "
            "offset, a multiple or an exponent, and compute the value from it in f."
        )


def check_steps(low: float, high: float, step: float, *, log: bool) -> None:
    """Raise if raw coordinates, which are floats, cannot tell the steps of a range apart.

    Raises:
        SpaceError: The ends are too far apart, or the step is too small for them.
    """
    if not math.isfinite(high - low):
        raise SpaceError(
            f"step: expected ends at most 1.8e308 apart, got {low} and {high}. Leave the step out, or scale "
            "the value in f."
        )
    spacing = math.ulp(max(abs(low), abs(high)))
    if log:
        spacing = high * max(math.ulp(math.log(low)), math.ulp(math.log(high)))
    if 0.0 < step < 4.0 * spacing and low < high:
        raise SpaceError(
            f"step: expected at least {4.0 * spacing:.3g}, because floats from {low} to {high} tell no "
            f"smaller steps apart, got {step}. Choose a larger step, or search an offset and add it in f."
        )


def shown(value: object) -> str:
    """Return a value as text for an error, a long integer by its length."""
    if isinstance(value, int) and abs(value) >= _SHORT:
        return f"an integer of {value.bit_length():,} bits"
    return repr(value)
