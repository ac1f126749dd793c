"""The content of JSON files as structs of msgspec, whose fields are described once for writing and reading.

Reading checks types and ranges, ignores fields that it does not know, and says where in which file something
is wrong. What JSON has no number for (NaN, infinities) is written as null.
"""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import msgspec

from asng.errors import RunError, in_one_line
from asng.runs.files import write_text
from asng.runs.guarded import read_plain, refuse_excess

__all__ = [
    "Count",
    "Finite",
    "Number",
    "Stored",
    "Whole",
    "converted",
    "json_text",
    "load_json",
    "plain",
    "read_json",
    "read_stored",
    "stored",
    "told",
    "write_json",
]

T = TypeVar("T")

_MOST = 2**53
"""Largest integer: beyond it, floats, which figures are drawn from, no longer tell integers apart."""
Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=_MOST)]
Finite: TypeAlias = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]

if TYPE_CHECKING:
    Number: TypeAlias = float
    """A number; null in the file stands for the default of the field."""
else:
    Number = float | None

_MOST_DIGITS = 300, 4300
"""Digits that an integer in JSON may have, for a float to hold it, and for Python to read it."""


class Stored(msgspec.Struct, frozen=True):
    """The content of a JSON object.

    A field whose default is NaN or infinite takes it if the file has null, or a number that is not finite.

    Example:
        >>> class Score(Stored, frozen=True):
        ...     metric: str
        ...     value: Number = math.nan
        >>> stored({"metric": "accuracy", "value": None}, Score, "score.json")
        Score(metric='accuracy', value=nan)
        >>> stored({"metric": 3}, Score, "score.json")
        Traceback (most recent call last):
        asng.errors.RunError: score.json: expected `str`, got `int` - at `$.metric`.
    """

    def __post_init__(self) -> None:
        defaults = self.__struct_defaults__
        for name, default in zip(self.__struct_fields__[-len(defaults) :], defaults, strict=False):
            if isinstance(default, float) and not math.isfinite(default):
                value = getattr(self, name)
                if value is None or not math.isfinite(value):
                    msgspec.structs.force_setattr(self, name, default)


def stored(data: Any, kind: type[T], where: str) -> T:
    """Convert what `load_json` returned to a struct.

    Args:
        data: Plain values.
        kind: A `Stored`, or any type that msgspec knows.
        where: The file, for errors.

    Raises:
        RunError: A field is missing, or of another type or range.
    """
    try:
        found: T = converted(data, kind)
    except msgspec.ValidationError as error:
        raise RunError(f"{where}: {told(error)}") from None
    return found


def converted(data: Any, kind: Any) -> Any:
    """Convert plain values to a struct, or raise a `msgspec.ValidationError`."""
    try:
        return msgspec.convert(data, kind)
    except UnicodeEncodeError:  # of half a surrogate pair, which JSON can hold
        raise msgspec.ValidationError("Expected names of fields, got half of a surrogate pair") from None


def told(error: msgspec.ValidationError) -> str:
    """Return what msgspec says of a wrong field, as the end of an error message of asng."""
    words = in_one_line(error)
    return f"{words[:1].lower()}{words[1:]}."


def read_stored(path: Path, kind: type[T]) -> T | None:
    """Return the content of a JSON file as a struct, or None if there is no such file.

    Raises:
        RunError: The file is unreadable, not JSON, or not of this kind.
    """
    return stored(read_json(path), kind, str(path)) if path.exists() else None


def read_json(path: Path) -> Any:
    """Return the content of a JSON file as plain values.

    Raises:
        RunError: The file is missing, unreadable, or not JSON.
    """
    try:
        return load_json(read_plain(path))
    except FileNotFoundError:
        raise RunError(f"{path}: expected a file of a finished search, found none.") from None
    except (OSError, ValueError, RecursionError) as error:  # the last from deep nesting
        raise RunError(
            f"{path}: expected JSON, got a file that cannot be read: {in_one_line(error)}."
        ) from error


def load_json(text: bytes) -> Any:
    """Return the plain values of JSON; a number that no float can hold becomes infinite.

    This does not use msgspec, which refuses NaN and halves of surrogate pairs.

    Raises:
        ValueError: The text is not JSON, or has too many values or levels.
        RecursionError: It is nested too deep for what is left of Python's stack.
    """
    refuse_excess(text)
    return json.loads(text, parse_int=_whole)


def _whole(digits: str) -> float:
    return float(digits) if _MOST_DIGITS[0] < len(digits) <= _MOST_DIGITS[1] else int(digits)


def write_json(path: Path, data: Any) -> Path:
    """Write `data`, a `Stored` or plain values, as indented JSON, whole or not at all."""
    return write_text(path, json_text(data, indent=2) + "\n")


def json_text(data: Any, *, indent: int | None = None) -> str:
    """Return `data`, a `Stored` or plain values, as JSON."""
    values = plain(data)
    try:
        return json.dumps(values, indent=indent, allow_nan=False)
    except ValueError:  # rare: walking over all values costs several times what JSON does
        return json.dumps(_finite(values), indent=indent, allow_nan=False)


def plain(data: Any) -> Any:
    """Return plain values: `Stored` and mappings become dictionaries, NumPy's numbers Python's."""
    return msgspec.to_builtins(data, enc_hook=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
