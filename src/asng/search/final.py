"""The final of a search: the most promising architectures, each trained alone, and the best of them is found.

Shared weights suit what trains well beside others, which is not always what trains well alone, and what they
inherited keeps children of other choices apart however long they are trained on. So the finalists begin
with the weights that the search began with.
"""

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from asng.search.batches import batch_size_of, to_device
from asng.search.costs.found import best_within
from asng.search.steps import scored_by, weight_step
from asng.search.weights import copy_of
from asng.space import Architecture

if TYPE_CHECKING:
    from asng.search.loop import Loop

__all__ = ["MOST_FINAL", "Final", "Finalist", "Plan", "plan_of"]

MOST_FINAL = 0.9
"""Greatest share of the cost for the final: without a search there is nothing to choose finalists by."""
TRAINING_PASS = 3
"""What a training pass over a batch costs, where a forward pass costs 1."""
COMPARED = 4
"""Architectures that are compared on the shared weights, for each finalist."""
ROUNDS = 10
"""So many times that number are drawn from theta at most, where draws repeat each other."""
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


@dataclass(frozen=True)
class Finalist:
    """An architecture that was trained alone at the end of a search.

    Attributes:
        architecture: The one.
        shared: Its mean objective on the shared weights, over the validation batches that candidates were
            compared on.
        alone: Its mean objective over the validation data after its training alone; None before.
    """

    architecture: Architecture
    shared: float
    alone: float | None = None


class Final:
    """Chooses the finalists, trains one after the other alone, and says which is the best.

    `advance` does one piece of work, so that a signal or a checkpoint can come between any two. All
    finalists begin with the same weights and at the same batch. They see the same batches in the same order
    as long as no dropout of theirs draws from the generator that shuffles.

    Args:
        loop: The run, at its beginning.
        plan: How much of everything.
    """

    def __init__(self, loop: "Loop", plan: Plan) -> None:
        self.loop, self.plan = loop, plan
        self.finalists: list[Finalist] = []
        self.chosen = plan.finalists == 0  # or there are none to choose
        self.taken = 0  # training steps of the finalist at hand
        self.first = copy_of(loop.supernet) if plan.finalists else None
        self.shared: dict[str, Any] | None = None  # while finalists train in the supernet's place
        self.winner: dict[str, Any] | None = None

    @property
    def scored(self) -> int:
        """How many finalists have been trained and scored."""
        return sum(finalist.alone is not None for finalist in self.finalists)

    @property
    def alone(self) -> int:
        """Training steps of each finalist: those planned, and those of finalists that there are not.

        Where the search ended early they are fewer in proportion.
        """
        steps = self.plan.alone * self.plan.finalists // max(1, len(self.finalists))
        return max(FEWEST_STEPS, steps * self.loop.step // self.plan.steps)

    @property
    def over(self) -> bool:
        """Whether no work is left."""
        return self.chosen and (len(self.finalists) < 2 or self.scored == len(self.finalists))

    @property
    def steps_taken(self) -> int:
        """Training steps of all finalists up to now."""
        return self.scored * self.alone + self.taken

    def advance(self) -> bool:
        """Choose the finalists, take a training step, or score a finalist; return whether work is left."""
        if self.over:
            return False
        if not self.chosen:
            self._choose()
        elif self.taken < self.alone:
            self._train()
        else:
            self._score()
        return not self.over

    def found(self) -> Architecture | None:
        """Return the best finalist, or None where there was no final."""
        if len(self.finalists) == 1:
            return self.finalists[0].architecture
        best = self._best()
        return None if best is None else best.architecture

    def _best(self) -> Finalist | None:
        """Return the best of those that were trained and scored, the first of equal ones."""
        return min((f for f in self.finalists if f.alone is not None), key=self._worth, default=None)

    # --- what `advance` does ------------------------------------------------------------------------

    def _choose(self) -> None:
        """Compare the mode of theta and draws from it on the shared weights, and keep the best."""
        self.chosen = True
        candidates = self._candidates()
        if not candidates:  # none within the budget
            return
        scores = self._scores(candidates, self.plan.batches)
        compared = [Finalist(a, score.mean) for a, score in zip(candidates, scores, strict=True)]
        order = sorted(range(len(compared)), key=lambda i: self._worth(compared[i]))
        best: dict[frozenset[Any], Finalist] = {}  # one of those that differ only in what is not read
        for i in order:
            read = frozenset((name, candidates[i][name]) for name in scores[i].read)
            best.setdefault(read, compared[i])
        self.finalists = list(best.values())[: self.plan.finalists]
        self.loop.log.write(
            "finalists", step=self.loop.step, compared=len(candidates), batches=self.plan.batches
        )

    def _candidates(self) -> list[Architecture]:
        """Return distinct architectures within the budgets: the mode first, then draws from theta."""
        loop, most = self.loop, COMPARED * self.plan.finalists
        within = best_within(loop.meter, loop.theta)
        if within.excess > 0.0:
            return []
        found = {within.architecture: None}
        for _ in range(ROUNDS):
            for candidate in loop.theta.ask(most):
                if len(found) < most and loop.meter.of(candidate.architecture).excess == 0.0:
                    found.setdefault(candidate.architecture)
        return list(found)

    def _train(self) -> None:
        """Take one training step of the finalist at hand."""
        loop, finalist = self.loop, self.finalists[self.scored]
        if self.taken == 0:
            self._begin()
        loop.set_mode(training=True)
        loss = weight_step(
            loop.supernet,
            to_device(loop.train.next(), loop.device),
            [finalist.architecture],
            loss=loop.search.loss,
            optimizer=loop.optimizer,
            parameters=loop.parameters,
            clip=loop.search.clip,
            comm=loop.comm,
            weight=loop.train.weight,
        )
        loop.advance_schedule(skipped=not math.isfinite(loss))
        self.taken += 1

    def _begin(self) -> None:
        """Put the first weights in the place of the shared ones, and go to the first batch."""
        if self.shared is None:
            self.shared = copy_of(self.loop.supernet)
        self.loop.supernet.load_state_dict(self.first or {})
        self.loop.make_optimizer(self.alone)
        self.loop.train.rewind()

    def _score(self) -> None:
        """Score the finalist at hand, and keep its weights where it is the best so far."""
        loop, number = self.loop, self.scored
        finalist = self.finalists[number]
        score = self._scores([finalist.architecture], len(loop.valid))[0]
        finalist = self.finalists[number] = replace(finalist, alone=score.mean)
        self.taken = 0
        if self._best() is finalist:
            self.winner = copy_of(loop.supernet)
        loop.log.write(
            "finalist",
            number=number + 1,
            architecture=json.loads(finalist.architecture.to_json()),
            shared=finalist.shared,
            alone=finalist.alone,
            seconds=round(loop.seconds, 3),
        )
        if self.over:
            self._finish()

    def _finish(self) -> None:
        """Give the supernet its shared weights back; drop the winner's where the shared suit it better."""
        self.loop.supernet.load_state_dict(self.shared or {})
        self.first = self.shared = None
        best = self._best()
        if best is not None and self._worth(replace(best, alone=None)) <= self._worth(best):
            self.winner = None

    @torch.no_grad()
    def _scores(self, architectures: list[Architecture], batches: int) -> list["_Score"]:
        """Return every architecture's mean objective over the same validation batches, and what it read."""
        loop = self.loop
        name, objective, _ = loop.search.selection()
        loop.set_mode(training=False)
        loop.valid.rewind()
        totals = [0.0] * len(architectures)
        read: list[set[str]] = [set() for _ in architectures]
        items = 0
        for first in range(0, batches, loop.comm.size):  # as many batches at once as there are processes
            count = min(loop.comm.size, batches - first)
            held = [to_device(loop.valid.next(), loop.device) for _ in range(count)]
            pairs = [(batch, architecture) for batch in held for architecture in architectures]

            def work(k: int, pairs: list[tuple[Any, Architecture]] = pairs) -> tuple[float, list[str] | None]:
                return scored_by(objective, loop.supernet, pairs[k][1], pairs[k][0], name)

            scores = loop.comm.deal(len(pairs), work)
            for k, (value, names) in enumerate(scores):
                size = batch_size_of(pairs[k][0])
                totals[k % len(architectures)] += size * value
                read[k % len(architectures)].update(names or ())
            items += sum(batch_size_of(batch) for batch in held)
        return [_Score(t / items, frozenset(names)) for t, names in zip(totals, read, strict=True)]

    def _worth(self, finalist: Finalist) -> float:
        """Return what to minimise; what is not finite is worst."""
        value = finalist.shared if finalist.alone is None else finalist.alone
        sign = self.loop.search.selection()[2]
        worth = sign * value + self.loop.meter.of(finalist.architecture).penalty
        return worth if math.isfinite(worth) else math.inf

    # --- checkpoints --------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return all that a checkpoint must hold."""
        return {
            "plan": list(self.plan),
            "chosen": self.chosen,
            "finalists": [(f.architecture.to_json(), f.shared, f.alone) for f in self.finalists],
            "taken": self.taken,
            "first": self.first,
            "shared": self.shared,
            "winner": self.winner,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where a checkpoint was taken.

        Raises:
            ValueError: It is of another number of finalists, or a count is none.
        """
        plan = Plan(*state["plan"])
        if not all(type(count) is int and count >= 0 for count in (*plan, state["taken"])):
            raise ValueError(f"its final has the counts {[*plan, state['taken']]!r:.80}")
        if plan.finalists != self.plan.finalists:
            raise ValueError(f"its final is of {plan.finalists} finalists, and here of {self.plan.finalists}")
        self.plan = plan  # where the warm-up was changed, lengths as they were begun
        self.chosen = state["chosen"]
        self.finalists = [Finalist(Architecture.from_json(a), *scores) for a, *scores in state["finalists"]]
        self.taken = state["taken"]
        self.first, self.shared, self.winner = state["first"], state["shared"], state["winner"]
        if self.shared is not None:
            self.loop.make_optimizer(self.alone)


class _Score(NamedTuple):
    mean: float
    read: frozenset[str]
