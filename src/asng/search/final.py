"""The final of a search: the most promising architectures, each trained alone, and the best of them is found.

Shared weights suit what trains well beside others, which is not always what trains well alone, and what they
inherited keeps children of other choices apart however long they are trained on. So the finalists begin
with the weights that the search began with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from asng.distributed import Comm
from asng.optim import Optimizer
from asng.search.finalists import COMPARED, FEWEST_STEPS, Candidates, Finalist, Plan, places_of
from asng.search.scorer import Scorer
from asng.search.trainer import Trainer, copy_of
from asng.space import Architecture

__all__ = ["Final"]


class Final:
    """Chooses the finalists, trains each of them alone, and says which is the best.

    `advance` does one piece of work, so that a signal or a checkpoint can come between any two. All
    finalists begin with the same weights and at the same batch. They see the same batches in the same order
    as long as no dropout of theirs draws from the generator that shuffles. Each process trains another one;
    a neighbour is chosen when all before it are known, so that nothing depends on how many processes there
    are.

    Args:
        plan: How much of everything.
        theta: The optimiser of theta.
        trainer: Trains the finalists in the place of the shared weights.
        scorer: Scores them.
        seed: Of uniform draws and neighbours.
        comm: The processes.

    Attributes:
        finalists: Those chosen up to now.
        winner: The weights of the best one after its training; None if there is none, or if the shared
            weights suit it better.
    """

    def __init__(
        self, plan: Plan, *, theta: Optimizer, trainer: Trainer, scorer: Scorer, seed: int, comm: Comm
    ) -> None:
        self.plan, self.trainer, self.scorer, self.comm = plan, trainer, scorer, comm
        self.supernet = trainer.supernet
        self.candidates = Candidates(theta, scorer.meter, seed)
        self.finalists: list[Finalist] = []
        self.count = plan.finalists  # how many there are going to be
        self.chosen = plan.finalists == 0  # those that no other has to be trained for, or there are none
        self.searched = plan.steps  # steps of the search, fewer if it ended early
        self.together = 1  # finalists that are trained at once, one a process
        self.taken = 0  # training steps of the finalists at hand
        self.first = copy_of(self.supernet) if plan.finalists else None
        self.shared: dict[str, Any] | None = None  # while finalists train in the supernet's place
        self.winner: dict[str, Any] | None = None

    @property
    def scored(self) -> int:
        """How many finalists have been trained and scored."""
        return sum(finalist.alone is not None for finalist in self.finalists)

    @property
    def alone(self) -> int:
        """Training steps of each finalist: those planned, and those of finalists that there are not.

        If the search ended early they are fewer in proportion.
        """
        steps = self.plan.alone * self.plan.finalists // max(1, self.count)
        return max(FEWEST_STEPS, steps * self.searched // self.plan.steps)

    @property
    def over(self) -> bool:
        """Whether no work is left."""
        return self.chosen and (self.count < 2 or self.scored >= self.count)

    @property
    def steps_taken(self) -> int:
        """Training steps of all finalists up to now."""
        return self.scored * self.alone + self.taken

    @property
    def savable(self) -> bool:
        """Whether one process has all that there is to save: else each trains a finalist of its own."""
        return self.comm.size == 1 or self.taken == 0

    def advance(self, searched: int) -> list[Finalist] | int | None:
        """Choose finalists, take a training step of those at hand, or score them.

        Args:
            searched: Steps that the search took.

        Returns:
            The finalists that were just scored; or of how many candidates the first ones were chosen; or
            None.
        """
        if self.over:
            return None
        if not self.chosen:
            self.searched = searched
            return self._choose()
        if self.scored == len(self.finalists):
            self._choose_neighbour()
        elif self.taken < self.alone:
            self._train()
        else:
            return self._score()
        return None

    def found(self) -> Architecture | None:
        """Return the best finalist, or None if there was no final."""
        if len(self.finalists) == 1:
            return self.finalists[0].architecture
        best = self._best()
        return None if best is None else best.architecture

    def _best(self) -> Finalist | None:
        """Return the best of those that were trained and scored, the first of equal ones."""
        return min((f for f in self.finalists if f.alone is not None), key=self._worth, default=None)

    def _worth(self, finalist: Finalist) -> float:
        value = finalist.shared if finalist.alone is None else finalist.alone
        return self.scorer.worth(value, finalist.architecture)

    # --- who comes in -------------------------------------------------------------------------------

    def _choose(self) -> int | None:
        """Choose those that theta likes and those from anywhere, the best on the shared weights first."""
        self.chosen = True
        places = places_of(self.plan.finalists)
        likely = self.candidates.likely(COMPARED * places.likely)
        if not likely:  # none within the budget
            self.count = 0
            return None
        self._admit("theta", likely, places.likely)
        # Places that a settled theta leaves empty are for all the others.
        empty = places.likely + places.anywhere - len(self.finalists)
        others = self.candidates.anywhere(COMPARED * empty, likely)
        self._admit("uniform", others, empty)
        self.finalists.sort(key=self._worth)
        if any(self._neighbours()):
            self.count = int(min(self.count, self.supernet.space.size))
        else:
            self.count = len(self.finalists)
        return len(likely) + len(others)

    def _choose_neighbour(self) -> None:
        """Choose a neighbour of the best finalist up to now, or if it has none, of the next."""
        self.supernet.load_state_dict(self.shared or {})
        for neighbours in self._neighbours():
            if self._admit("neighbour", neighbours, 1):
                return
        self.count = len(self.finalists)
        self._finish()

    def _neighbours(self) -> Iterator[list[Architecture]]:
        """Yield neighbours of each finalist, those of the best first."""
        known = [finalist.architecture for finalist in self.finalists]
        for finalist in sorted(self.finalists, key=self._worth):
            yield self.candidates.neighbours(finalist, COMPARED, known)

    def _admit(self, road: str, candidates: Sequence[Architecture], places: int) -> int:
        """Let the best candidates on the shared weights come in; return how many did.

        Of those that differ only in what is not read, one comes in.
        """
        if not candidates or places < 1:
            return 0
        scores = self.scorer.means(candidates, self.plan.batches, at_once=self.comm.size)
        compared = [
            Finalist(a, road, s.read or frozenset(), s.value) for a, s in zip(candidates, scores, strict=True)
        ]
        known, before = {finalist.child for finalist in self.finalists}, len(self.finalists)
        for finalist in sorted(compared, key=self._worth):
            if finalist.child not in known and len(self.finalists) < before + places:
                known.add(finalist.child)
                self.finalists.append(finalist)
        return len(self.finalists) - before

    # --- the finalists at hand ----------------------------------------------------------------------

    @property
    def _at_hand(self) -> list[Finalist]:
        return self.finalists[self.scored : self.scored + self.together]

    def _train(self) -> None:
        """Take one training step of each finalist at hand."""
        if self.taken == 0:
            self._begin()
        self.trainer.step_apart([finalist.architecture for finalist in self._at_hand])
        self.taken += 1

    def _begin(self) -> None:
        """Put the first weights in the place of the shared ones, and go to the first batch."""
        if self.shared is None:
            self.shared = copy_of(self.supernet)
        self.together = min(self.comm.size, len(self.finalists) - self.scored)
        self.supernet.load_state_dict(self.first or {})
        self.trainer.begin(self.alone)
        self.trainer.stream.rewind()

    def _score(self) -> list[Finalist]:
        """Score the finalists at hand, and keep the weights of one that is the best so far."""
        first, at_hand = self.scored, self._at_hand
        # The n-th process trained the n-th one: it has the weights, and scores it.
        scores = self.scorer.means([one.architecture for one in at_hand], len(self.scorer.stream))
        self.taken = 0
        for number, (finalist, score) in enumerate(zip(at_hand, scores, strict=True)):
            self.finalists[first + number] = replace(finalist, alone=score.value)
        new = self.finalists[first : first + len(at_hand)]
        best = self._best()
        for number, finalist in enumerate(new):
            if finalist is best:
                self.comm.spread(self.supernet.state_dict, self.supernet.load_state_dict, source=number)
                self.winner = copy_of(self.supernet)
        if self.over:
            self._finish()
        return new

    def _finish(self) -> None:
        """Give the supernet its shared weights back; drop the winner's if the shared suit it better."""
        self.supernet.load_state_dict(self.shared or {})
        self.first = self.shared = None
        best = self._best()
        if best is not None and self._worth(replace(best, alone=None)) <= self._worth(best):
            self.winner = None

    # --- checkpoints --------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return all that a checkpoint must hold."""
        return {
            "plan": list(self.plan),
            "chosen": self.chosen,
            "count": self.count,
            "searched": self.searched,
            "finalists": [
                (f.architecture.to_json(), f.road, sorted(f.read), f.shared, f.alone) for f in self.finalists
            ],
            "taken": self.taken,
            "first": self.first,
            "shared": self.shared,
            "winner": self.winner,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where a checkpoint was taken: within a round only of one process, which trained one finalist.

        Raises:
            ValueError: It is of another number of finalists, or a count is none.
        """
        plan = Plan(*state["plan"])
        counts = [*plan, state["count"], state["searched"], state["taken"]]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"its final has the counts {counts!r:.80}")
        if plan.finalists != self.plan.finalists:
            raise ValueError(f"its final is of {plan.finalists} finalists, and here of {self.plan.finalists}")
        self.plan = plan  # if the warm-up was changed, lengths as they were begun
        self.chosen, self.count, self.searched = state["chosen"], state["count"], state["searched"]
        self.finalists = [
            Finalist(Architecture.from_json(architecture), road, frozenset(read), shared, alone)
            for architecture, road, read, shared, alone in state["finalists"]
        ]
        self.taken, self.together = state["taken"], 1
        self.first, self.shared, self.winner = state["first"], state["shared"], state["winner"]
        if self.shared is not None:
            self.trainer.begin(self.alone)
