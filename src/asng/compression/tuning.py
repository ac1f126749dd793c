"""Fine-tuning of what is cut out of the shared weights: for a few steps, for a while, to the end."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader

from asng.errors import RunError
from asng.nn import Inputs, Supernet
from asng.space import Architecture
from asng.training import recalibrate, score, train
from asng.training.data.nested import CountItems
from asng.training.data.random_state import (
    generator_states,
    restore_generators,
    seeded,
    undisturbed,
)
from asng.training.objective import Loss, Objective
from asng.training.optimizers import MakeOptimizer, MakeScheduler

__all__ = ["Tuner"]

STEPS = 8
"""Of a fine-tuning that tells what a longer one would bring; see docs/compression.md, "Measured"."""
RECALIBRATED = 50
"""Batches that give batch norms their averages after a fine-tuning, at most."""


@dataclass(frozen=True)
class Tuner:
    """Makes children and fine-tunes them, all by the same batches from the same weights.

    Generators of the loader begin where they are now, whatever is drawn from it in between: so a run that is
    resumed, which leaves some of this out, trains on the same batches. After a training batch norms are
    given the averages of the weights as they are: in a few steps moving ones do not come along, and the
    first are those of a wider network.

    Attributes:
        supernet: Holds the shared weights, which stay as they are.
        calls: What a child is cut out on.
        train: Training data.
        valid: Validation data.
        batches: Of these, so many tell after a few steps.
        loss: What children learn by.
        objective: What they are scored by.
        scheduler, clip: As of `asng.training.train`.
        items: Says how many items a batch has.
        seed: Of the order of the data, and of dropout.
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
    _states: dict[str, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_states", generator_states(self.train))

    def cut(self, architecture: Architecture) -> nn.Module:
        """Return a child with the shared weights."""
        return self.supernet.extract(architecture, example=self.calls)

    def untuned(self, architecture: Architecture) -> nn.Module:
        """Return a child with the shared weights, and averages of batch norms of its own."""
        with self._anew():
            return self._recalibrated(self.cut(architecture), self.train)

    def after_steps(self, architecture: Architecture, optimizer: MakeOptimizer) -> tuple[float, float]:
        """Return the loss of a child and its score, on some validation batches, after a few steps.

        Both are infinite if the loss is not finite on the way.
        """
        few, some = self._few
        with self._anew():
            child, loss, clip = self.cut(architecture), self.loss, self.clip
            try:
                train(child, few, loss=loss, epochs=1, optimizer=optimizer, scheduler=None, clip=clip)
            except RunError as error:
                if not str(error).startswith("loss:"):
                    raise
                return math.inf, math.inf
            self._recalibrated(child, few)
            scores = [score(child, some, one, items=self.items) for one in (loss, self.objective)]
            return scores[0], scores[1]

    def after_epochs(
        self, architecture: Architecture, optimizer: MakeOptimizer, epochs: int, title: str
    ) -> tuple[float, float]:
        """Return the score of a child and its loss, on all validation data, after so many epochs."""
        child = self.tuned(architecture, optimizer, epochs, title)
        scores = [score(child, self.valid, one, items=self.items) for one in (self.objective, self.loss)]
        return scores[0], scores[1]

    def tuned(
        self, architecture: Architecture, optimizer: MakeOptimizer, epochs: int, title: str
    ) -> nn.Module:
        """Return a child after so many epochs."""
        with self._anew():
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

    @cached_property
    def _few(self) -> tuple[Any, Any]:
        """The batches of a few steps, and those that tell after them."""
        with self._anew():
            return list(islice(self.train, STEPS)), list(islice(self.valid, self.batches))

    @contextmanager
    def _anew(self) -> Iterator[None]:
        """Begin with the global generators at the seed, and those of the loader where they were."""
        with undisturbed():
            restore_generators(self.train, self._states)
        with seeded(self.seed):
            yield
