"""Argument checks, each called in one line where the argument enters."""

import errno
import operator
import os
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any

from asng.errors import InputError, RunError, in_one_line

__all__ = [
    "MOST_SEED",
    "as_path",
    "integer_at_least",
    "keep_integer",
    "nearest",
    "one_of",
    "real_between",
    "require",
    "torch_seed",
    "whole",
]

MOST_SEED = 2**63 - 1
"""Greatest seed that every generator of torch takes."""

_LONGEST = 100
"""Longest name to compare, in characters: the time grows with the square of the length."""


def integer_at_least(name: str, value: object, low: int) -> int:
    """Return `value` as an integer of at least `low`.

    Raises:
        InputError: `value` is not an integer, or is below `low`.
    """
    try:
        number = whole(value)
    except TypeError:
        number = low - 1
    if number < low:
        raise InputError(f"{name}: expected an integer >= {low}, got {value!r}.")
    return number


def check_flags(**flags: object) -> None:
    """Check switches by name, since "no" and "false" would count as true.

    Raises:
        InputError: One is neither True nor False.
    """
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise InputError(f"{name}: expected True or False, got {flag!r:.80}.")


def keep_integer(owner: object, name: str, low: int) -> None:
    """Replace an attribute, also of a frozen dataclass, by a plain integer of at least `low`.

    Raises:
        InputError: It is not an integer, or is below `low`.
    """
    object.__setattr__(owner, name, integer_at_least(name, getattr(owner, name), low))


def torch_seed(name: str, value: object) -> int:
    """Return `value` as a seed for torch's generators, an integer in [0, 2**63).

    Raises:
        InputError: It is not an integer, or out of range.
    """
    seed = integer_at_least(name, value, 0)
    if seed > MOST_SEED:
        raise InputError(f"{name}: expected an integer in [0, 2**63), got {in_one_line(seed, 60)}.")
    return seed


def whole(value: object) -> int:
    """Return an integer of any library, such as NumPy's, as a plain one.

    Raises:
        TypeError: `value` is not an integer, or is a truth value.
    """
    if isinstance(value, bool):
        raise TypeError(f"expected an integer, got {value!r}")
    return operator.index(value)  # type: ignore[arg-type]


def real_between(name: str, value: object, low: float, high: float, *, open_low: bool = False) -> float:
    """Return a number of any library as a float in [low, high], or in (low, high] if `open_low`.

    Raises:
        InputError: `value` is not a number, is NaN, or lies outside the interval.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{name}: expected a number, got {value!r}.")
    number = value if isinstance(value, int) else float(value)  # an integer may be beyond any float
    if not (low < number <= high if open_low else low <= number <= high):  # NaN is not inside either
        bracket = "(" if open_low else "["
        raise InputError(f"{name}: expected a number in {bracket}{low}, {high}], got {value!r}.")
    return float(number)


def as_path(name: str, value: object, *, to_read: bool = False) -> Path:
    """Return a path, whether it is given as a string or as an object, as a `Path`.

    Args:
        name: The argument that it was given as.
        value: The path.
        to_read: Whether what is there will be read.

    Raises:
        InputError: It is not a path, or an empty one, which would be the current folder. Or it will be read,
            and the system cannot look for it, for instance because a folder above it is closed.
    """
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else b""
    if not isinstance(text, str) or not text or "\0" in text:
        raise InputError(f"{name}: expected a path, got {value!r}. The current folder is '.'.")
    path = Path(text)
    if to_read:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            pass  # the reader says what it looked for
        except OSError as error:
            advice = "Choose a shorter name" if error.errno == errno.ENAMETOOLONG else "Check the path"
            raise InputError(f"{text}: cannot be read: {error.strerror}. {advice}.") from error
    return path


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of `allowed`.

    Raises:
        InputError: It is not one of them. The message suggests the nearest allowed word, if one is close.
    """
    allowed = list(allowed)
    if not isinstance(value, str) or value not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise InputError(f"{name}: expected one of {words}, got {value!r}.{nearest(value, allowed)}")
    return value


def nearest(wrong: object, known: Iterable[object]) -> str:
    """Return " Did you mean 'x'?" for the known name closest to `wrong`, or "" if none is close.

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
    """Import and return a module of an optional library.

    Args:
        module: The import path of the module.
        extra: The extra of asng that installs the library.

    Raises:
        RunError: The library is not installed.

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
