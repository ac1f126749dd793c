"""The final of a search: train the most promising architectures alone, and return the best of them.

Shared weights favour what trains well beside other architectures, which need not train well alone. Inherited
weights also keep children of different choices apart, however long they are trained on. So finalists start
from the initial weights of the search. They are chosen in rounds, each of which knows the results of those
before it. The best one is trained again for longer, or the best two of more than eight, and the winner gives
the child its weights.
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
    """Choose the finalists, train each alone, and select the best.

    `advance` does one unit of work, so that signals and checkpoints can come between any two. All finalists
    start from the same weights and the same batch. They see the same batches in the same order, unless their
    dropout draws from the generator that shuffles. Each process trains a different finalist of a round. A
    round is chosen when all before it have ended, so results do not depend on the number of processes.

    Args:
        plan: How the cost of the search is divided.
        finalists: Maximum number of finalists.
        theta: The optimiser of theta.
        trainer: Trains the finalists, in place of the shared weights.
        scorer: Scores them.
        seed: Seed of uniform samples and neighbours.
        comm: The processes.

    Attributes:
        finalists: The finalists so far, in the order in which they were chosen.
        winner: The weights of the best one after its training; None without a final, or if the shared weights
            give it a better score.
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
        self.numbers: list[int] = []  # indices of the finalists in the pool
        self.finalists: list[Finalist] = []
        self.jobs: list[tuple[int, int]] = []  # pairs of finalist and training steps
        self.done = 0  # number of jobs that have ended
        self.together = 1  # number of jobs that run at once, one per process
        self.taken = 0  # training steps of the current jobs so far
        self.opened = self.closed = not self.dealt.finalists  # closed: there will be no more
        self.first = copy_of(self.supernet) if self.dealt.finalists else None
        self.shared: dict[str, Any] | None = None  # set while finalists train in the supernet
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
        """Whether the final has ended."""
        return self.closed and self.done == len(self.jobs)

    @property
    def all_steps(self) -> int:
        """Planned training steps of all finalists."""
        return self.dealt.finalists * self.dealt.alone + self.dealt.last * self.dealt.longer

    @property
    def steps_taken(self) -> int:
        """Training steps of all finalists so far."""
        return sum(steps for _, steps in self.jobs[: self.done]) + self.taken

    @property
    def savable(self) -> bool:
        """Whether one process has the whole state; not so while each trains a finalist of its own."""
        return self.comm.size == 1 or self.taken == 0

    def advance(self, searched: int, *, moved: bool) -> list[Finalist] | int | None:
        """Choose finalists, take a training step of the current ones, or score them.

        Args:
            searched: Number of steps that the search took.
            moved: Whether theta moved.

        Returns:
            The finalists that were just scored; the number of candidates when they are first collected; or
            None.
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
        """Describe the next unit of work, for the message of an error in it."""
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
        """Collect candidates, and choose those of the first round."""
        self.opened, plan = True, self.plan
        # If a search ended early, its final is shorter in proportion.
        cost = plan.cost * searched / plan.steps if plan.steps else plan.cost
        self.pool.open(moved=moved)
        candidates = len(self.pool.candidates)
        self.dealt = self._dealt(cost, min(self.most, candidates))
        # A single candidate already has the shared weights to itself, if there are any. If a search ended too
        # early to train two finalists, theta decides.
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
        """Choose the next round; after the last one, train the best again for longer, or finish."""
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
        # A latency may now measure above its budget; then the next best finalist takes that place.
        sure = (k for k in order if self.scorer.meter.confirm(self.finalists[k].architecture))
        best = list(islice(sure, self.dealt.last)) or order[: self.dealt.last]
        self.jobs += [(k, self.dealt.longer) for k in best]

    def _compare(self) -> None:
        """Score the candidates that have no score on the shared weights yet."""
        new = [candidate.architecture for candidate in self.pool.candidates[len(self.pool.shared) :]]
        if new and self.dealt.compared:
            scores = self.scorer.means(new, self.dealt.compared, at_once=self.comm.size)
            objectives = [score.value for score in scores]
            self.pool.compared(objectives, list(map(self.scorer.worth, objectives, new)))

    def _enlist(self, numbers: Sequence[int]) -> None:
        """Make candidates finalists, and schedule their training alone."""
        first = len(self.finalists)
        self._admit(numbers)
        self.jobs += [(k, self.dealt.alone) for k in range(first, len(self.finalists))]

    def _admit(self, numbers: Sequence[int]) -> None:
        self.numbers += numbers
        self.finalists += [self.pool.candidates[number] for number in numbers]

    # --- who is best --------------------------------------------------------------------------------

    def _ranked(self) -> list[int]:
        """Return the finalists in order of their posterior mean loss after training alone, best first."""
        if len(self.finalists) < 2:
            return list(range(len(self.finalists)))
        losses = self._losses()
        believed = self._believed(losses)
        return sorted(range(len(losses)), key=lambda k: (not math.isfinite(losses[k]), believed[k]))

    def _best(self) -> int:
        """Return the best finalist that was trained for longer; before that, the one believed to be best."""
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
        """Return all losses; those trained for longer differ by as much as after that longer training."""
        losses = self._losses()
        longer = [self._worth(replace(self.finalists[k], alone=None)) for k in last]
        level = fmean(losses[k] for k in last) - fmean(longer)
        for k, loss in zip(last, longer, strict=True):
            losses[k] = loss + level if math.isfinite(level) else loss
        return losses

    def _losses(self) -> list[float]:
        """Return the losses of the finalists after their training alone."""
        return [self._worth(replace(finalist, longer=None)) for finalist in self.finalists]

    def _reliability(self) -> float:
        trained = [f for f in self.finalists if f.half is not None and f.alone is not None]
        half = [self._worth(replace(f, alone=f.half, longer=None)) for f in trained]
        return reliability_of(half, [self._worth(replace(f, longer=None)) for f in trained])

    def _worth(self, finalist: Finalist) -> float:
        """Return the loss of a trained finalist: the better of its scores."""
        values = [value for value in (finalist.alone, finalist.longer) if value is not None]
        return min((self.scorer.worth(value, finalist.architecture) for value in values), default=math.inf)

    # --- the jobs at hand ---------------------------------------------------------------------------

    @property
    def _at_hand(self) -> list[Finalist]:
        return [self.finalists[k] for k, _ in self.jobs[self.done : self.done + self.together]]

    def _train(self) -> None:
        """Take one training step of each current finalist."""
        if self.taken == 0:
            self._begin()
        self.trainer.step_apart([finalist.architecture for finalist in self._at_hand])
        self.taken += 1
        if self.taken == self.dealt.alone // 2 and self.jobs[self.done][1] == self.dealt.alone:
            self._note(self._scores(), "half")

    def _begin(self) -> None:
        """Load the initial weights into the supernet, and rewind to the first batch."""
        self.together = min(self.comm.size, len(self.jobs) - self.done)
        self.supernet.load_state_dict(self.first or {})
        self.trainer.begin(self.jobs[self.done][1])
        self.trainer.stream.rewind()

    def _score(self) -> list[Finalist]:
        """Score the current finalists, and keep the weights of the best one so far."""
        longer = self.jobs[self.done][1] == self.dealt.longer
        at_hand = self._note(self._scores(), "longer" if longer else "alone")
        self.taken, self.done = 0, self.done + self.together
        for process, k in enumerate(at_hand):
            if longer and k == self._best():
                if not self.comm.in_step:  # else each has its part of them already
                    self.comm.spread(self.supernet.state_dict, self.supernet.load_state_dict, source=process)
                self.winner = copy_of(self.supernet)
        return [self.finalists[k] for k in at_hand]

    def _scores(self) -> list[float]:
        # The n-th process trained the n-th finalist, so it has the weights and scores it.
        architectures = [finalist.architecture for finalist in self._at_hand]
        return [score.value for score in self.scorer.means(architectures, self.dealt.batches)]

    def _note(self, scores: Sequence[float], when: Literal["half", "alone", "longer"]) -> list[int]:
        """Record the scores of the current finalists; return their indices."""
        at_hand = [k for k, _ in self.jobs[self.done : self.done + self.together]]
        for k, score in zip(at_hand, scores, strict=True):
            self.finalists[k] = replace(self.finalists[k], **{when: score})  # type: ignore[arg-type]
        return at_hand

    def _finish(self) -> None:
        """Restore the shared weights; drop the winner's weights if it scores better on the shared ones."""
        self.supernet.load_state_dict(self.shared or {})
        best = self.finalists[self._best()]
        if self.pool.shared:
            [score] = self.scorer.means([best.architecture], self.dealt.batches)
            alone = self._worth(replace(best, alone=None))  # with the weights of its last training
            if self.scorer.worth(score.value, best.architecture) <= alone:
                self.winner = None
        self.first = self.shared = None
        with weights_of(self.supernet, self.winner):
            self.chance = chance_of(
                self.scorer, best.architecture, batches=self.dealt.batches, seed=self.pool.seed
            )

    # --- checkpoints --------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
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
        """Restore the state of a checkpoint; within a round only one of a single process can be restored.

        Raises:
            ValueError: It is of another number of finalists, or a count is none.
        """
        plan, dealt = Plan(*state["plan"]), FinalPlan(*state["dealt"])
        counts = [plan.steps, *dealt, *state["numbers"], state["done"], state["taken"]]
        counts += [count for job in state["jobs"] for count in job]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"its final has the counts {counts!r:.80}")
        if plan.cost and state["most"] != self.most:
            raise ValueError(
                f"its final has {state['most']!r:.80} finalists, and that of this search {self.most}"
            )
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
