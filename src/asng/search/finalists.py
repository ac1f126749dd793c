"""The plan of a final, and who comes into it: what is believed to train best alone.

Candidates are the likely architectures of theta, uniform draws, the largest within the budgets, and
neighbours of the best finalists. Before any is trained, larger ones are believed to be better, and so are
those that score better on the shared weights, as far as these agree with size. Every training alone corrects
the belief.

Candidates are drawn by generators of their own: theta and the search are not disturbed, and a resumed run
draws the same.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asng.costs.extremes import climbed
from asng.costs.meter import CostMeter
from asng.optim import Optimizer
from asng.search.belief import Belief, Hint, coordinates, improvement, normal_scores
from asng.search.chance import BATCHES
from asng.search.found import best_within, likely
from asng.search.settling import EARLIEST, PROBES, correlation
from asng.space import Architecture, Categorical, Value

__all__ = ["FinalPlan", "Finalist", "Plan", "Pool", "final_plan", "plan_of"]

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
ROUNDS = 10
"""So many times as many as wanted are drawn at most, where draws repeat each other or are over the budget."""
SIZE = Hint(gain=0.7, doubt=0.4, hidden=0.5)
"""What the multiply-adds are believed to tell."""
SATURATION = 0.6
"""Standard deviations of size, over the space, beyond which more of it is hardly believed to tell more."""
SHARED = Hint(gain=1.0, doubt=0.4)
"""What the score on the shared weights is believed to tell if it orders as size does, else in proportion."""
AMONG = 4
"""Each place of the first round, of which nothing is known, goes to the most promising of so many draws."""


class Plan(NamedTuple):
    """How the cost of a search is dealt out.

    Attributes:
        steps: Of the search on shared weights; 0 if there are only trainings alone.
        each: What such a step costs on average.
        looked: Validation batches that probes of the order are scored on, twice; 0 if nobody looks.
        cost: Of the final.
    """

    steps: int
    each: float
    looked: int
    cost: float


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
) -> Plan:
    """Return the plan of a search that would take so many steps without a final, at the same cost.

    A forward pass over a batch costs 1, a training pass 3. If the final could not train all of its finalists
    for 100 steps, shared weights would not be trained for long enough to be believed either, and all of the
    cost goes to the final. If it could not train two finalists for 10 steps each, there is none, and nobody
    looks: theta alone says what is found.

    Args:
        steps: Of a search without a final.
        share: Of the cost, for the final.
        finalists: At most.
        lam_x: Architectures trained per step.
        warmup: Share of the steps before theta moves; None if that is looked for.
        lam_theta: Architectures scored per such step.
        valid_batches: Batches in a pass over the validation data.
        whole: As in `final_plan`.

    Example:
        >>> settings = dict(share=0.7, finalists=12, lam_x=1, warmup=None, lam_theta=2)
        >>> plan_of(3000, **settings, valid_batches=25)
        Plan(steps=812, each=4.0, looked=11, cost=8400.0)
        >>> plan_of(400, **settings, valid_batches=25)  # too short for shared weights
        Plan(steps=0, each=4.0, looked=0, cost=1600.0)
        >>> plan_of(20, **settings, valid_batches=25)  # too short for a final
        Plan(steps=20, each=4.0, looked=0, cost=0.0)
    """
    moving = (1.0 - EARLIEST) if warmup is None else 1.0 - warmup
    each = TRAINING_PASS * lam_x + moving * lam_theta
    searching = round((1.0 - share) * steps)
    final = partial(final_plan, finalists=finalists, valid_batches=valid_batches, whole=whole)
    first = final((steps - searching) * each)
    if first.finalists < finalists or not first.compared:
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
    cost: float, *, finalists: int, valid_batches: int, compare: bool = True, whole: bool = False
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

    Example:
        >>> final_plan(3360.0, finalists=12, valid_batches=25)
        FinalPlan(finalists=8, batches=25, alone=85, last=1, longer=170, compared=3)
        >>> final_plan(600.0, finalists=12, valid_batches=25)
        FinalPlan(finalists=8, batches=5, alone=16, last=1, longer=32, compared=0)
    """
    # More than so many come in only if there are many rounds.
    cost -= min(valid_batches, BATCHES)  # to tell the best one from chance
    candidates = max(COMPARED, DRAWN + 1 + LIKELY + NEIGHBOURS * (math.ceil(finalists / ROUND) - 1))
    compared = min(valid_batches, int(COMPARING * cost / candidates)) if compare else 0
    for count in range(finalists, 0 if finalists < 2 else 1, -1):
        last = LAST if count > FEWEST else 1
        each = (cost - compared * candidates) / (count + last * LONGER)
        batches = valid_batches if whole else min(valid_batches, max(1, int(SCORING * each)))
        alone = int((each - 2 * batches) / TRAINING_PASS)
        if alone >= (ENOUGH_STEPS if count > FEWEST else FEWEST_STEPS):
            return FinalPlan(count, batches, alone, last, LONGER * alone, compared)
    if whole:
        return final_plan(cost, finalists=finalists, valid_batches=valid_batches, compare=compare)
    return FinalPlan(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Finalist:
    """An architecture that was trained alone at the end of a search.

    Attributes:
        architecture: The one.
        road: How it came in: "largest" within the budgets, "theta", "uniform" or "neighbour" (of the best
            finalists up to then).
        read: The variables that a pass reads.
        shared: Its mean objective on the shared weights, if it was compared on them.
        alone: Its mean objective over validation batches after its training alone; None before.
        longer: The same after it was trained anew for longer, if it was.
        half: The same in the middle of its training alone: tells how much chance there is in such scores.
    """

    architecture: Architecture
    road: str
    read: frozenset[str]
    shared: float | None = None
    alone: float | None = None
    longer: float | None = None
    half: float | None = None

    @property
    def child(self) -> dict[str, Value]:
        """The values that are read: those of two finalists are different."""
        return {name: self.architecture[name] for name in self.architecture if name in self.read}


class Pool:
    """Candidates for the places of a final, all different and all within the budgets.

    Args:
        theta: The optimiser of theta, at the end of the search.
        meter: Knows what architectures cost, and how large they are.
        seed: Of the uniform draws and of the neighbours.

    Attributes:
        candidates: Those up to now; those that were admitted to the final stay among them.
        shared: What to minimise of each on the shared weights, once given.
    """

    def __init__(self, theta: Optimizer, meter: CostMeter, seed: int) -> None:
        self.theta, self.space, self.meter, self.seed = theta, theta.space, meter, seed
        self.candidates: list[Finalist] = []
        self.shared: list[float] = []
        self._sizes: list[float] = []
        self._known: set[Architecture] = set()
        self._children: set[tuple[tuple[str, Value], ...]] = set()
        # What is read of the mode of theta, once it moved.
        self._mode: tuple[tuple[str, Value], ...] | None = None
        variables = self.space.values()
        self._ordered = np.array([not isinstance(variable, Categorical) for variable in variables])

    # --- who is among them --------------------------------------------------------------------------

    def open(self, *, moved: bool) -> None:
        """Gather uniform draws, the largest architecture, and if theta has moved, the likely ones.

        Empty if none of many draws is within the budgets.
        """
        rng = random.Random(f"{self.seed} anywhere")
        self._add("uniform", (self.space.sample(rng) for _ in range(ROUNDS * DRAWN)), DRAWN)
        if moved:
            mode = best_within(self.meter, self.theta)
            if mode.excess == 0.0:
                draws = likely(self.space, self.theta.theta)
                self._add("theta", [mode.architecture, *draws], LIKELY)
                [(_, read)] = self.meter.sizes([mode.architecture])
                self._mode = _key(Finalist(mode.architecture, "theta", read))
        if self.candidates:
            self._climb()

    def neighbours(self, of: Sequence[Finalist]) -> None:
        """Add architectures that differ from the best finalists in one of the variables that they read."""
        rng = random.Random(f"{self.seed} neighbours {len(self.candidates)}")
        of = [finalist for finalist in of if finalist.read]
        if of:
            draws = (self._moved(of[i % len(of)], rng) for i in range(ROUNDS * NEIGHBOURS))
            self._add("neighbour", draws, NEIGHBOURS)

    def _moved(self, finalist: Finalist, rng: random.Random) -> Architecture:
        """Draw one of the variables that were read anew; it may come out as it was."""
        name = rng.choice(sorted(finalist.read))
        return Architecture({**finalist.architecture, name: self.space[name].uniform(rng.random())})

    def _climb(self) -> None:
        """Add the largest architecture that is found from the largest draw, one variable at a time."""
        top = max(range(len(self.candidates)), key=self._sizes.__getitem__)
        start, size = self.candidates[top].architecture, self._sizes[top]
        self._add("largest", [climbed(start, self.space, self._sizes_within, size)[0]], 1)

    def _sizes_within(self, architectures: Sequence[Architecture]) -> list[float]:
        """Return the multiply-adds of architectures, -inf for those over the budgets."""
        within = [a for a in architectures if self.meter.of(a).excess == 0.0]
        sizes = dict(zip(within, self.meter.sizes(within), strict=True))
        return [sizes[a][0] if a in sizes else -math.inf for a in architectures]

    def _add(self, road: str, draws: Iterable[Architecture], n: int) -> None:
        """Add the first n that are within the budgets and whose child is not known."""
        found = 0
        for architecture in draws:
            if found == n:
                break
            if architecture in self._known or self.meter.of(architecture).excess > 0.0:
                continue
            self._known.add(architecture)
            size, read = self.meter.sizes([architecture])[0]
            candidate = Finalist(architecture, road, read)
            if _key(candidate) not in self._children:
                self._children.add(_key(candidate))
                self.candidates.append(candidate)
                self._sizes.append(size)
                found += 1

    def compared(self, objectives: Sequence[float], worths: Sequence[float]) -> None:
        """Take in what the next candidates that had none got on the shared weights, and what to minimise."""
        for objective, worth in zip(objectives, worths, strict=True):
            k = len(self.shared)
            self.candidates[k] = replace(self.candidates[k], shared=objective)
            self.shared.append(worth)

    def state_dict(self) -> dict[str, Any]:
        """Return all that a checkpoint must hold."""
        return {
            "candidates": [
                (c.architecture.to_json(), c.road, sorted(c.read), c.shared) for c in self.candidates
            ],
            "sizes": list(self._sizes),
            "shared": list(self.shared),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where a checkpoint was taken."""
        self.candidates = [
            Finalist(Architecture.from_json(architecture), road, frozenset(read), shared)
            for architecture, road, read, shared in state["candidates"]
        ]
        self._sizes, self.shared = list(state["sizes"]), list(state["shared"])
        if len(self._sizes) != len(self.candidates) or len(self.shared) not in (0, len(self.candidates)):
            raise ValueError("its candidates for the final are not all there")
        self._known = {candidate.architecture for candidate in self.candidates}
        self._children = {_key(candidate) for candidate in self.candidates}

    # --- who is chosen ------------------------------------------------------------------------------

    def first(self, n: int) -> list[int]:
        """Return the numbers of the first: the mode of theta, the largest, then the most promising of some.

        Args:
            n: How many at most.
        """
        promise = self._hints() @ [hint.gain for hint in self._priors()]
        modes = [k for k, candidate in enumerate(self.candidates) if _key(candidate) == self._mode]
        chosen = list(dict.fromkeys([*modes, int(np.argmax(self._sizes))]))
        rng = random.Random(f"{self.seed} first")
        rest = [k for k in range(len(self.candidates)) if k not in chosen]
        while len(chosen) < n and rest:
            best = max(rng.sample(rest, min(AMONG, len(rest))), key=promise.__getitem__)
            chosen.append(best)
            rest.remove(best)
        return chosen[:n]

    def next(
        self, trained: Sequence[int], losses: Sequence[float], n: int, *, reliability: float
    ) -> list[int]:
        """Return the numbers of the next ones: those that are expected to improve the most.

        Each of them counts for the choice of those after it as if it had come out as expected.

        Args:
            trained: Numbers of those that were trained.
            losses: What to minimise of them.
            n: How many at most.
            reliability: Of these losses.
        """
        chosen, values = list(trained), list(losses)
        while len(chosen) < len(trained) + n and len(chosen) < len(self.candidates):
            rest = [k for k in range(len(self.candidates)) if k not in set(chosen)]
            mean, std = self._believed(chosen, values, rest, reliability)
            best = self._believed(chosen, values, chosen, reliability)[0].min()
            k = int(np.argmax(improvement(mean, std, float(best))))
            chosen.append(rest[k])
            values.append(float(mean[k]))
        return chosen[len(trained) :]

    def believed(
        self, trained: Sequence[int], losses: Sequence[float], *, reliability: float
    ) -> NDArray[np.float64]:
        """Return what is believed of those that were trained, without the noise of a training, shape (n,)."""
        return self._believed(trained, losses, trained, reliability)[0]

    def _believed(
        self, trained: Sequence[int], losses: Sequence[float], of: Sequence[int], reliability: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x = coordinates(self.space, [candidate.child for candidate in self.candidates])
        hints, known, asked = self._hints(), list(trained), list(of)
        belief = Belief(self._ordered, x[known], hints[known], losses, self._priors(), reliability)
        return belief.of(x[asked], hints[asked])

    def _hints(self) -> NDArray[np.float64]:
        """Return size and score of each as standard normals among the uniform draws, shape (n, hints)."""
        uniform = [k for k, candidate in enumerate(self.candidates) if candidate.road == "uniform"]
        columns = [np.array(self._sizes)]
        if self.shared:
            columns.append(-np.array(self.shared))
        hints = np.stack([normal_scores(column, among=column[uniform]) for column in columns], axis=1)
        hints[:, 0] = SATURATION * np.tanh(hints[:, 0] / SATURATION)
        return hints

    def _priors(self) -> list[Hint]:
        if not self.shared:
            return [SIZE]
        uniform = [k for k, candidate in enumerate(self.candidates) if candidate.road == "uniform"]
        agreement = correlation([-self._sizes[k] for k in uniform], [self.shared[k] for k in uniform])
        return [SIZE, SHARED._replace(gain=SHARED.gain * max(0.0, agreement))]


def _key(candidate: Finalist) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(candidate.child.items()))
