"""Checks of arguments, each one line at the place where the argument comes in."""

import math
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from asng.errors import InputError, RunError

__all__ = ["integer_at_least", "real_between", "one_of", "nearest", "require"]

_LONGEST = 100
"""Of a name to compare, in letters: the time grows with the square."""


def integer_at_least(name: str, value: object, low: int) -> int:
    """Return `value` as an integer of at least `low`.

    Raises:
        InputError: `value` is no integer, or is below `low`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InputError(f"{name}: expected an integer >= {low}, got {value!r}.")
    return value


def real_between(name: str, value: object, low: float, high: float, *, open_low: bool = False) -> float:
    """Return `value` as a float in [low, high], or in (low, high] when `open_low`.

    Raises:
        InputError: `value` is no number, is not a number (NaN), or lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{name}: expected a number, got {value!r}.")
    inside = low < value <= high if open_low else low <= value <= high
    if math.isnan(value) or not inside:
        bracket = "(" if open_low else "["
        raise InputError(f"{name}: expected a number in {bracket}{low}, {high}], got {value!r}.")
    return float(value)


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of `allowed`.

    Raises:
        InputError: it is not; the message says the nearest allowed word.
    """
    allowed = list(allowed)
    if not isinstance(value, str) or value not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise InputError(f"{name}: expected one of {words}, got {value!r}.{nearest(value, allowed)}")
    return value


def nearest(wrong: object, known: Iterable[object]) -> str:
    """Return " Did you mean 'x'?" for the known name closest to `wrong`, or "".

    Example:
        >>> nearest("widht", ["width", "depth"])
        " Did you mean 'width'?"
    """
    if len(str(wrong)) > _LONGEST:
        return ""
    names = {str(name).lower(): str(name) for name in known if len(str(name)) <= _LONGEST}
    close = get_close_matches(str(wrong).lower(), names, n=1)
    return f" Did you mean {names[close[0]]!r}?" if close else ""


def require(module: str, *, extra: str) -> Any:
    """Return a module of an optional library.

    Args:
        module: Its import path, as it stands in the code.
        extra: The extra of asng that installs it.

    Raises:
        RunError: It is not installed.

    Example:
        >>> require("json", extra="images").dumps([])
        '[]'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise RunError(
            f"{extra}: expected the library {module}, got: {error}. Install it: pip install 'asng[{extra}]'."
        ) from error
