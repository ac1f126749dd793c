"""The final of a search: the most promising architectures are trained alone, and the best of them is found.

Shared weights suit what trains well beside others, which is not always what trains well alone, and what they
inherited keeps children of other choices apart however long they are trained on. So the finalists begin
with the weights that the search began with. They come in rounds, and each round knows how those before it
came out; the best two are trained anew for longer, and give the child its weights.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from statistics import fmean
from typing import Any, Literal

import msgspec

from asng.distributed import Comm
from asng.optim import Optimizer
from asng.runs.events import Chance
from asng.search.belief import reliability_of
from asng.search.chance import chance_of
from asng.search.finalists import LAST, ROUND, Finalist, FinalPlan, Plan, Pool, final_plan
from asng.search.scorer import Scorer
from asng.search.trainer import Trainer, copy_of, weights_of
from asng.space import Architecture

__all__ = ["Final"]


class Final:
    """Chooses the finalists, trains each of them alone, and says which is the best.

    `advance` does one piece of work, so that a signal or a checkpoint can come between any two. All
    finalists begin with the same weights and at the same batch. They see the same batches in the same order
    as long as no dropout of theirs draws from the generator that shuffles. Each process trains another one
    of a round; a round is chosen when all before it are known, so that nothing depends on how many processes
    there are.

    Args:
        plan: How much is for the final.
        finalists: How many at most.
        theta: The optimiser of theta.
        trainer: Trains the finalists in the place of the shared weights.
        scorer: Scores them.
        seed: Of uniform draws and neighbours.
        comm: The processes.

    Attributes:
        finalists: Those chosen up to now, in that order.
        winner: The weights of the best one after its training; None if there is none, or if the shared
            weights suit it better.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        finalists: int,
        theta: Optimizer,
        trainer: Trainer,
        scorer: Scorer,
        seed: int,
        comm: Comm,
    ) -> None:
        self.plan, self.trainer, self.scorer, self.comm = plan, trainer, scorer, comm
        self.supernet, self.most = trainer.supernet, finalists
        self.pool = Pool(theta, scorer.meter, seed)
        self.dealt = self._dealt(plan.cost, finalists)
        self.numbers: list[int] = []  # of the finalists in the pool
        self.finalists: list[Finalist] = []
        self.jobs: list[tuple[int, int]] = []  # a finalist and its training steps
        self.done = 0  # jobs
        self.together = 1  # jobs that are done at once, one a process
        self.taken = 0  # training steps of the jobs at hand
        self.opened = self.closed = not self.dealt.finalists  # closed: no other will come in
        self.first = copy_of(self.supernet) if self.dealt.finalists else None
        self.shared: dict[str, Any] | None = None  # while finalists train in the supernet's place
        self.winner: dict[str, Any] | None = None
        self.chance: Chance | None = None

    def _dealt(self, cost: float, finalists: int) -> FinalPlan:
        return final_plan(
            cost,
            finalists=finalists,
            valid_batches=len(self.scorer.stream),
            compare=self.plan.steps > 0,
            whole=self.scorer.whole,
        )

    @property
    def over(self) -> bool:
        """Whether no work is left."""
        return self.closed and self.done == len(self.jobs)

    @property
    def all_steps(self) -> int:
        """Training steps of all finalists, as planned."""
        return self.dealt.finalists * self.dealt.alone + self.dealt.last * self.dealt.longer

    @property
    def steps_taken(self) -> int:
        """Training steps of all finalists up to now."""
        return sum(steps for _, steps in self.jobs[: self.done]) + self.taken

    @property
    def savable(self) -> bool:
        """Whether one process has all that there is to save: else each trains a finalist of its own."""
        return self.comm.size == 1 or self.taken == 0

    def advance(self, searched: int, *, moved: bool) -> list[Finalist] | int | None:
        """Choose finalists, take a training step of those at hand, or score them.

        Args:
            searched: Steps that the search took.
            moved: Whether theta moved.

        Returns:
            The finalists that were just scored; or how many candidates there are at first; or None.
        """
        if self.over:
            return None
        if not self.opened:
            return self._open(searched, moved=moved)
        if self.done == len(self.jobs):
            self._choose()
        elif self.taken < self.jobs[self.done][1]:
            self._train()
        else:
            return self._score()
        return None

    def where(self) -> str:
        """Say what the next piece of work is, for errors in it."""
        if self.over or not self.opened or self.done == len(self.jobs):
            return "the final"
        number, steps = self.jobs[self.done]
        if self.taken < steps:
            return f"the final, after {self.taken} of {steps} training steps of finalist {number + 1}"
        return f"the final, while finalist {number + 1} was scored"

    def found(self) -> Architecture | None:
        """Return the best finalist, or None if there was no final."""
        if not self.finalists:
            return None
        return self.finalists[self._best()].architecture

    # --- who comes in -------------------------------------------------------------------------------

    def _open(self, searched: int, *, moved: bool) -> int | None:
        """Gather candidates, and choose those of the first round."""
        self.opened, plan = True, self.plan
        # A search that was ended early has a final that is shorter in proportion.
        cost = plan.cost * searched / plan.steps if plan.steps else plan.cost
        self.pool.open(moved=moved)
        candidates = len(self.pool.candidates)
        self.dealt = self._dealt(cost, min(self.most, candidates))
        # Of one alone the shared weights are its own, if there are any. And a search that was ended so early
        # that no two can be trained is left to theta.
        if self.dealt.finalists < (2 if searched else 1):
            self.closed = True
            self._admit([0] if candidates == 1 else [])
            self.first = None
            return None
        if searched:
            self._compare()
        self.shared = copy_of(self.supernet)
        self._enlist(self.pool.first(min(ROUND, self.dealt.finalists)))
        return len(self.pool.candidates)

    def _choose(self) -> None:
        """Choose the next round; after the last, have the best trained anew for longer, or finish."""
        if any(steps != self.dealt.alone for _, steps in self.jobs):
            self.closed = True
            self._finish()
            return
        order = self._ranked()
        n = min(ROUND, self.dealt.finalists - len(self.finalists))
        if n > 0:
            self.pool.neighbours([self.finalists[k] for k in order[:LAST]])
            if self.pool.shared:
                self.supernet.load_state_dict(self.shared or {})
                self._compare()
            chosen = self.pool.next(self.numbers, self._losses(), n, reliability=self._reliability())
            if chosen:
                self._enlist(chosen)
                return
        # By a clock one may be over that was not before: its place goes to the next.
        sure = (k for k in order if self.scorer.meter.confirm(self.finalists[k].architecture))
        best = list(islice(sure, self.dealt.last)) or order[: self.dealt.last]
        self.jobs += [(k, self.dealt.longer) for k in best]

    def _compare(self) -> None:
        """Score candidates that have no score yet on the shared weights."""
        new = [candidate.architecture for candidate in self.pool.candidates[len(self.pool.shared) :]]
        if new and self.dealt.compared:
            scores = self.scorer.means(new, self.dealt.compared, at_once=self.comm.size)
            objectives = [score.value for score in scores]
            self.pool.compared(objectives, list(map(self.scorer.worth, objectives, new)))

    def _enlist(self, numbers: Sequence[int]) -> None:
        """Let candidates come in, and be trained alone."""
        first = len(self.finalists)
        self._admit(numbers)
        self.jobs += [(k, self.dealt.alone) for k in range(first, len(self.finalists))]

    def _admit(self, numbers: Sequence[int]) -> None:
        self.numbers += numbers
        self.finalists += [self.pool.candidates[number] for number in numbers]

    # --- who is best --------------------------------------------------------------------------------

    def _ranked(self) -> list[int]:
        """Return the finalists, those first that are believed to be best after their training alone."""
        if len(self.finalists) < 2:
            return list(range(len(self.finalists)))
        losses = self._losses()
        believed = self._believed(losses)
        return sorted(range(len(losses)), key=lambda k: (not math.isfinite(losses[k]), believed[k]))

    def _best(self) -> int:
        """Return the best of those that were trained for longer; before, the one believed to be best."""
        last = [k for k, finalist in enumerate(self.finalists) if finalist.longer is not None]
        trained = [k for k, finalist in enumerate(self.finalists) if finalist.alone is not None]
        if last:
            believed = self._believed(self._corrected(last))
            return min(last, key=lambda k: (not math.isfinite(self._worth(self.finalists[k])), believed[k]))
        return self._ranked()[0] if len(trained) == len(self.finalists) > 1 else 0

    def _believed(self, losses: Sequence[float]) -> Sequence[float]:
        if len(losses) < 2:
            return losses
        believed = self.pool.believed(self.numbers, losses, reliability=self._reliability())
        return [float(value) for value in believed]

    def _corrected(self, last: Sequence[int]) -> list[float]:
        """Return the losses, those of the last as far from each other as after their longer training."""
        losses = self._losses()
        longer = [self._worth(replace(self.finalists[k], alone=None)) for k in last]
        level = fmean(losses[k] for k in last) - fmean(longer)
        for k, loss in zip(last, longer, strict=True):
            losses[k] = loss + level if math.isfinite(level) else loss
        return losses

    def _losses(self) -> list[float]:
        """Return what to minimise of the finalists after their training alone."""
        return [self._worth(replace(finalist, longer=None)) for finalist in self.finalists]

    def _reliability(self) -> float:
        trained = [f for f in self.finalists if f.half is not None and f.alone is not None]
        half = [self._worth(replace(f, alone=f.half, longer=None)) for f in trained]
        return reliability_of(half, [self._worth(replace(f, longer=None)) for f in trained])

    def _worth(self, finalist: Finalist) -> float:
        """Return what to minimise of one that was trained: the better of its scores."""
        values = [value for value in (finalist.alone, finalist.longer) if value is not None]
        return min((self.scorer.worth(value, finalist.architecture) for value in values), default=math.inf)

    # --- the jobs at hand ---------------------------------------------------------------------------

    @property
    def _at_hand(self) -> list[Finalist]:
        return [self.finalists[k] for k, _ in self.jobs[self.done : self.done + self.together]]

    def _train(self) -> None:
        """Take one training step of each finalist at hand."""
        if self.taken == 0:
            self._begin()
        self.trainer.step_apart([finalist.architecture for finalist in self._at_hand])
        self.taken += 1
        if self.taken == self.dealt.alone // 2 and self.jobs[self.done][1] == self.dealt.alone:
            self._note(self._scores(), "half")

    def _begin(self) -> None:
        """Put the first weights in the place of the shared ones, and go to the first batch."""
        self.together = min(self.comm.size, len(self.jobs) - self.done)
        self.supernet.load_state_dict(self.first or {})
        self.trainer.begin(self.jobs[self.done][1])
        self.trainer.stream.rewind()

    def _score(self) -> list[Finalist]:
        """Score the finalists at hand, and keep the weights of one that is the best so far."""
        longer = self.jobs[self.done][1] == self.dealt.longer
        at_hand = self._note(self._scores(), "longer" if longer else "alone")
        self.taken, self.done = 0, self.done + self.together
        for process, k in enumerate(at_hand):
            if longer and k == self._best():
                self.comm.spread(self.supernet.state_dict, self.supernet.load_state_dict, source=process)
                self.winner = copy_of(self.supernet)
        return [self.finalists[k] for k in at_hand]

    def _scores(self) -> list[float]:
        # The n-th process trained the n-th one: it has the weights, and scores it.
        architectures = [finalist.architecture for finalist in self._at_hand]
        return [score.value for score in self.scorer.means(architectures, self.dealt.batches)]

    def _note(self, scores: Sequence[float], when: Literal["half", "alone", "longer"]) -> list[int]:
        """Enter scores of the finalists at hand; return which these are."""
        at_hand = [k for k, _ in self.jobs[self.done : self.done + self.together]]
        for k, score in zip(at_hand, scores, strict=True):
            self.finalists[k] = replace(self.finalists[k], **{when: score})  # type: ignore[arg-type]
        return at_hand

    def _finish(self) -> None:
        """Give the supernet its shared weights back; drop the winner's if the shared suit it better."""
        self.supernet.load_state_dict(self.shared or {})
        best = self.finalists[self._best()]
        if self.pool.shared:
            [score] = self.scorer.means([best.architecture], self.dealt.batches)
            alone = self._worth(replace(best, alone=None))  # of the weights that the winner has
            if self.scorer.worth(score.value, best.architecture) <= alone:
                self.winner = None
        self.first = self.shared = None
        with weights_of(self.supernet, self.winner):
            self.chance = chance_of(
                self.scorer, best.architecture, batches=self.dealt.batches, seed=self.pool.seed
            )

    # --- checkpoints --------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return all that a checkpoint must hold."""
        return {
            "plan": list(self.plan),
            "dealt": list(self.dealt),
            "most": self.most,
            "opened": self.opened,
            "closed": self.closed,
            "pool": self.pool.state_dict(),
            "numbers": list(self.numbers),
            "finalists": [(f.alone, f.longer, f.half) for f in self.finalists],
            "jobs": [list(job) for job in self.jobs],
            "done": self.done,
            "taken": self.taken,
            "first": self.first,
            "shared": self.shared,
            "winner": self.winner,
            "chance": msgspec.to_builtins(self.chance),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where a checkpoint was taken: within a round only of one process, which trained one finalist.

        Raises:
            ValueError: It is of another number of finalists, or a count is none.
        """
        plan, dealt = Plan(*state["plan"]), FinalPlan(*state["dealt"])
        counts = [plan.steps, *dealt, *state["numbers"], state["done"], state["taken"]]
        counts += [count for job in state["jobs"] for count in job]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"its final has the counts {counts!r:.80}")
        if plan.cost and state["most"] != self.most:
            raise ValueError(f"its final is of {state['most']!r:.80} finalists, and here of {self.most}")
        self.plan, self.dealt = plan, dealt  # if the warm-up was changed, lengths as they were begun
        self.opened, self.closed = state["opened"], state["closed"]
        self.pool.load_state_dict(state["pool"])
        self.numbers = list(state["numbers"])
        self.finalists = [
            replace(self.pool.candidates[number], alone=alone, longer=longer, half=half)
            for number, (alone, longer, half) in zip(self.numbers, state["finalists"], strict=True)
        ]
        self.jobs = [(k, steps) for k, steps in state["jobs"]]
        self.done, self.taken, self.together = state["done"], state["taken"], 1
        self.first, self.shared, self.winner = state["first"], state["shared"], state["winner"]
        self.chance = msgspec.convert(state["chance"], Chance | None)
        if self.taken:
            self.trainer.begin(self.jobs[self.done][1])
