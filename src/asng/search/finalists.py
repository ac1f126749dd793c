"""Who comes into the final: architectures that theta likes, any others, and neighbours of the best.

Each place goes to the best on the shared weights of a few candidates. Candidates are drawn by generators of
their own, so that theta and the search are not disturbed and a resumed run draws the same.
"""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from asng.optim import Optimizer
from asng.search.costs.found import best_within
from asng.search.costs.meter import CostMeter
from asng.space import Architecture, Value

__all__ = ["Candidates", "Finalist"]

ROUNDS = 10
"""So many times as many as wanted are drawn at most, where draws repeat each other or are over the budget."""


@dataclass(frozen=True)
class Finalist:
    """An architecture that was trained alone at the end of a search.

    Attributes:
        architecture: The one.
        road: How it came in: "theta", "uniform" or "neighbour" (of the best finalist up to then).
        read: The variables that its passes read.
        shared: Its mean objective on the shared weights, over the validation batches that candidates were
            compared on.
        alone: Its mean objective over the validation data after its training alone; None before.
    """

    architecture: Architecture
    road: str
    read: frozenset[str]
    shared: float
    alone: float | None = None

    @property
    def child(self) -> frozenset[tuple[str, Value]]:
        """The values that were read: those of two finalists are different."""
        return frozenset((name, self.architecture[name]) for name in self.read)


class Candidates:
    """Draws candidates for the places of a final, all different and all within the budgets.

    Args:
        theta: The optimiser of theta, at the end of the search.
        meter: Knows what architectures cost.
        seed: Of the uniform draws and of the neighbours.
    """

    def __init__(self, theta: Optimizer, meter: CostMeter, seed: int) -> None:
        self.theta, self.meter, self.seed = theta, meter, seed

    def likely(self, n: int) -> list[Architecture]:
        """Return the mode of theta, or the likeliest within the budgets, then draws.

        Nothing where none of many draws is within.
        """
        within = best_within(self.meter, self.theta)
        if within.excess > 0.0:
            return []
        draws = (candidate.architecture for _ in range(ROUNDS) for candidate in self.theta.ask(n))
        return [within.architecture, *self._distinct(draws, n - 1, {within.architecture})]

    def anywhere(self, n: int, known: Collection[Architecture]) -> list[Architecture]:
        """Return architectures drawn uniformly, none of the known ones."""
        rng = random.Random(f"{self.seed} anywhere")
        return self._distinct((self.theta.space.sample(rng) for _ in range(ROUNDS * n)), n, known)

    def neighbours(self, of: Finalist, n: int, known: Collection[Architecture]) -> list[Architecture]:
        """Return architectures that differ from a finalist in one of the variables that it read.

        Args:
            of: The finalist.
            n: How many at most.
            known: What is not to be returned.
        """
        if not of.read:
            return []
        rng = random.Random(f"{self.seed} neighbours {len(known)}")
        return self._distinct((self._moved(of, rng) for _ in range(ROUNDS * n)), n, known)

    def _moved(self, finalist: Finalist, rng: random.Random) -> Architecture:
        """Draw one of the variables that were read anew; it may come out as it was."""
        name = rng.choice(sorted(finalist.read))
        return Architecture({**finalist.architecture, name: self.theta.space[name].uniform(rng.random())})

    def _distinct(
        self, draws: Iterable[Architecture], n: int, known: Collection[Architecture]
    ) -> list[Architecture]:
        """Return the first n different draws that are within the budgets and not known."""
        found: dict[Architecture, None] = {}
        for architecture in draws:
            if len(found) == n:
                break
            if (
                architecture not in known
                and architecture not in found
                and self.meter.of(architecture).excess == 0.0
            ):
                found[architecture] = None
        return list(found)
