"""Search for the best widths within each budget.

`searched` scores on frozen weights, by forward passes only. Every architecture is scored once, on the same
validation items. A distribution for each budget begins where all widths are the same share of the model's,
within the budget; samples of each of them update all of them (`asng.optim.SeveralGoals`). The second half of
the evaluations goes to neighbours of the best for each budget that use it up: a little more here for a little
less there.

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
"""Samples per update for one goal."""
SHARED_LAM = 1.5
"""Factor on the samples for several goals, which learn from each other's samples."""
MOST_IDLE = 50
"""Consecutive generations without a new architecture after which the search ends."""
LOCAL = 0.5
"""Share of the evaluations for neighbours of the best."""
PROPOSED = 16
"""Neighbours drawn in a turn; those that use up the budget are scored."""
STEPS = 16
"""Into how many steps a range of many values is divided for neighbours."""
USED = 0.9
"""Least share of a budget that a neighbour must use."""
HALVINGS = 7
"""Bisection steps that find the greatest share of an even architecture within a budget."""


@dataclass(frozen=True)
class Scored:
    """An architecture that was scored.

    Attributes:
        architecture: The architecture.
        loss: What to minimise.
        costs: By name of measure.
        score: Its objective; NaN if that was not computed.
        read: Names of the variables that a pass reads: no widths of blocks that are left out. None: all.
    """

    architecture: Architecture
    loss: float
    costs: Mapping[str, float]
    score: float = math.nan
    read: frozenset[str] | None = None

    @property
    def network(self) -> Architecture:
        """The values that a pass reads. Architectures in which they are equal are the same network."""
        return _part(self.architecture, self.read)

    def is_network_of(self, architecture: Architecture) -> bool:
        """Whether an architecture is the same network."""
        return _part(architecture, self.read) == self.network


def _part(architecture: Architecture, read: frozenset[str] | None) -> Architecture:
    if read is None:
        return architecture
    return Architecture({name: value for name, value in architecture.items() if name in read})


@dataclass
class Frontier:
    """What a search found.

    Attributes:
        goals: What each child may cost.
        scored: All architectures that were scored, in their order.
    """

    goals: Sequence[Goal]
    scored: list[Scored] = field(default_factory=list)

    def best(self, goal: Goal) -> list[Scored]:
        """Return the architectures within a goal, the best first."""
        within = [one for one in self.scored if goal.excess(one.costs) == 0.0]
        return sorted(within, key=lambda one: one.loss)

    def different(self, goal: Goal, n: int, *, also: Architecture | None = None) -> list[Scored]:
        """Return the n best within a goal, first those that differ pairwise in a quarter of what is read.

        Args:
            goal: The goal.
            n: How many at most, >= 1.
            also: An architecture that is among them, if it was scored.
        """
        ranked = self.best(goal)
        chosen = [one for one in ranked if also is not None and one.is_network_of(also)][:1]
        for apart in (True, False):  # similar ones only if there are no others
            for one in ranked:
                far = all(_far(one.network, other.network) for other in chosen)
                if len(chosen) < n and one not in chosen and (far or not apart):
                    chosen.append(one)
        return sorted(chosen, key=lambda one: one.loss)


def _far(a: Architecture, b: Architecture) -> bool:
    names = {**a, **b}
    return 4 * sum(a.get(name) != b.get(name) for name in names) >= len(names)


def even(space: Space, share: float) -> Architecture:
    """Return the architecture in which every variable is the same share of the way up its range.

    Args:
        space: A space of ordered variables.
        share: In [0, 1].

    Example:
        >>> from asng.space import Integer
        >>> even(Space({"a": Integer(2, 10), "b": Integer(0, 4)}), 0.5)
        Architecture({'a': 6, 'b': 2})
    """
    # `uniform` gives every value an equal part of [0, 1), so that every value has its turn.
    return Architecture({name: variable.uniform(min(share, 1.0 - 1e-9)) for name, variable in space.items()})


class Meter(Protocol):
    """Returns what architectures cost, by name of measure."""

    def __call__(self, architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
        """Return the costs of each."""


class Reads(Protocol):
    """Returns the names of the variables that a pass under architectures reads."""

    def __call__(self, architectures: Sequence[Architecture]) -> Sequence[frozenset[str] | None]:
        """Return those of each; None stands for all."""


def _reads_all(architectures: Sequence[Architecture]) -> Sequence[None]:
    return [None] * len(architectures)


def evenly_within(space: Space, costs: Meter, goal: Goal) -> Architecture:
    """Return a large architecture within a goal whose variables are nearly the same share of their ranges.

    Raising all variables by a step at once can add a good part of a small network. So what is left of the
    budget is then spent on one variable after the other, a step each.

    Raises:
        InputError: Even the smallest architecture is over the budget.
    """
    least, greatest = costs([even(space, 0.0), even(space, 1.0)])
    if goal.excess(least) > 0.0:
        limits = ", ".join(f"{b.name} <= {limit_of(b):g}" for b in goal.budgets)
        has = ", ".join(f"{b.name} {least[b.name]:g}" for b in goal.budgets)
        raise InputError(
            f"budget: expected a budget that the smallest child meets, got {limits}; it has {has}. Raise the "
            "budget, or lower least= to allow smaller children."
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
    """Return a distribution around each architecture in `starts`, as wide as if nothing were known."""
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
    reads: Reads = _reads_all,
    tick: Callable[[int], None] = lambda done: None,
) -> Frontier:
    """Search widths for several budgets at once.

    Args:
        space: A space of ordered variables.
        goals: One per child.
        starts: An architecture within each goal, to begin at.
        costs: Measures what the goals limit.
        score: Returns the values to minimise on frozen weights; each network is scored once.
        evaluations: Number of architectures to score.
        seed: Seed of all draws.
        reads: Says which variables decide the network. Default: all.
        tick: Called with the number of architectures scored so far.
    """
    family, frontier = thetas(space, starts, seed=seed), Frontier(goals)
    known: dict[Architecture, float] = {}

    def take(architectures: Sequence[Architecture], found: Sequence[Mapping[str, float]]) -> None:
        new: dict[Architecture, tuple[Architecture, Mapping[str, float], frozenset[str] | None]] = {}
        for architecture, cost, read in zip(architectures, found, reads(architectures), strict=True):
            if (network := _part(architecture, read)) not in known:
                new.setdefault(network, (architecture, cost, read))
        losses = score([architecture for architecture, _, _ in new.values()])
        for (network, (architecture, cost, read)), loss in zip(new.items(), losses, strict=True):
            known[network] = loss
            frontier.scored.append(Scored(architecture, loss, cost, read=read))
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
        networks = map(_part, architectures, reads(architectures))
        losses = [known.get(network, math.nan) for network in networks]
        family.tell(candidates, [behind_budget(losses, excesses) for excesses in over])
        idle = 0 if len(known) > before else idle + 1
    rng, turn, idle = random.Random(f"{seed} near the best"), 0, 0
    while len(known) < evaluations and idle < MOST_IDLE:
        before, goal = len(known), goals[turn % len(goals)]
        take(*_near(space, goal, frontier, costs, reads, rng, LAM))
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
    reads: Reads = _reads_all,
    tick: Callable[[int], None] = lambda done: None,
) -> Frontier:
    """Continue from what a search found, by scores of another kind, which cost more and tell more.

    Half of the evaluations go to the best of the search, as different as possible, the others to neighbours
    of the best by the new scores.

    Args:
        space: A space of ordered variables.
        goal: What the child may cost.
        frontier: What a search found, for this goal among others.
        start: An architecture within the goal, which is scored too.
        costs: Measures what the goal limits.
        score: Returns the value to minimise and the objective of each architecture; each network is scored
            once.
        evaluations: Number of architectures to score, >= 1.
        seed: Seed of all draws.
        reads: Says which variables decide the network. Default: all.
        tick: Called with the number of architectures scored so far.

    Returns:
        The architectures with the new scores.
    """
    again, rng = Frontier([goal]), random.Random(f"{seed} once more")

    def take(architectures: Sequence[Architecture], found: Sequence[Mapping[str, float]]) -> None:
        parts = zip(score(architectures), architectures, found, reads(architectures), strict=True)
        for told, architecture, cost, read in parts:
            again.scored.append(Scored(architecture, told[0], cost, told[1], read))
        tick(len(again.scored))

    first = frontier.different(goal, math.ceil(evaluations / 2), also=start)
    take([one.architecture for one in first], [one.costs for one in first])
    idle = 0
    while len(again.scored) < evaluations and idle < MOST_IDLE:
        before = len(again.scored)
        take(*_near(space, goal, again, costs, reads, rng, min(LAM // 2, evaluations - before)))
        idle = 0 if len(again.scored) > before else idle + 1
    return again


def _near(
    space: Space,
    goal: Goal,
    frontier: Frontier,
    costs: Meter,
    reads: Reads,
    rng: random.Random,
    most: int,
) -> tuple[list[Architecture], list[Mapping[str, float]]]:
    """Return new neighbours of the best for a goal that use up its budget, and their costs."""
    known = {one.network for one in frontier.scored}
    best = frontier.best(goal)[0].architecture
    drawn = dict.fromkeys(neighbour(space, best, rng) for _ in range(PROPOSED))
    near: dict[Architecture, Mapping[str, float]] = {}
    for architecture in drawn:
        network = _part(architecture, reads([architecture])[0])
        if network not in known and len(near) < most:  # one by one: measuring takes time
            [cost] = costs([architecture])
            if goal.excess(cost) == 0.0 and goal.used(cost) >= USED:
                near[architecture] = cost
                known.add(network)
    return list(near), list(near.values())


def neighbour(space: Space, architecture: Architecture, rng: random.Random) -> Architecture:
    """Return an architecture with one or two variables raised a little, and none to two lowered."""
    values, names = dict(architecture), list(space)
    for sign, count in ((1, rng.choice((1, 1, 2))), (-1, rng.randrange(3))):
        for name in rng.sample(names, min(count, len(names))):
            values[name] = stepped(space, values, name, sign * rng.choice((1, 2)))
    return Architecture(values)


def stepped(space: Space, values: Mapping[str, Value], name: str, steps: int) -> Value:
    """Return the value of a variable moved by so many steps up, or down, within its range."""
    variable = space[name]
    low, high = variable.encode(variable.uniform(0.0)), variable.encode(variable.uniform(1.0 - 1e-9))
    step = (high - low) / max(1.0, min(variable.size, STEPS) - 1.0)
    return variable.decode(variable.encode(values[name]) + steps * step)
