"""Who comes into a final: what is believed to train best alone.

Candidates are the likely architectures of theta, uniform draws, the largest within the budgets, and
neighbours of the best finalists. Before any is trained, larger ones are believed to be better, and so are
those that score better on the shared weights, as far as these agree with size, or are of ordered variables
alone. Every training alone corrects the belief.

Candidates are drawn by generators of their own: theta and the search are not disturbed, and a resumed run
draws the same.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asng.costs.meter import CostMeter
from asng.optim import Optimizer
from asng.search.belief import Belief, Hint, coordinates, improvement, normal_scores
from asng.search.found import best_within, likely
from asng.search.plan import DRAWN, LIKELY, NEIGHBOURS
from asng.search.settling import correlation
from asng.space import Architecture, Categorical, Value, Variable

__all__ = ["Finalist", "Pool"]

ROUNDS = 10
"""So many times as many as wanted are drawn at most, where draws repeat each other or are over the budget."""
SIZE = Hint(gain=0.7, doubt=0.4, hidden=0.5)
"""What the multiply-adds are believed to tell."""
SATURATION = 0.6
"""Standard deviations of size, over the space, beyond which more of it is hardly believed to tell more."""
SHARED = Hint(gain=1.0, doubt=0.4)
"""What the score on the shared weights is believed to tell if it orders as size does, else in proportion; of
ordered variables in any case."""
AMONG = 4
"""Each place of the first round, of which nothing is known, goes to the most promising of so many draws."""


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
        nested: Whether shared weights are of ordered variables alone.

    Attributes:
        candidates: Those up to now; those that were admitted to the final stay among them.
        shared: What to minimise of each on the shared weights, once given.
    """

    def __init__(self, theta: Optimizer, meter: CostMeter, seed: int, *, nested: bool = False) -> None:
        self.theta, self.space, self.meter, self.seed = theta, theta.space, meter, seed
        self.nested = nested
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
        best, size = self.candidates[top].architecture, self._sizes[top]
        for name, variable in self.space.items():
            others = [Architecture({**best, name: value}) for value in levels(variable)]
            within = [a for a in others if a != best and self.meter.of(a).excess == 0.0]
            sizes = [count for count, _ in self.meter.sizes(within)]
            if sizes and max(sizes) > size:
                best, size = within[sizes.index(max(sizes))], max(sizes)
        self._add("largest", [best], 1)

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
        if self.nested:
            return [SIZE, SHARED]
        uniform = [k for k, candidate in enumerate(self.candidates) if candidate.road == "uniform"]
        agreement = correlation([-self._sizes[k] for k in uniform], [self.shared[k] for k in uniform])
        return [SIZE, SHARED._replace(gain=SHARED.gain * max(0.0, agreement))]


def _key(candidate: Finalist) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(candidate.child.items()))


def levels(variable: Variable) -> list[Value]:
    """Return the values of a variable that are tried when the largest architecture is looked for."""
    if isinstance(variable, Categorical):
        return list(variable.choices)
    return [variable.low, variable.high]
