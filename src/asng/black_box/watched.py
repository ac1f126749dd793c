"""An architecture that notes which of its values are read."""

from asng.space import Architecture
from asng.space.variables import Value

__all__ = ["Watched"]


class Watched(Architecture):
    """The same values, and a note of the names that were looked up.

    What is done with all values at once (comparing, hashing, printing, copying, writing as JSON) counts as
    reading all of them. Names alone say nothing of a draw: to iterate over them or to ask for one reads
    nothing.

    Args:
        architecture: What to watch.

    Example:
        >>> watched = Watched(Architecture({"kernel": "rbf", "degree": 3, "gamma": 0.1}))
        >>> watched["degree"] if watched["kernel"] == "poly" else watched["gamma"]
        0.1
        >>> sorted(watched.read)
        ['gamma', 'kernel']
    """

    __slots__ = ("_read",)

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        self._read: set[str] = set()

    @property
    def read(self) -> frozenset[str]:
        """Names whose values were read so far."""
        return frozenset(self._read)

    def __getitem__(self, name: str) -> Value:
        value = self._values[name]
        self._read.add(name)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __hash__(self) -> int:
        return hash(self._whole())

    def __eq__(self, other: object) -> bool:
        return self._whole() == other

    def __reduce__(self) -> tuple[type[Architecture], tuple[dict[str, Value]]]:
        return Architecture, (dict(self),)  # what becomes of a copy cannot be watched

    def __repr__(self) -> str:
        return repr(self._whole())

    def to_json(self) -> str:
        """Return the values as one JSON object."""
        return self._whole().to_json()

    def _whole(self) -> Architecture:
        return Architecture(self)
