"""Plan a final, and choose the architectures that are believed to train best alone.

Candidates are likely architectures of theta, uniform samples, the largest architecture within the budgets,
and neighbours of the best finalists. Before any is trained, larger ones are believed to be better. So are
those that score better on the shared weights, as far as these scores agree with size. Every training alone
corrects the belief.

Candidates are sampled by separate generators, so the search is not disturbed, and a resumed run samples the
same ones.
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
"""Cost of a training pass over a batch, if a forward pass costs 1."""
ROUND = 4
"""Finalists that are chosen together, so that several processes have work at once."""
LAST = 2
"""How many of the best finalists are trained again, for longer; only one if there are few finalists."""
LONGER = 2
"""How many times as long that second training is."""
SCORING = 0.1
"""Share of a finalist's cost for each of its two scores, in the middle and at the end, unless it is scored on
all validation batches."""
ENOUGH_STEPS = 100
"""If finalists would have fewer training steps, there are fewer finalists, down to eight: two rounds."""
FEWEST = 8
"""The number of finalists that is kept even if each has fewer steps than that."""
FEWEST_STEPS = 10
"""If eight finalists would have fewer training steps, there are fewer than eight; fewer than two are none."""
DRAWN = 48
"""Uniform samples among the candidates. Sizes and scores are ranked among these."""
LIKELY = 16
"""Likely architectures of theta among the candidates, if theta has moved."""
NEIGHBOURS = 12
"""Neighbours of the best finalists that become candidates in every round."""
LOOKING = 0.1
"""Share of the search's cost for measuring whether the order on the shared weights has settled."""
COMPARED = 100
"""Approximate number of all candidates, each of which is scored on the shared weights."""
COMPARING = 0.1
"""Share of the final's cost for that."""
ROUNDS = 10
"""So many times as many as wanted are drawn at most, where draws repeat each other or are over the budget."""
SIZE = Hint(gain=0.7, doubt=0.4, hidden=0.5)
"""What multiply-adds are believed to say about the loss."""
SATURATION = 0.6
"""Size, in standard deviations over the space, beyond which more of it hardly counts."""
SHARED = Hint(gain=1.0, doubt=0.4)
"""What a score on the shared weights is believed to say if such scores order as size does; otherwise it
counts in proportion to that agreement."""
AMONG = 4
"""In the first round, before any loss is known, each place goes to the best of so many candidates."""


class Plan(NamedTuple):
    """How the cost of a search is divided.

    Attributes:
        steps: Steps of the search on shared weights; 0 if architectures are only trained alone.
        each: Average cost of such a step.
        looked: Validation batches on which probe architectures are scored, twice; 0 for no probes.
        cost: Cost of the final.
    """

    steps: int
    each: float
    looked: int
    cost: float


class FinalPlan(NamedTuple):
    """How the cost of a final is divided.

    Attributes:
        finalists: Number of finalists; 0 for no final.
        batches: Validation batches on which they are scored.
        alone: Training steps of each finalist.
        last: How many of the best are trained again, for longer.
        longer: Training steps of each of these.
        compared: Validation batches on which candidates are scored with the shared weights.
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
    """Return the plan of a search that costs as much as `steps` steps without a final.

    A forward pass over a batch costs 1, a training pass 3. If the final could not train all finalists for 100
    steps, shared weights would not be trained long enough to be believed either, so the final gets all of the
    cost. If it could not train two finalists for 10 steps each, there is no final and no probe: theta alone
    decides what is found.

    Args:
        steps: Steps of a search without a final.
        share: Share of the cost for the final.
        finalists: Maximum number of finalists.
        lam_x: Architectures trained per step.
        warmup: Share of the steps before theta moves; None to measure when it may.
        lam_theta: Architectures scored per step in which theta moves.
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
    """Return the plan of a final at a given cost.

    If finalists would have fewer than 100 steps each, there are fewer of them, down to eight. Then the best
    is trained again for longer, or the best two if there are more than eight finalists.

    Args:
        cost: In forward passes over a batch.
        finalists: Maximum number of finalists.
        valid_batches: Batches in a pass over the validation data.
        compare: Whether there are shared weights on which candidates can be scored.
        whole: Whether finalists are scored on all batches, if the cost allows.

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
    """An architecture that is trained alone at the end of a search.

    Attributes:
        architecture: The architecture.
        road: Where it came from: "largest" within the budgets, "theta", "uniform" or "neighbour" (of the best
            finalists so far).
        read: The variables that a pass reads.
        shared: Its mean objective on the shared weights; None if it was not scored on them.
        alone: Its mean objective over validation batches after its training alone; None before.
        longer: The same after its second, longer training; None without one.
        half: The same in the middle of its training alone, which shows how much chance is in such scores.
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
        """The values that a pass reads, by variable; they differ between any two finalists."""
        return {name: self.architecture[name] for name in self.architecture if name in self.read}


class Pool:
    """The candidates for a final, all different and all within the budgets.

    Args:
        theta: The optimiser of theta, at the end of the search.
        meter: Measures the costs and sizes of architectures.
        seed: Seed of the uniform samples and of the neighbours.

    Attributes:
        candidates: The candidates so far, including those that have become finalists.
        shared: Loss of each on the shared weights (lower is better), if they were scored.
    """

    def __init__(self, theta: Optimizer, meter: CostMeter, seed: int) -> None:
        self.theta, self.space, self.meter, self.seed = theta, theta.space, meter, seed
        self.candidates: list[Finalist] = []
        self.shared: list[float] = []
        self._sizes: list[float] = []
        self._known: set[Architecture] = set()
        self._children: set[tuple[tuple[str, Value], ...]] = set()
        # The values that the mode of theta reads, if theta has moved.
        self._mode: tuple[tuple[str, Value], ...] | None = None
        variables = self.space.values()
        self._ordered = np.array([not isinstance(variable, Categorical) for variable in variables])

    # --- who is among them --------------------------------------------------------------------------

    def open(self, *, moved: bool) -> None:
        """Collect uniform samples, the largest architecture and, if theta has moved, the likely ones.

        There are no candidates if none of many samples is within the budgets.
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
        """Add architectures that differ from some finalists in one of the variables that these read."""
        rng = random.Random(f"{self.seed} neighbours {len(self.candidates)}")
        of = [finalist for finalist in of if finalist.read]
        if of:
            draws = (self._moved(of[i % len(of)], rng) for i in range(ROUNDS * NEIGHBOURS))
            self._add("neighbour", draws, NEIGHBOURS)

    def _moved(self, finalist: Finalist, rng: random.Random) -> Architecture:
        """Resample one of the variables that a finalist reads; the value may stay the same."""
        name = rng.choice(sorted(finalist.read))
        return Architecture({**finalist.architecture, name: self.space[name].uniform(rng.random())})

    def _climb(self) -> None:
        """Add the largest architecture reached from the largest sample, changing one variable at a time."""
        top = max(range(len(self.candidates)), key=self._sizes.__getitem__)
        start, size = self.candidates[top].architecture, self._sizes[top]
        self._add("largest", [climbed(start, self.space, self._sizes_within, size)[0]], 1)

    def _sizes_within(self, architectures: Sequence[Architecture]) -> list[float]:
        """Return the multiply-adds of architectures; -inf if one is over the budgets."""
        within = [a for a in architectures if self.meter.of(a).excess == 0.0]
        sizes = dict(zip(within, self.meter.sizes(within), strict=True))
        return [sizes[a][0] if a in sizes else -math.inf for a in architectures]

    def _add(self, road: str, draws: Iterable[Architecture], n: int) -> None:
        """Add the first n architectures that are within the budgets and whose child is not known yet."""
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
        """Record the objectives of the next unscored candidates on the shared weights, and their losses."""
        for objective, worth in zip(objectives, worths, strict=True):
            k = len(self.shared)
            self.candidates[k] = replace(self.candidates[k], shared=objective)
            self.shared.append(worth)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "candidates": [
                (c.architecture.to_json(), c.road, sorted(c.read), c.shared) for c in self.candidates
            ],
            "sizes": list(self._sizes),
            "shared": list(self.shared),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.candidates = [
            Finalist(Architecture.from_json(architecture), road, frozenset(read), shared)
            for architecture, road, read, shared in state["candidates"]
        ]
        self._sizes, self.shared = list(state["sizes"]), list(state["shared"])
        if len(self._sizes) != len(self.candidates) or len(self.shared) not in (0, len(self.candidates)):
            raise ValueError("some of its candidates for the final are missing")
        self._known = {candidate.architecture for candidate in self.candidates}
        self._children = {_key(candidate) for candidate in self.candidates}

    # --- who is chosen ------------------------------------------------------------------------------

    def first(self, n: int) -> list[int]:
        """Return the indices of the first finalists: the mode of theta, the largest, then promising ones.

        Args:
            n: Maximum number.
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
        """Return the indices of the next finalists: those with the greatest expected improvement.

        Each is chosen as if those before it had come out as expected.

        Args:
            trained: Indices of the candidates that were trained.
            losses: Their losses.
            n: Maximum number.
            reliability: Reliability of these losses, as of `reliability_of`.
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
        """Return the posterior mean losses of those that were trained, without noise, shape (n,)."""
        return self._believed(trained, losses, trained, reliability)[0]

    def _believed(
        self, trained: Sequence[int], losses: Sequence[float], of: Sequence[int], reliability: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x = coordinates(self.space, [candidate.child for candidate in self.candidates])
        hints, known, asked = self._hints(), list(trained), list(of)
        belief = Belief(self._ordered, x[known], hints[known], losses, self._priors(), reliability)
        return belief.of(x[asked], hints[asked])

    def _hints(self) -> NDArray[np.float64]:
        """Return size and score of each as standard normals among the uniform samples, shape (n, hints)."""
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
