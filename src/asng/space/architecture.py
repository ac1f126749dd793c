"""Architectures: points of a search space, with the values that users see."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from asng.errors import SpaceError, in_one_line
from asng.shown import html_table
from asng.space.variables import Value

__all__ = ["Architecture"]


class Architecture(Mapping[str, Value]):
    """A frozen mapping from the names of variables to their values.

    It compares and hashes by content, regardless of order, so that it can be the key of a cache.

    Args:
        values: Name to value.
        deciding: In a space with conditions, names of the variables that others depend on.

    Example:
        >>> a = Architecture({"op": "conv3", "width": 64})
        >>> a["width"], Architecture.from_json(a.to_json()) == a
        (64, True)
    """

    __slots__ = ("_deciding", "_hash", "_space", "_values")

    def __init__(self, values: Mapping[str, Value], deciding: tuple[str, ...] = ()) -> None:
        self._values = dict(values)
        self._deciding = deciding
        self._hash: int | None = None
        self._space: object = None  # the space that decoded it, which need not check it

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._values.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Architecture):
            return self._values == other._values
        return NotImplemented

    def __reduce__(self) -> tuple[type["Architecture"], tuple[Any, ...]]:
        # Without the cached hash: strings hash differently in the process that reads the pickle.
        return type(self), (self._values, self._deciding) if self._deciding else (self._values,)

    @property
    def deciding(self) -> tuple[str, ...]:
        """Names of the variables that others depend on; empty without conditions."""
        return self._deciding

    def __repr__(self) -> str:
        return f"Architecture({self._values!r})"

    def _repr_html_(self) -> str:
        return html_table("", list(self._values.items()), header=["variable", "value"])

    def to_json(self) -> str:
        """Return the values as one JSON object."""
        return json.dumps(self._values, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Architecture":
        """Return the architecture that `to_json` wrote.

        Raises:
            SpaceError: `text` is not a JSON object of plain values.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:  # RecursionError: deeply nested
            raise SpaceError(
                f"architecture: expected JSON, got text that cannot be read: {in_one_line(error)}."
            ) from None
        if not isinstance(values, dict):
            raise SpaceError(f"architecture: expected a JSON object, got {type(values).__name__}.")
        for name, value in values.items():
            if isinstance(value, (dict, list)):
                raise SpaceError(f"architecture[{name!r}]: expected a plain value, got {value!r:.80}.")
        return cls(values)
