"""Make a child within a goal from what a search found: by a rate, a few steps, finalists, and the best."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any

from torch import nn

from asng.compression.frontier import Frontier, Meter, Reads, refined
from asng.compression.goals import Goal
from asng.compression.journal import MAPPINGS, Journal
from asng.compression.tuning import Tuner
from asng.costs.meter import CostMeter
from asng.runs.files import sync_folder, writes_into
from asng.runs.folder import CHILD
from asng.space import Architecture
from asng.training import give_averages
from asng.training.child_file import load_child_weights, load_into, save_child
from asng.training.optimizers import MakeOptimizer, adamw
from asng.training.progress import progress_bar

__all__ = ["Finals", "best_rate"]

REFINED = 5
"""One in so many scored architectures is scored again after a few steps of fine-tuning."""
SHORTER = 4
"""The epochs are divided by this for the first fine-tuning of finalists."""
USUAL_RATE, DOUBLINGS = 1e-3, 7
"""The first learning rate that is tried with AdamW, and how often it is doubled or halved at most."""


def best_rate(loss: Callable[[float], float]) -> float:
    """Return the learning rate with the least loss, doubled or halved for as long as that helps.

    Args:
        loss: Returns the loss of a rate; called once for each rate.

    Example:
        >>> best_rate(lambda rate: abs(rate - 0.0041))
        0.004
    """
    known: dict[int, float] = {}

    def at(power: int) -> float:
        if power not in known:
            known[power] = loss(USUAL_RATE * 2.0**power)
        return known[power]

    best = 0
    for step in (1, -1):
        while best == 0 or (best > 0) == (step > 0):
            if abs(best + step) > DOUBLINGS or not at(best + step) < at(best):
                break
            best += step
    return USUAL_RATE * 2.0**best


@dataclass(frozen=True)
class Finals:
    """Makes a child for a goal from what the search found.

    Attributes:
        goal: What the child may cost.
        start: An architecture within it.
        tuner: Fine-tunes children.
        journal: Knows what was done before.
        optimizer: Makes the optimiser; None: AdamW at the rate that is best for a few steps of `start`.
        evaluations: How many were scored in the search.
        finalists: How many are fine-tuned for a while.
        epochs: Epochs of fine-tuning to the end.
        sign: 1 if less of the objective is better, -1 if more is.
        folder: The run folder, or None.
    """

    goal: Goal
    start: Architecture
    tuner: Tuner
    journal: Journal
    optimizer: MakeOptimizer | None
    evaluations: int
    finalists: int
    epochs: int
    sign: float
    folder: Path | None

    @cached_property
    def rate(self) -> float | None:
        """The learning rate that was found; None if the optimiser was given."""
        return None if self.optimizer is not None else self.rate_for("rate")

    def rate_for(self, what: str) -> float:
        """Return the learning rate at which a few steps help most, from the current shared weights.

        Raises:
            RunError: The loss is not finite at any rate.
        """
        losses: dict[float, float] = {}

        def loss(rate: float) -> float:
            losses[rate] = self.tuner.after_steps(self.start, partial(adamw, learning_rate=rate))[0]
            return losses[rate]

        def work() -> float:
            best = best_rate(loss)
            if math.isinf(losses[best]):
                self.tuner.after_steps(self.start, partial(adamw, learning_rate=best), strictly=True)
            return best

        found: float = self.journal.answer(f"{what}, {self.goal.name}", work, float)
        return found

    def check(self) -> None:
        """Find the rate, or try a few steps by the given optimiser, before anything long is done.

        Raises:
            RunError: Their loss is not finite.
        """
        if self.rate is None:
            self.tuner.after_steps(self.start, self._optimizer, strictly=True)

    def tried(self, frontier: Frontier, costs: Meter, reads: Reads) -> Frontier:
        """Score the best of a search, and neighbours, after a few steps of fine-tuning, which tells more."""
        turns, optimizer = count(1), self._optimizer

        def scores(architectures: Sequence[Architecture]) -> list[list[float]]:
            work = [partial(self.tuner.after_steps, one, optimizer) for one in architectures]
            return [self.journal.numbers(f"steps {next(turns)}, {self.goal.name}", one) for one in work]

        evaluations = math.ceil(self.evaluations / REFINED)
        with progress_bar(f"refine, {self.goal.name}", evaluations, show=self.tuner.progress) as bar:
            return refined(
                self.tuner.supernet.space,
                self.goal,
                frontier,
                self.start,
                costs=costs,
                score=scores,
                evaluations=evaluations,
                seed=self.tuner.seed,
                reads=reads,
                tick=bar.update,
            )

    def chosen(self, tried: Frontier, meter: CostMeter) -> list[Architecture]:
        """Return the finalists: the best that are still within the goal when latencies are measured again."""

        def work() -> list[dict[str, Any]]:
            ranked, hold = tried.different(self.goal, 2 * self.finalists), []
            for one in (scored.architecture for scored in ranked):
                # One over the budget of another goal is not measured again, but may be within its own.
                if meter.confirm(one) or self.goal.excess(meter.of(one).values) == 0.0:
                    hold.append(one)
            return [dict(one) for one in (hold or [ranked[0].architecture])[: self.finalists]]

        return [
            Architecture(one) for one in self.journal.answer(f"finalists, {self.goal.name}", work, MAPPINGS)
        ]

    def child(self, finalists: Sequence[Architecture]) -> tuple[Architecture, nn.Module]:
        """Fine-tune finalists for a while, and the best of them to the end; return the best."""
        epochs = max(1, self.epochs // SHORTER)

        def worth(number: int) -> tuple[float, float]:
            title = f"finalist, {self.goal.name}"
            reached, loss = self.tuner.after_epochs(finalists[number], self._optimizer, epochs, title)
            return self.sign * reached, loss  # the loss breaks ties

        best = finalists[0]
        if len(finalists) > 1:
            worths = [
                self.journal.numbers(f"finalist {k}, {self.goal.name}", partial(worth, k))
                for k in range(len(finalists))
            ]
            best = finalists[worths.index(min(worths))]
        done, path = f"child, {self.goal.name}", None
        if self.folder is not None:
            path = self.folder / self.goal.name / CHILD
            if path.exists() and self.journal.knows(done):
                child = give_averages(self.tuner.cut(best)).eval()
                load_into(child, load_child_weights(path)[1], path)
                return best, child
            with writes_into(path.parent):
                path.parent.mkdir(exist_ok=True)
                sync_folder(self.folder)
        child = self.tuner.tuned(best, self._optimizer, self.epochs, self.goal.name)
        if path is not None:
            save_child(path, child, best)
        self.journal.answer(done, lambda: True, bool)
        return best, child

    @property
    def _optimizer(self) -> MakeOptimizer:
        return self.optimizer or partial(adamw, learning_rate=self.rate or USUAL_RATE)
