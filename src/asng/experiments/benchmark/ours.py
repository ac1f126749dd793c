"""ASNG as a method of a comparison."""

from collections.abc import Callable, Sequence

from asng.experiments.benchmark.problem import Active, Point
from asng.optim import Optimizer
from asng.space import Candidate, Space

__all__ = ["Own"]


class Own:
    """An optimiser of ours.

    Args:
        make: Makes the optimiser from space and seed.
        space: The search space.
        seed: Its seed.
        told: Whether it is told what a loss depended on, as `asng.minimize` finds out by itself.
    """

    def __init__(self, make: Callable[..., Optimizer], space: Space, seed: int, *, told: bool = True) -> None:
        self._optimizer, self._told = make(space, seed=seed), told
        self._asked: list[Candidate] = []

    def ask(self) -> list[Point]:
        """Return the next points."""
        self._asked = self._optimizer.ask()
        return [tuple(int(v) for v in c.architecture.values()) for c in self._asked]  # type: ignore[arg-type]

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Learn from their losses."""
        candidates = self._asked
        if self._told:
            candidates = [c.with_active(read) for c, read in zip(candidates, active, strict=True)]
        self._optimizer.tell(candidates, losses)
