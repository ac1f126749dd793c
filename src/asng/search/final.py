"""The final of a search: the most promising architectures, each trained alone, and the best of them is found.

Shared weights suit what trains well beside others, which is not always what trains well alone, and what they
inherited keeps children of other choices apart however long they are trained on. So the finalists begin
with the weights that the search began with.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from asng.runs.events import FinalistEvent, FinalistsEvent
from asng.search.finalists import COMPARED, FEWEST_STEPS, Candidates, Finalist, Plan, places_of
from asng.search.scorer import Score, score_pairs
from asng.search.trainer import copy_of, weight_step
from asng.space import Architecture
from asng.training.data.nested import batch_size_of, to_device

if TYPE_CHECKING:
    from asng.search.loop import Loop

__all__ = ["Final"]


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
        self.count = plan.finalists  # how many there are going to be
        self.chosen = plan.finalists == 0  # those that no other has to be trained for, or there are none
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
        steps = self.plan.alone * self.plan.finalists // max(1, self.count)
        return max(FEWEST_STEPS, steps * self.loop.step // self.plan.steps)

    @property
    def over(self) -> bool:
        """Whether no work is left."""
        return self.chosen and (self.count < 2 or self.scored >= self.count)

    @property
    def steps_taken(self) -> int:
        """Training steps of all finalists up to now."""
        return self.scored * self.alone + self.taken

    def advance(self) -> bool:
        """Choose finalists, take a training step, or score a finalist; return whether work is left."""
        if self.over:
            return False
        if not self.chosen:
            self._choose()
        elif self.scored == len(self.finalists):
            self._choose_neighbour()
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
        """Choose those that theta likes and those from anywhere, the best on the shared weights first."""
        self.chosen = True
        places, candidates = places_of(self.plan.finalists), self._candidates()
        likely = candidates.likely(COMPARED * places.likely)
        if not likely:  # none within the budget
            self.count = 0
            return
        self._admit("theta", likely, places.likely)
        # Places that a settled theta leaves empty are for all the others.
        empty = places.likely + places.anywhere - len(self.finalists)
        others = candidates.anywhere(COMPARED * empty, likely)
        self._admit("uniform", others, empty)
        self.finalists.sort(key=self._worth)
        if any(self._neighbours()):
            self.count = int(min(self.count, self.loop.supernet.space.size))
        else:
            self.count = len(self.finalists)
        compared = len(likely) + len(others)
        self.loop.log.write(FinalistsEvent(step=self.loop.step, compared=compared, batches=self.plan.batches))

    def _choose_neighbour(self) -> None:
        """Choose a neighbour of the best finalist up to now, or where it has none, of the next."""
        self.loop.supernet.load_state_dict(self.shared or {})
        for neighbours in self._neighbours():
            if self._admit("neighbour", neighbours, 1):
                return
        self.count = len(self.finalists)
        self._finish()

    def _neighbours(self) -> Iterator[list[Architecture]]:
        """Yield neighbours of each finalist, those of the best first."""
        known = [finalist.architecture for finalist in self.finalists]
        for finalist in sorted(self.finalists, key=self._worth):
            yield self._candidates().neighbours(finalist, COMPARED, known)

    def _candidates(self) -> Candidates:
        return Candidates(self.loop.theta, self.loop.meter, self.loop.search.seed)

    def _admit(self, road: str, candidates: Sequence[Architecture], places: int) -> int:
        """Let the best candidates on the shared weights come in; return how many did.

        Of those that differ only in what is not read, one comes in.
        """
        if not candidates or places < 1:
            return 0
        scores = self._scores(candidates, self.plan.batches)
        compared = [
            Finalist(a, road, s.read or frozenset(), s.value) for a, s in zip(candidates, scores, strict=True)
        ]
        known, before = {finalist.child for finalist in self.finalists}, len(self.finalists)
        for finalist in sorted(compared, key=self._worth):
            if finalist.child not in known and len(self.finalists) < before + places:
                known.add(finalist.child)
                self.finalists.append(finalist)
        return len(self.finalists) - before

    def _train(self) -> None:
        """Take one training step of the finalist at hand."""
        loop, finalist = self.loop, self.finalists[self.scored]
        if self.taken == 0:
            self._begin()
        loop.modes.set(training=True)
        loss = weight_step(
            loop.supernet,
            to_device(loop.train.next(), loop.device),
            [finalist.architecture],
            loss=loop.search.loss,
            optimizer=loop.optimizer,
            parameters=loop.parameters,
            clip=loop.search.clip,
            memory=loop.memory,
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
        self._train_one_at_a_time()
        self.loop.train.rewind()

    def _train_one_at_a_time(self) -> None:
        self.loop.make_optimizer(self.alone)
        self.loop.train.whole = self.loop.comm.trains_apart(1)

    def _score(self) -> None:
        """Score the finalist at hand, and keep its weights where it is the best so far."""
        loop, number = self.loop, self.scored
        finalist = self.finalists[number]
        score = self._scores([finalist.architecture], len(loop.valid))[0]
        finalist = self.finalists[number] = replace(finalist, alone=score.value)
        self.taken = 0
        if self._best() is finalist:
            self.winner = copy_of(loop.supernet)
        event = FinalistEvent(
            number=number + 1,
            road=finalist.road,
            architecture=dict(finalist.architecture),
            shared=finalist.shared,
            alone=finalist.alone,
            seconds=round(loop.seconds, 3),
        )
        loop.log.write(event)
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
    def _scores(self, architectures: Sequence[Architecture], batches: int) -> list[Score]:
        """Return every architecture's mean objective over the same validation batches, and what it read."""
        loop = self.loop
        name, objective, _ = loop.search.selection()
        loop.modes.set(training=False)
        loop.valid.rewind()
        totals = [0.0] * len(architectures)
        read: list[frozenset[str]] = [frozenset() for _ in architectures]
        items = 0
        for first in range(0, batches, loop.comm.size):  # as many batches at once as there are processes
            count = min(loop.comm.size, batches - first)
            held = [to_device(loop.valid.next(), loop.device) for _ in range(count)]
            pairs = [(architecture, batch) for batch in held for architecture in architectures]
            scores = score_pairs(
                loop.supernet, pairs, objective=objective, name=name, memory=loop.memory, comm=loop.comm
            )
            for k, score in enumerate(scores):
                totals[k % len(architectures)] += batch_size_of(pairs[k][1]) * score.value
                read[k % len(architectures)] |= score.read or frozenset()
            items += sum(batch_size_of(batch) for batch in held)
        return [Score(total / items, names) for total, names in zip(totals, read, strict=True)]

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
            "count": self.count,
            "finalists": [
                (f.architecture.to_json(), f.road, sorted(f.read), f.shared, f.alone) for f in self.finalists
            ],
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
        counts = [*plan, state["count"], state["taken"]]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"its final has the counts {counts!r:.80}")
        if plan.finalists != self.plan.finalists:
            raise ValueError(f"its final is of {plan.finalists} finalists, and here of {self.plan.finalists}")
        self.plan = plan  # where the warm-up was changed, lengths as they were begun
        self.chosen, self.count = state["chosen"], state["count"]
        self.finalists = [
            Finalist(Architecture.from_json(architecture), road, frozenset(read), shared, alone)
            for architecture, road, read, shared, alone in state["finalists"]
        ]
        self.taken = state["taken"]
        self.first, self.shared, self.winner = state["first"], state["shared"], state["winner"]
        if self.shared is not None:
            self._train_one_at_a_time()
