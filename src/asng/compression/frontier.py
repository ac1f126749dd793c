"""The search: which widths for which budget.

`searched` is on frozen weights, by forward passes only. Every architecture is scored once, on the same
validation items. A distribution for each budget begins where all widths are the same share of the model's,
within the budget; samples of all of them teach all of them (`asng.optim.SeveralGoals`). The second half of
the evaluations goes to neighbours of the best for each budget, which use it up: a little more here for a
little less there.

`refined` goes on from there in the same way, by scores that cost more and tell more.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from asng.compression.goals import Goal
from asng.costs.ranking import behind_budget
from asng.costs.terms import limit_of
from asng.errors import InputError
from asng.optim import ASNG, SeveralGoals
from asng.space import Architecture, Space, Value

__all__ = [
    "Frontier",
    "Meter",
    "Scored",
    "even",
    "evenly_within",
    "neighbour",
    "refined",
    "searched",
    "thetas",
]

LAM = 8
"""Samples an update for one goal."""
SHARED_LAM = 1.5
"""So many times as many for several goals, which teach each other."""
MOST_IDLE = 50
"""Generations without an architecture that is new, after which the search is over."""
LOCAL = 0.5
"""Share of the evaluations for neighbours of the best."""
PROPOSED = 16
"""Neighbours that are looked at in a turn, of which those are scored that use up the budget."""
STEPS = 16
"""Into how many steps a range of many values falls for a neighbour."""
USED = 0.9
"""What of a budget a neighbour uses at least."""
HALVINGS = 7
"""How often the share of an even architecture is halved to find the greatest within a budget."""


@dataclass(frozen=True)
class Scored:
    """An architecture that was scored.

    Attributes:
        architecture: The one.
        loss: What to minimise.
        costs: By name of measure.
        score: By the objective, if that was asked.
    """

    architecture: Architecture
    loss: float
    costs: Mapping[str, float]
    score: float = math.nan


@dataclass
class Frontier:
    """What a search found.

    Attributes:
        goals: What it was for.
        scored: All that were scored, in their order.
    """

    goals: Sequence[Goal]
    scored: list[Scored] = field(default_factory=list)

    def best(self, goal: Goal) -> list[Scored]:
        """Return those within a goal, the best first."""
        within = [one for one in self.scored if goal.excess(one.costs) == 0.0]
        return sorted(within, key=lambda one: one.loss)

    def different(self, goal: Goal, n: int, *, also: Architecture | None = None) -> list[Scored]:
        """Return the n best within a goal of which each two differ in a quarter of the variables.

        Args:
            goal: The one.
            n: How many at most, >= 1.
            also: One that is among them, if it was scored.
        """
        ranked = self.best(goal)
        chosen = [one for one in ranked if one.architecture == also][:1]
        for apart in (True, False):  # those that are alike only where there are no others
            for one in ranked:
                far = all(_far(one.architecture, other.architecture) for other in chosen)
                if len(chosen) < n and one not in chosen and (far or not apart):
                    chosen.append(one)
        return sorted(chosen, key=lambda one: one.loss)


def _far(a: Architecture, b: Architecture) -> bool:
    return 4 * sum(a[name] != b[name] for name in a) >= len(a)


def even(space: Space, share: float) -> Architecture:
    """Return the architecture in which every variable is the same share of the way up its range.

    Args:
        space: Of ordered variables.
        share: In [0, 1].

    Example:
        >>> from asng.space import Integer
        >>> even(Space({"a": Integer(2, 10), "b": Integer(0, 4)}), 0.5)
        Architecture({'a': 6, 'b': 2})
    """
    # The middle of the share of the range that a value has, so that every value has its turn.
    return Architecture({name: variable.uniform(min(share, 1.0 - 1e-9)) for name, variable in space.items()})


class Meter(Protocol):
    """Says what architectures cost, by name of measure."""

    def __call__(self, architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
        """Return the costs of each."""


def evenly_within(space: Space, costs: Meter, goal: Goal) -> Architecture:
    """Return a large architecture within a goal whose variables are nearly the same share of their ranges.

    One step of all at once can be a good part of a small network: what that leaves of the budget goes to one
    variable after the other, a step each.

    Raises:
        InputError: The smallest architecture is over it.
    """
    least, greatest = costs([even(space, 0.0), even(space, 1.0)])
    if goal.excess(least) > 0.0:
        limits = ", ".join(f"{b.name} <= {limit_of(b):g}" for b in goal.budgets)
        has = ", ".join(f"{b.name} {least[b.name]:g}" for b in goal.budgets)
        raise InputError(
            f"budget: expected one that the smallest child is within, got {limits}; it has {has}. Raise the "
            "budget, or let children be smaller by least=."
        )
    low, high = (1.0, 1.0) if goal.excess(greatest) == 0.0 else (0.0, 1.0)
    for _ in range(HALVINGS if low < high else 0):
        middle = (low + high) / 2.0
        [found] = costs([even(space, middle)])
        low, high = (middle, high) if goal.excess(found) == 0.0 else (low, middle)
    filled = even(space, low)
    for name in space:
        more = Architecture({**filled, name: stepped(space, filled, name, 1)})
        if more != filled and goal.excess(costs([more])[0]) == 0.0:
            filled = more
    return filled


def thetas(space: Space, starts: Sequence[Architecture], *, seed: int) -> SeveralGoals:
    """Return a distribution for each of some architectures to begin at, as wide as if nothing were known."""
    usual = ASNG(space, lam=LAM).theta
    priors = [{name: (space[name].encode(start[name]), usual[name][1]) for name in space} for start in starts]
    return SeveralGoals(
        [
            ASNG(space, lam=LAM, seed=seed * 1_000_003 + k, prior=prior, trust=1.0)
            for k, prior in enumerate(priors)
        ]
    )


def searched(
    space: Space,
    goals: Sequence[Goal],
    starts: Sequence[Architecture],
    *,
    costs: Meter,
    score: Callable[[Sequence[Architecture]], Sequence[float]],
    evaluations: int,
    seed: int,
    tick: Callable[[int], None] = lambda done: None,
) -> Frontier:
    """Search widths for several budgets at once.

    Args:
        space: Of ordered variables.
        goals: One a child.
        starts: An architecture within each, to begin at.
        costs: Measures what the goals limit.
        score: Returns what to minimise of architectures on frozen weights; each is asked about once.
        evaluations: Architectures that are scored.
        seed: Of all draws.
        tick: Is told how many were scored.
    """
    family, frontier = thetas(space, starts, seed=seed), Frontier(goals)
    known: dict[Architecture, float] = {}

    def take(architectures: Sequence[Architecture], found: Sequence[Mapping[str, float]]) -> None:
        new = {a: c for a, c in zip(architectures, found, strict=True) if a not in known}
        for (architecture, cost), loss in zip(new.items(), score(list(new)), strict=True):
            known[architecture] = loss
            frontier.scored.append(Scored(architecture, loss, cost))
        tick(len(known))

    take(starts, costs(starts))
    idle = 0
    while len(known) < (1.0 - LOCAL) * evaluations and idle < MOST_IDLE:
        before = len(known)
        candidates = family.ask(LAM if len(goals) == 1 else round(SHARED_LAM * LAM))
        architectures = [candidate.architecture for candidate in candidates]
        found = costs(architectures)
        over = [[goal.excess(cost) for cost in found] for goal in goals]
        within = [k for k, excesses in enumerate(zip(*over, strict=True)) if min(excesses) == 0.0]
        take([architectures[k] for k in within], [found[k] for k in within])
        losses = [known.get(architecture, math.nan) for architecture in architectures]
        family.tell(candidates, [behind_budget(losses, excesses) for excesses in over])
        idle = 0 if len(known) > before else idle + 1
    rng, turn, idle = random.Random(f"{seed} near the best"), 0, 0
    while len(known) < evaluations and idle < MOST_IDLE:
        before, goal = len(known), goals[turn % len(goals)]
        take(*_near(space, goal, frontier, costs, rng, LAM))
        turn, idle = turn + 1, 0 if len(known) > before else idle + 1
    return frontier


def refined(
    space: Space,
    goal: Goal,
    frontier: Frontier,
    start: Architecture,
    *,
    costs: Meter,
    score: Callable[[Sequence[Architecture]], Sequence[Sequence[float]]],
    evaluations: int,
    seed: int,
    tick: Callable[[int], None] = lambda done: None,
) -> Frontier:
    """Go on from what a search found by scores of another kind, which cost more and tell more.

    Half of the evaluations are the best of the search, as different as can be, the others neighbours of the
    best by the new scores.

    Args:
        space: Of ordered variables.
        goal: What is to be found.
        frontier: What a search found, for this goal among others.
        start: An architecture within the goal, which is scored too.
        costs: Measures what the goal limits.
        score: Returns what to minimise of architectures, and what else is told of them; each is asked about
            once.
        evaluations: Architectures that are scored, >= 1.
        seed: Of all draws.
        tick: Is told how many were scored.

    Returns:
        Those with the new scores.
    """
    again, rng = Frontier([goal]), random.Random(f"{seed} once more")

    def take(architectures: Sequence[Architecture], found: Sequence[Mapping[str, float]]) -> None:
        for told, architecture, cost in zip(score(architectures), architectures, found, strict=True):
            again.scored.append(Scored(architecture, told[0], cost, told[1]))
        tick(len(again.scored))

    first = frontier.different(goal, math.ceil(evaluations / 2), also=start)
    take([one.architecture for one in first], [one.costs for one in first])
    idle = 0
    while len(again.scored) < evaluations and idle < MOST_IDLE:
        before = len(again.scored)
        take(*_near(space, goal, again, costs, rng, min(LAM // 2, evaluations - before)))
        idle = 0 if len(again.scored) > before else idle + 1
    return again


def _near(
    space: Space, goal: Goal, frontier: Frontier, costs: Meter, rng: random.Random, most: int
) -> tuple[list[Architecture], list[Mapping[str, float]]]:
    """Return neighbours of the best for a goal that are new and use it up, and their costs."""
    known = {one.architecture for one in frontier.scored}
    best = frontier.best(goal)[0].architecture
    drawn = dict.fromkeys(neighbour(space, best, rng) for _ in range(PROPOSED))
    near: dict[Architecture, Mapping[str, float]] = {}
    for architecture in drawn:
        if architecture not in known and len(near) < most:  # one by one: to measure costs takes its time
            [cost] = costs([architecture])
            if goal.excess(cost) == 0.0 and goal.used(cost) >= USED:
                near[architecture] = cost
    return list(near), list(near.values())


def neighbour(space: Space, architecture: Architecture, rng: random.Random) -> Architecture:
    """Return an architecture with a little more of one or two variables, and less of none to two."""
    values, names = dict(architecture), list(space)
    for sign, count in ((1, rng.choice((1, 1, 2))), (-1, rng.randrange(3))):
        for name in rng.sample(names, min(count, len(names))):
            values[name] = stepped(space, values, name, sign * rng.choice((1, 2)))
    return Architecture(values)


def stepped(space: Space, values: Mapping[str, Value], name: str, steps: int) -> Value:
    """Return the value of a variable so many steps up, or down, as far as its range goes."""
    variable = space[name]
    low, high = variable.encode(variable.uniform(0.0)), variable.encode(variable.uniform(1.0 - 1e-9))
    step = (high - low) / max(1.0, min(variable.size, STEPS) - 1.0)
    return variable.decode(variable.encode(values[name]) + steps * step)
