"""The plan of a final, and who comes into it: what theta likes, any others, and neighbours of the best.

Each place goes to the best on the shared weights of a few candidates. Candidates are drawn by generators of
their own, so that theta and the search are not disturbed and a resumed run draws the same.
"""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from asng.costs.meter import CostMeter
from asng.optim import Optimizer
from asng.search.found import best_within
from asng.space import Architecture, Value

__all__ = [
    "Candidates",
    "Finalist",
    "COMPARED",
    "FEWEST_STEPS",
    "MOST_FINAL",
    "Places",
    "Plan",
    "places_of",
    "plan_of",
]

MOST_FINAL = 0.9
"""Greatest share of the cost for the final: without a search there is nothing to choose finalists by."""
TRAINING_PASS = 3
"""What a training pass over a batch costs, where a forward pass costs 1."""
COMPARED = 4
"""Architectures that are compared on the shared weights, for each finalist."""
COMPARING = 0.2
"""Share of the final's cost that comparing them may take, as far as batches can be left out."""
FEWEST_STEPS = 10
"""Training steps of a finalist below which there are rather fewer finalists, and less than two are none."""
ROUNDS = 10
"""So many times as many as wanted are drawn at most, where draws repeat each other or are over the budget."""


class Plan(NamedTuple):
    """How the cost of a search is dealt out.

    Attributes:
        steps: Of the search itself.
        finalists: How many there are at most; 0 for no final.
        batches: Validation batches that candidates are compared on with the shared weights.
        alone: Training steps of each finalist.
    """

    steps: int
    finalists: int
    batches: int
    alone: int


def plan_of(
    steps: int, *, share: float, finalists: int, lam_x: int, moving: float, lam_theta: int, valid_batches: int
) -> Plan:
    """Return the plan of a search that would take so many steps without a final, at the same cost.

    A forward pass over a batch costs 1, a training pass 3. Where the final could not train two finalists for
    10 steps each, there is none.

    Args:
        steps: Of a search without a final.
        share: Of the cost, for the final.
        finalists: At most.
        lam_x: Architectures trained per step.
        moving: Share of the steps in which theta moves.
        lam_theta: Architectures scored per such step.
        valid_batches: Batches in a pass over the validation data.

    Example:
        >>> settings = dict(lam_x=1, moving=0.5, lam_theta=2, valid_batches=25)
        >>> plan_of(600, share=0.5, finalists=8, **settings)
        Plan(steps=300, finalists=8, batches=7, alone=32)
        >>> plan_of(20, share=0.5, finalists=8, **settings)
        Plan(steps=20, finalists=0, batches=0, alone=0)
    """
    searching = max(1, round((1.0 - share) * steps))
    cost = (steps - searching) * (TRAINING_PASS * lam_x + moving * lam_theta)
    for count in range(finalists, 1, -1):
        batches = min(valid_batches, max(1, int(COMPARING * cost / (COMPARED * count))))
        left = cost - COMPARED * count * batches - count * valid_batches
        alone = int(left / (TRAINING_PASS * count))
        if alone >= FEWEST_STEPS:
            return Plan(searching, count, batches, alone)
    return Plan(steps, 0, 0, 0)


class Places(NamedTuple):
    """How many of the finalists come in by which road.

    Attributes:
        likely: Drawn from theta.
        anywhere: Drawn uniformly: theta of an unlucky search has not settled on what trains well alone.
        neighbours: Of the best up to then.
    """

    likely: int
    anywhere: int
    neighbours: int


def places_of(finalists: int) -> Places:
    """Deal out the places: three of eight to theta and to neighbours, two to all the rest of the space.

    Example:
        >>> places_of(8)
        Places(likely=3, anywhere=2, neighbours=3)
        >>> places_of(2)
        Places(likely=2, anywhere=0, neighbours=0)
    """
    anywhere, neighbours = finalists // 4, finalists * 3 // 8
    return Places(max(2, finalists - anywhere - neighbours), anywhere, neighbours)


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
