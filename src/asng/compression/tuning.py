"""Fine-tune children cut out of the shared weights: for a few steps, for a while, or to the end."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from asng.compression.calls import check_loss
from asng.errors import RunError
from asng.nn import Inputs, Supernet
from asng.search.trainer import Trainer
from asng.space import Architecture
from asng.training import recalibrate, score, train
from asng.training.data.nested import CountItems
from asng.training.data.random_state import staged
from asng.training.faults import FiniteWatch
from asng.training.objective import Loss, Objective
from asng.training.optimizers import MakeOptimizer, MakeScheduler
from asng.training.progress import progress_bar

__all__ = ["Tuner", "train_shared"]

STEPS = 8
"""Steps of the short fine-tuning that predicts a longer one; see docs/compression.md, "Measured"."""
BRIEFLY = 4
"""So many batches of those steps recompute the averages of batch norms afterwards."""
RECALIBRATED = 50
"""Largest number of batches that recompute the averages of batch norms after a fine-tuning."""


def train_shared(
    trainer: Trainer,
    draw: Callable[[], list[Architecture]],
    steps: int,
    *,
    model: nn.Module,
    loss: Loss,
    progress: bool,
) -> None:
    """Train shared weights on networks in turn, one for each step. A step without a finite loss is skipped.

    Args:
        trainer: Trains them, and has begun.
        draw: Returns the next networks.
        steps: Number of steps.
        model: The trained model.
        loss: Its training loss.
        progress: Show a progress bar.

    Raises:
        InputError: The model itself has no finite loss on a batch, which would also end a fine-tuning.
        RunError: Most steps were skipped, so the weights are lost.
    """
    watch, skipped, pool = FiniteWatch(), 0, list[Architecture]()
    with progress_bar("shared weights", steps, show=progress) as bar:
        for step in range(steps):
            pool = pool or draw()
            value = trainer.step([pool.pop()])
            if not math.isfinite(value):
                skipped += 1
                check_loss(model, loss, trainer.last_batch, which="a batch")
            watch.trained(value, step, trainer.explain)
            bar.update(step + 1, loss=value)
    if 2 * skipped > steps:
        raise RunError(
            f"loss: expected a finite training loss of the shared weights, got none in {skipped} of {steps} "
            f"steps. {trainer.explain()} Lower the learning rate, or look for a NaN in the data."
        )


@dataclass(frozen=True)
class Tuner:
    """Makes children and fine-tunes them, all from the same weights and on the same batches.

    After training, the averages of batch norms are recomputed for the final weights. In a few steps, running
    averages do not catch up, and they begin as those of a wider network.

    Attributes:
        supernet: Holds the shared weights, which are not changed.
        calls: Inputs to extract a child on.
        train: Training data.
        valid: Validation data.
        batches: Number of validation batches that a child is scored on after a few steps.
        loss: Training loss of children.
        objective: What they are scored by.
        scheduler, clip: As in `asng.training.train`.
        items: Returns the number of items in a batch.
        seed: Seed of the order of the data, and of dropout.
        progress: Show progress bars.
    """

    supernet: Supernet
    calls: Sequence[Inputs]
    train: DataLoader[Any]
    valid: DataLoader[Any]
    batches: int
    loss: Loss
    objective: Objective
    scheduler: MakeScheduler | None
    clip: float | None
    items: CountItems | None
    seed: int
    progress: bool

    def cut(self, architecture: Architecture) -> nn.Module:
        """Return a child with the shared weights."""
        return self.supernet.extract(architecture, example=self.calls)

    def untuned(self, architecture: Architecture) -> nn.Module:
        """Return a child with the shared weights, and its own averages of batch norms."""
        with staged(self.seed, "averages", self.train, self.valid):
            return self._recalibrated(self.cut(architecture), self.train)

    def after_steps(
        self, architecture: Architecture, optimizer: MakeOptimizer, *, strictly: bool = False
    ) -> tuple[float, float]:
        """Return the loss and the score of a child after a few steps, on some validation batches.

        Both are infinite if the training loss is ever not finite; if `strictly`, that is an error.
        """
        few, some = self._few
        with staged(self.seed, "steps", self.train, self.valid):
            child, loss, clip = self.cut(architecture), self.loss, self.clip
            try:
                train(child, few, loss=loss, epochs=1, optimizer=optimizer, scheduler=None, clip=clip)
            except RunError as error:
                if strictly or not str(error).startswith("loss:"):
                    raise
                return math.inf, math.inf
            self._recalibrated(child, few[:BRIEFLY])
        return self._score(child, some, loss), self._score(child, some, self.objective)

    def after_epochs(
        self, architecture: Architecture, optimizer: MakeOptimizer, epochs: int, title: str
    ) -> tuple[float, float]:
        """Return the score and the loss of a child after so many epochs, on all validation data."""
        child = self.tuned(architecture, optimizer, epochs, title)
        return self._score(child, self.valid, self.objective), self._score(child, self.valid, self.loss)

    def tuned(
        self, architecture: Architecture, optimizer: MakeOptimizer, epochs: int, title: str
    ) -> nn.Module:
        """Return a child after so many epochs."""
        with staged(self.seed, "fine-tuning", self.train, self.valid):
            child = train(
                self.cut(architecture),
                self.train,
                loss=self.loss,
                epochs=epochs,
                optimizer=optimizer,
                scheduler=self.scheduler,
                clip=self.clip,
                title=title,
                progress=self.progress,
            )
            return self._recalibrated(child, self.train)

    def _recalibrated(self, child: nn.Module, loader: Any) -> nn.Module:
        return recalibrate(child, loader, loss=self.loss, batches=RECALIBRATED, items=self.items)

    def _score(self, child: nn.Module, loader: Any, objective: Objective) -> float:
        with staged(self.seed, "scores", loader):
            return score(child, loader, objective, items=self.items)

    @cached_property
    def _few(self) -> tuple[Any, Any]:
        """The training batches of the few steps, and the validation batches to score on after them."""
        with staged(self.seed, "steps", self.train, self.valid):
            return list(islice(self.train, STEPS)), list(islice(self.valid, self.batches))
