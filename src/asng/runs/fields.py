"""Fields of JSON objects, each checked in one line where it is read."""

import math
from collections.abc import Mapping
from typing import Any

from asng.errors import RunError

__all__ = ["as_object", "as_list", "number", "positive", "whole", "text"]

_MOST = 2**53
"""Of a count: beyond it a float, which figures are drawn by, no longer tells integers apart."""


def as_object(value: Any, where: str) -> Mapping[str, Any]:
    """Return `value` if it is a JSON object."""
    if not isinstance(value, dict):
        raise RunError(f"{where}: expected a JSON object, got {value!r:.80}.")
    return value


def as_list(value: Any, where: str) -> list[Any]:
    """Return `value` if it is a JSON array."""
    if not isinstance(value, list):
        raise RunError(f"{where}: expected a JSON array, got {value!r:.80}.")
    return value


def number(data: Mapping[str, Any], name: str, where: str) -> float:
    """Return a number, NaN where it is missing, null or not finite."""
    value = data.get(name)
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RunError(f"{where}, {name}: expected a number or null, got {value!r:.80}.")
    try:
        value = float(value)
    except OverflowError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def whole(data: Mapping[str, Any], name: str, where: str) -> int | None:
    """Return an integer, or None where it is missing or null."""
    value = data.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise RunError(f"{where}, {name}: expected an integer or null, got {value!r:.80}.")
    return value


def positive(data: Mapping[str, Any], name: str, where: str) -> int:
    """Return a count of one or more."""
    value = whole(data, name, where)
    if value is None or not 1 <= value <= _MOST:
        raise RunError(f"{where}, {name}: expected an integer >= 1, at most 2^53, got {value!r:.80}.")
    return value


def text(data: Mapping[str, Any], name: str, where: str, default: str) -> str:
    """Return a string, or the default where it is missing."""
    value = data.get(name, default)
    if not isinstance(value, str):
        raise RunError(f"{where}, {name}: expected a string, got {value!r:.80}.")
    return value
