"""How the cost of a search is dealt out: to shared weights, to comparing on them, and to trainings alone."""

import math
from functools import partial
from typing import NamedTuple

from asng.search.chance import BATCHES
from asng.search.settling import EARLIEST, PROBES
from asng.space import Categorical, Space

__all__ = [
    "DRAWN",
    "LAST",
    "LIKELY",
    "MOST_FINAL",
    "NEIGHBOURS",
    "ROUND",
    "FinalPlan",
    "Plan",
    "all_ordered",
    "final_plan",
    "plan_of",
]

MOST_FINAL = 0.9
"""Greatest share of the cost for the final: without a search there is nothing to choose finalists by."""
TRAINING_PASS = 3
"""What a training pass over a batch costs, where a forward pass costs 1."""
ROUND = 4
"""Finalists that are chosen together, so that several processes have work."""
LAST = 2
"""The best finalists, which are trained anew for longer at the end; if there are few, only the best one."""
LONGER = 2
"""How many times as long they are trained."""
SCORING = 0.1
"""Share of a finalist's cost for scoring it, in the middle and again at the end, as far as validation batches
can be left out."""
ENOUGH_STEPS = 100
"""Training steps of a finalist below which there are rather fewer finalists, down to eight: two rounds."""
FEWEST = 8
"""Finalists that there are also if each is trained for less."""
FEWEST_STEPS = 10
"""Training steps below which there are rather fewer than eight finalists, and less than two are none."""
DRAWN = 48
"""Uniform draws among the candidates, by which a size or a score is also told to be large for the space."""
LIKELY = 16
"""Likely architectures of theta among the candidates, once theta has moved."""
NEIGHBOURS = 12
"""Neighbours of the best finalists that become candidates with every round."""
LOOKING = 0.1
"""Share of the search's cost for finding out whether the order on the shared weights has settled."""
COMPARED = 100
"""About how many candidates there are in all, each of which is compared on the shared weights."""
COMPARING = 0.1
"""Share of the final's cost for that."""
NESTED = 0.5
"""Share of the cost for shared weights if all variables are ordered, and theta has no time to move."""
NESTED_COMPARING = 0.2
"""Share of the final's cost for comparing candidates on those."""


class Plan(NamedTuple):
    """How the cost of a search is dealt out.

    Attributes:
        steps: Of the search on shared weights; 0 if there are only trainings alone.
        each: What such a step costs on average.
        looked: Validation batches that probes of the order are scored on, twice; 0 if nobody looks.
        cost: Of the final.
        nested: Whether the shared weights are of ordered variables alone, and theta does not move.
    """

    steps: int
    each: float
    looked: int
    cost: float
    nested: bool = False


class FinalPlan(NamedTuple):
    """How the cost of a final is dealt out.

    Attributes:
        finalists: How many there are; 0 for no final.
        batches: Validation batches that they are scored on.
        alone: Training steps of each finalist.
        last: How many of the best are trained anew for longer.
        longer: Training steps of each of these.
        compared: Validation batches that candidates are compared on with the shared weights.
    """

    finalists: int
    batches: int
    alone: int
    last: int
    longer: int
    compared: int


def all_ordered(space: Space) -> bool:
    """Return whether shared weights of a space are nested: none of its variables is a choice."""
    return not any(isinstance(variable, Categorical) for variable in space.values())


def plan_of(
    steps: int,
    *,
    share: float,
    finalists: int,
    lam_x: int,
    warmup: float | None,
    lam_theta: int,
    valid_batches: int,
    whole: bool = False,
    ordered: bool = False,
) -> Plan:
    """Return the plan of a search that would take so many steps without a final, at the same cost.

    A forward pass over a batch costs 1, a training pass 3. If the final could not train all of its finalists
    for 100 steps, shared weights of choices would not be trained for long enough to be believed either, and
    all of the cost goes to the final. Those of ordered variables are nested: every network trains a part of
    all others, so their scores tell sooner. They have half of the cost if the rest pays for eight finalists
    as well, and theta does not move. If a final could not train two finalists for 10 steps each, there is
    none, and nobody looks: theta alone says what is found.

    Args:
        steps: Of a search without a final.
        share: Of the cost, for the final.
        finalists: At most.
        lam_x: Architectures trained per step.
        warmup: Share of the steps before theta moves; None if that is looked for.
        lam_theta: Architectures scored per such step.
        valid_batches: Batches in a pass over the validation data.
        whole: As in `final_plan`.
        ordered: Whether all variables are ordered.

    Example:
        >>> settings = dict(share=0.7, finalists=12, lam_x=1, warmup=None, lam_theta=2)
        >>> plan_of(3000, **settings, valid_batches=25)
        Plan(steps=812, each=4.0, looked=11, cost=8400.0, nested=False)
        >>> plan_of(400, **settings, valid_batches=25)  # too short for shared weights
        Plan(steps=0, each=4.0, looked=0, cost=1600.0, nested=False)
        >>> plan_of(400, **settings, valid_batches=25, ordered=True)
        Plan(steps=267, each=3.0, looked=0, cost=799.0, nested=True)
        >>> plan_of(20, **settings, valid_batches=25)  # too short for a final
        Plan(steps=20, each=4.0, looked=0, cost=0.0, nested=False)
    """
    moving = (1.0 - EARLIEST) if warmup is None else 1.0 - warmup
    each = TRAINING_PASS * lam_x + moving * lam_theta
    searching = round((1.0 - share) * steps)
    final = partial(final_plan, finalists=finalists, valid_batches=valid_batches, whole=whole)
    first = final((steps - searching) * each)
    if first.finalists < finalists or not first.compared:
        if ordered and warmup is None and share > 0.0:
            nested = round(NESTED * steps * each / (TRAINING_PASS * lam_x))
            cost = steps * each - nested * TRAINING_PASS * lam_x
            dealt = final(cost, nested=True)
            if dealt.compared and dealt.finalists >= min(finalists, FEWEST):
                return Plan(nested, float(TRAINING_PASS * lam_x), 0, cost, nested=True)
        searching = 0
    cost = (steps - searching) * each
    if share == 0.0 or not final(cost, compare=searching > 0).finalists:
        return Plan(steps, each, 0, 0.0)
    looked = 0
    if warmup is None:
        looked = min(valid_batches, int(LOOKING * searching * each / (2 * PROBES)))
        searching -= math.ceil(2 * PROBES * looked / each)
    return Plan(searching, each, looked, cost)


def final_plan(
    cost: float,
    *,
    finalists: int,
    valid_batches: int,
    compare: bool = True,
    whole: bool = False,
    nested: bool = False,
) -> FinalPlan:
    """Return the plan of a final at a cost.

    There are rather fewer finalists than trainings of less than 100 steps, down to eight. The best is trained
    anew for longer, or the best two if there are more than eight finalists.

    Args:
        cost: In forward passes over a batch.
        finalists: At most.
        valid_batches: Batches in a pass over the validation data.
        compare: Whether there are shared weights to compare candidates on.
        whole: Whether finalists are scored on all batches, if the cost is enough for that.
        nested: Whether these weights are of ordered variables and theta does not move: more of the cost then
            goes to comparing, and there are at most eight finalists.

    Example:
        >>> final_plan(3360.0, finalists=12, valid_batches=25)
        FinalPlan(finalists=8, batches=25, alone=85, last=1, longer=170, compared=3)
        >>> final_plan(600.0, finalists=12, valid_batches=25)
        FinalPlan(finalists=8, batches=5, alone=16, last=1, longer=32, compared=0)
    """
    # More than so many come in only if there are many rounds.
    cost -= min(valid_batches, BATCHES)  # to tell the best one from chance
    finalists = min(finalists, FEWEST) if nested else finalists
    candidates = DRAWN + 1 + NEIGHBOURS * (math.ceil(finalists / ROUND) - 1)
    share = NESTED_COMPARING
    if not nested:
        candidates, share = max(COMPARED, candidates + LIKELY), COMPARING
    compared = min(valid_batches, int(share * cost / candidates)) if compare else 0
    for count in range(finalists, 0 if finalists < 2 else 1, -1):
        last = LAST if count > FEWEST else 1
        each = (cost - compared * candidates) / (count + last * LONGER)
        batches = valid_batches if whole else min(valid_batches, max(1, int(SCORING * each)))
        alone = int((each - 2 * batches) / TRAINING_PASS)
        if alone >= (ENOUGH_STEPS if count > FEWEST else FEWEST_STEPS):
            return FinalPlan(count, batches, alone, last, LONGER * alone, compared)
    if whole:
        return final_plan(
            cost, finalists=finalists, valid_batches=valid_batches, compare=compare, nested=nested
        )
    return FinalPlan(0, 0, 0, 0, 0, 0)
