"""How the cost of a search is dealt out between the search and its final."""

from typing import NamedTuple

__all__ = ["COMPARED", "FEWEST_STEPS", "MOST_FINAL", "Places", "Plan", "places_of", "plan_of"]

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
