"""Ways to compress a trained network: `asng.compress`, the same share of all widths, and from scratch.

A way yields children of a cell, one for each budget, with the cost to find them. Seconds are CPU time of one
thread, since the machine may be shared.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

import asng
from asng.costs import multiply_adds
from asng.nn import Importance, Supernet, searchable
from asng.space import Architecture
from asng.training import accuracy, adamw, cosine, distilled, recalibrate, score, train
from benchmarks.trained.cells import TRAINING, Cell, adam
from benchmarks.trained.networks import LOSS

__all__ = ["EPOCHS", "WAYS", "Child", "Way", "fine_tuned"]

EPOCHS = 6
"""Epochs of every fine-tuning."""
OPTIMIZER = partial(adamw, learning_rate=3e-3)
"""The optimiser of every fine-tuning, at the learning rate at which the networks were trained."""
RECALIBRATED = 50
"""Most batches from which batch norms get their averages: all batches here."""


@dataclass(frozen=True)
class Child:
    """The result for a budget.

    Attributes:
        network: The network after fine-tuning.
        before: Accuracy before fine-tuning, with batch norms recalibrated; None if it was trained from
            scratch.
        search_seconds: Time of all that came before the fine-tuning.
        tuning_seconds: Time of the fine-tuning.
        notes: Further facts.
    """

    budget: float
    network: nn.Module
    before: float | None
    search_seconds: float
    tuning_seconds: float
    notes: dict[str, Any]


Way = Callable[[Cell, Sequence[float]], Iterator[Child]]


def fine_tuned(cell: Cell, network: nn.Module, budget: float, search_seconds: float, **notes: Any) -> Child:
    """Fine-tune a network that was cut out of the model, like the last stage of `asng.compress` by default.

    As there, batch norms are recalibrated before and after it.
    """
    recalibrated = recalibrate(copy.deepcopy(network), cell.train, loss=LOSS, batches=RECALIBRATED)
    before = score(recalibrated, cell.test, accuracy)
    torch.manual_seed(cell.seed)
    begin = time.process_time()
    train(
        network,
        cell.train,
        loss=distilled(cell.model, LOSS, 0.5),
        epochs=EPOCHS,
        optimizer=OPTIMIZER,
        scheduler=cosine,
        clip=5.0,
    )
    recalibrate(network, cell.train, loss=LOSS, batches=RECALIBRATED)
    return Child(budget, network, before, search_seconds, time.process_time() - begin, notes)


# --- asng.compress ---------------------------------------------------------------------------------------


class _Clocked(CosineAnnealingLR):
    """The schedule of a training, which notes when it began and ended."""

    def __init__(self, optimizer: torch.optim.Optimizer, steps: int) -> None:
        self.steps, self.began, self.ended = steps, time.process_time(), 0.0
        super().__init__(optimizer, steps)

    def step(self, epoch: int | None = None) -> None:
        super().step(epoch)
        self.ended = time.process_time()


def compressed(*, train_weights: bool) -> Way:
    """Run `asng.compress` with its defaults except for epochs and learning rate; one search for all budgets.

    Its time is divided equally among them.
    """

    def way(cell: Cell, budgets: Sequence[float]) -> Iterator[Child]:
        trainings: list[_Clocked] = []

        def clocked(optimizer: torch.optim.Optimizer, steps: int) -> _Clocked:
            trainings.append(_Clocked(optimizer, steps))
            return trainings[-1]

        begin = time.process_time()
        made = asng.compress(
            cell.model,
            cell.train,
            cell.valid,
            test=cell.test,
            loss=LOSS,
            maximize=accuracy,
            budgets=list(budgets),
            train_weights=train_weights,
            epochs=EPOCHS,
            optimizer=OPTIMIZER,
            scheduler=clocked,
            seed=cell.seed,
            progress=False,
        )
        whole = [one for one in trainings if one.steps == EPOCHS * len(cell.train)]
        finals = whole[
            -len(budgets) :
        ]  # before them the shared weights, and finalists for a part of the steps
        spent = [one.ended - one.began for one in finals]
        search = (finals[-1].ended - begin - sum(spent)) / len(budgets)
        for budget, child, tuning in zip(budgets, made.children, spent, strict=True):
            notes = {"architecture": dict(child.architecture), "seconds": made.seconds}
            yield Child(budget, child.network, child.before, search, tuning, notes)

    return way


# --- one share of all widths -----------------------------------------------------------------------------


def _uniform(cell: Cell, budget: float) -> tuple[Supernet, Architecture]:
    """Return the largest network within a budget whose widths are all the same share of their range.

    Then each width in turn is increased by a step if the budget allows it. Steps are an eighth of a width, so
    that increasing all widths at once would leave up to half of the budget unused.
    """
    images, _ = next(iter(cell.train))
    order = Importance("outputs", cell.train, LOSS)
    supernet = searchable(cell.model, images[:3], order=order, depth=False)
    limit, low, high = budget * multiply_adds(cell.model, (cell.example,)), 0.0, 1.0

    def at(share: float) -> Architecture:
        return Architecture({name: v.uniform(min(share, 1 - 1e-9)) for name, v in supernet.space.items()})

    def within(architecture: Architecture) -> bool:
        child = supernet.extract(architecture, example=cell.example)
        return multiply_adds(child, (cell.example,)) <= limit

    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if within(at(middle)) else (low, middle)
    found, above = at(low), at(high)
    for name in supernet.space:
        wider = Architecture({**found, name: above[name]})
        found = wider if within(wider) else found
    return supernet, found


def uniform_width(cell: Cell, budgets: Sequence[float]) -> Iterator[Child]:
    """Yield networks with the channels that the outputs need most, the same share in every layer."""
    for budget in budgets:
        begin = time.process_time()
        supernet, architecture = _uniform(cell, budget)
        child = supernet.extract(architecture, example=cell.example)
        yield fine_tuned(cell, child, budget, time.process_time() - begin, architecture=dict(architecture))


def from_scratch(cell: Cell, budgets: Sequence[float]) -> Iterator[Child]:
    """Yield the same narrow networks with fresh weights, trained as the model was.

    They train for as long as the model's training and a fine-tuning together. All of it counts as
    fine-tuning.
    """
    for budget in budgets:
        supernet, architecture = _uniform(cell, budget)
        child = supernet.extract(architecture, example=cell.example)
        torch.manual_seed(cell.seed)
        for layer in child.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
        begin = time.process_time()
        epochs = TRAINING[cell.data] + EPOCHS
        train(child, cell.train, loss=LOSS, epochs=epochs, optimizer=adam)
        recalibrate(child, cell.train, loss=LOSS, batches=RECALIBRATED)
        yield Child(
            budget, child, None, 0.0, time.process_time() - begin, {"architecture": dict(architecture)}
        )


WAYS: dict[str, Way] = {
    "asng frozen": compressed(train_weights=False),
    "asng": compressed(train_weights=True),
    "uniform width": uniform_width,
    "small from scratch": from_scratch,
}
