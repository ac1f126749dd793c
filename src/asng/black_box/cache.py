"""Losses of architectures that were paid for."""

from asng.black_box.calling import Outcome
from asng.space import Architecture

__all__ = ["Memory"]


class Memory:
    """What a function without noise need not be asked again.

    Args:
        noisy: Remember nothing: another call would give another loss.

    Example:
        >>> memory = Memory(noisy=False)
        >>> memory.keep(Architecture({"x": 1}), Outcome(2.0, None, 0.1))
        >>> memory.get(Architecture({"x": 1})).loss, memory.get(Architecture({"x": 2}))
        (2.0, None)
    """

    def __init__(self, *, noisy: bool) -> None:
        self.noisy = noisy
        self._outcomes: dict[Architecture, Outcome] = {}

    def __len__(self) -> int:
        return len(self._outcomes)

    def get(self, architecture: Architecture) -> Outcome | None:
        """Return what is known of an architecture, or None."""
        return self._outcomes.get(architecture)

    def keep(self, architecture: Architecture, outcome: Outcome) -> None:
        """Remember the outcome of a call."""
        if not self.noisy:
            self._outcomes[architecture] = outcome

    def new(self, architectures: list[Architecture]) -> list[int]:
        """Return the places of those that must be paid for, each architecture once."""
        if self.noisy:
            return list(range(len(architectures)))
        first: dict[Architecture, int] = {}
        for place, architecture in enumerate(architectures):
            if architecture not in self._outcomes:
                first.setdefault(architecture, place)
        return list(first.values())
