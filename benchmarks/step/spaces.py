"""The spaces on which a step is measured: a supernet, data in a user's form, and the settings."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from asng import OneShotSearch
from asng.nn import Supernet
from asng.space import Candidate, Space
from asng.supernets import ConvAutoencoder, EnasCellNetwork, TabularMLP, TransformerEncoder
from asng.training import Loss, supervised

__all__ = ["SPACES", "Drawn", "Setting", "images"]

Drawn: TypeAlias = Sequence[Sequence[Candidate]]
"""The candidates of the steps of a turn: those to train and those to score, alternately."""

BATCHES = 8
"""Batches in each half of the data."""


@dataclass(frozen=True)
class Setting:
    """A space, its data, and how it is searched.

    Args:
        build: Makes the model.
        items: Makes a number of random items: the inputs, then the target.
        batch: Items in a batch.
        loss: Function of outputs and target.
        steps: Steps in a turn.
        settings: Arguments of `OneShotSearch`.
        epochs: Passes over the data, for the schedule: so many that none ends.
    """

    build: Callable[[], nn.Module]
    items: Callable[[int], Sequence[Tensor]]
    batch: int
    loss: Callable[[Any, Any], Tensor]
    steps: int
    settings: Mapping[str, Any]
    epochs: int = 100_000

    @property
    def objective(self) -> Loss:
        """The loss of training, which is also the objective."""
        return supervised(self.loss)

    @property
    def lams(self) -> tuple[int, int]:
        """How many architectures a step trains, and how many it scores."""
        return self.settings["lam_x"], self.settings["lam_theta"]

    def supernet(self) -> Supernet:
        """Return the supernet in the layout of the tasks, the same weights every time."""
        torch.manual_seed(0)
        return Supernet(self.build()).to(memory_format=torch.channels_last)

    def search(self, supernet: Supernet) -> OneShotSearch:
        """Return a search whose theta moves from the first step on."""
        return OneShotSearch(supernet, self.objective, seed=0, warmup=0.0, final=0.0, **self.settings)

    def draw(self, space: Space, generator: random.Random) -> Drawn:
        """Return the candidates of the steps of a turn, drawn uniformly."""
        return [
            [space.candidate(space.encode(space.sample(generator))) for _ in range(lam)]
            for _ in range(self.steps)
            for lam in self.lams
        ]

    def loader(self, seed: int) -> DataLoader[Any]:
        """Return a loader over one half of the data."""
        torch.manual_seed(seed)
        data = TensorDataset(*self.items(BATCHES * self.batch))
        return DataLoader(data, batch_size=self.batch, shuffle=True, drop_last=True)


def images(count: int, side: int) -> tuple[Tensor, Tensor]:
    """Return `count` random images, (count, 3, side, side), and labels."""
    return torch.randn(count, 3, side, side), torch.randint(10, (count,))


def _masked(count: int) -> tuple[Tensor, Tensor]:
    images = torch.rand(count, 3, 32, 32)
    return images * (torch.rand(count, 1, 32, 32) > 0.5), images


def _sequences(count: int) -> tuple[Tensor, Tensor]:
    return torch.randn(count, 29, 12), torch.randint(9, (count,))


def _rows(count: int) -> tuple[Tensor, Tensor]:
    return torch.randn(count, 10), torch.randn(count, 1)


PAPER = {
    "lam_x": 2,
    "lam_theta": 2,
    "optimizer": partial(torch.optim.SGD, lr=0.025, momentum=0.9, weight_decay=3e-4),
}
PLAIN = {"lam_x": 1, "lam_theta": 2, "optimizer": partial(torch.optim.SGD, lr=0.025, momentum=0.9)}
"""With the defaults of `OneShotSearch`: one architecture trained, two scored."""

SPACES: Mapping[str, Setting] = {
    "cells": Setting(
        partial(EnasCellNetwork, in_channels=3, classes=10, image_size=32),
        partial(images, side=32),
        batch=64,
        loss=cross_entropy,
        steps=1,
        settings=PAPER,
    ),
    "autoencoder": Setting(
        partial(ConvAutoencoder, in_channels=3, image_size=32),
        _masked,
        batch=16,
        loss=mse_loss,
        steps=1,
        settings=PAPER,
    ),
    "transformer": Setting(
        partial(TransformerEncoder, features=12, outputs=9, dropout=0.0),
        _sequences,
        batch=32,
        loss=cross_entropy,
        steps=16,
        settings=PLAIN,
    ),
    "mlp": Setting(
        partial(TabularMLP, features=10, outputs=1),
        _rows,
        batch=64,
        loss=mse_loss,
        steps=64,
        settings=PLAIN,
    ),
}
