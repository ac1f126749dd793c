"""One draw of an optimiser: raw coordinates, and the architecture that they stand for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asng.space.architecture import Architecture
from asng.space.variables import Value

if TYPE_CHECKING:
    from asng.space.space import Space

__all__ = ["Candidate"]


class Candidate:
    """What `ask` returns and `tell` takes back. Made by `Space.candidate` or by an optimiser.

    Attributes:
        space: The space it was drawn from.
        x: Raw coordinates, one float a variable in the space's order: the index of a choice, or the
            unrounded, unclipped draw of an ordered variable.
        active: Names of the variables that the evaluation read, or None for all of them.
        generation: How many times the optimiser that drew it had been told of losses before, or None
            for a candidate made by hand.

    Example:
        >>> from asng.space import Integer, Space
        >>> Space({"width": Integer(1, 9)}).candidate([3.4])["width"]
        3
    """

    __slots__ = ("_architecture", "active", "generation", "space", "x")

    def __init__(
        self,
        space: "Space",
        x: Sequence[float],
        *,
        active: frozenset[str] | None = None,
        generation: int | None = None,
    ) -> None:
        self.space = space
        self.x = x
        self.active = active
        self.generation = generation
        self._architecture: Architecture | None = None

    @property
    def architecture(self) -> Architecture:
        """The values that the raw coordinates stand for, decoded when first asked for."""
        if self._architecture is None:
            self._architecture = self.space.decode(self.x)
        return self._architecture

    def __getitem__(self, name: str) -> Value:
        return self.architecture[name]

    def with_active(self, active: frozenset[str] | None) -> "Candidate":
        """Return the same draw with the variables that its evaluation read."""
        twin = Candidate(self.space, self.x, active=active, generation=self.generation)
        twin._architecture = self._architecture
        return twin

    def __repr__(self) -> str:
        return f"Candidate({dict(self.architecture)!r})"
