"""Losses that also pull towards what an ensemble of architectures says of a batch."""

import copy
from collections import deque
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import asng
from asng.training import Forward, batch_statistics
from benchmarks.truth.run import LOSS

__all__ = ["FinalistsTaught", "SearchTaught"]

SHARE = 0.5
"""Of the ensemble in the loss."""


class SearchTaught:
    """While the weights are shared, the architectures trained last teach the one at hand.

    Args:
        supernet: Of the search.
        steps: Training steps of the search; later ones are those of finalists.
        teachers: How many; each costs a forward pass a step.
    """

    def __init__(self, supernet: asng.nn.Supernet, *, steps: int, teachers: int) -> None:
        self.supernet, self.steps = supernet, steps
        self.last: deque[asng.Architecture] = deque(maxlen=teachers)
        self.trained = self.passes = 0

    def __call__(self, forward: Forward, batch: tuple[Tensor, Tensor]) -> Tensor:
        if not torch.is_grad_enabled() or self.trained == self.steps:
            return LOSS(forward, batch)
        self.trained += 1
        teachers = list(self.last)
        self.last.append(forward.keywords["architecture"])  # type: ignore[attr-defined]
        if not teachers:
            return LOSS(forward, batch)
        self.passes += len(teachers)
        return _taught(forward, batch, _opinion(self.supernet, teachers, batch[0]))


class FinalistsTaught:
    """Finalists are taught by the architectures that were trained last with shared weights.

    What the teachers say of an item is the same at each finalist, so it is to be computed once; here it is
    computed anew, which costs time only.

    Args:
        supernet: Of the search.
        steps: Training steps of the search; later ones are those of finalists.
        teachers: How many.
    """

    def __init__(self, supernet: asng.nn.Supernet, *, steps: int, teachers: int) -> None:
        self.supernet, self.steps = supernet, steps
        self.last: deque[asng.Architecture] = deque(maxlen=teachers)
        self.trained = 0
        self.ensemble: asng.nn.Supernet | None = None

    def __call__(self, forward: Forward, batch: tuple[Tensor, Tensor]) -> Tensor:
        if not torch.is_grad_enabled():
            return LOSS(forward, batch)
        if self.trained < self.steps:
            self.trained += 1
            self.last.append(forward.keywords["architecture"])  # type: ignore[attr-defined]
            if self.trained == self.steps:  # before the last step of the weights
                self.ensemble = copy.deepcopy(self.supernet)
            return LOSS(forward, batch)
        assert self.ensemble is not None
        self.ensemble.train()
        with batch_statistics(self.ensemble):
            opinion = _opinion(self.ensemble, self.last, batch[0])
        return _taught(forward, batch, opinion)


@torch.no_grad()
def _opinion(supernet: asng.nn.Supernet, teachers: Iterable[asng.Architecture], inputs: Tensor) -> Tensor:
    """Return the mean of the teachers' probabilities, shape (items, classes)."""
    said = [torch.softmax(supernet(inputs, architecture=network), dim=1) for network in teachers]
    return torch.stack(said).mean(dim=0)


def _taught(forward: Forward, batch: tuple[Tensor, Tensor], opinion: Tensor) -> Tensor:
    inputs, labels = batch
    logits = forward(inputs)
    return (1.0 - SHARE) * cross_entropy(logits, labels) + SHARE * cross_entropy(logits, opinion)
