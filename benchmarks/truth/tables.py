"""The truth: the score of every network of a space when it is trained alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

import asng
from asng.report import worth
from asng.training import accuracy, score, train
from benchmarks.truth.problems import Problem, key_of, supernet_of

__all__ = ["Table", "batches", "train_alone"]

RESULTS = Path(__file__).parents[1] / "results"


def batches(
    data: TensorDataset,
    size: int,
    *,
    steps: int | None = None,
    whole: bool = False,
    order: Sequence[Sequence[int]] | None = None,
) -> DataLoader:
    """Return a loader that cuts batches out of tensors: shuffled, or `whole` passes in order.

    Args:
        data: Inputs and labels.
        size: Items in a batch.
        steps: Batches in a pass, over the data as often as needed. Default: once, without the last partial
            batch.
        whole: In order, with the last partial batch.
        order: The items of every batch; replaces all other arguments.
    """
    items = range(len(data)) if whole else RandomSampler(data, num_samples=steps and steps * size)
    return DataLoader(data, batch_size=None, sampler=order or BatchSampler(items, size, drop_last=not whole))


def train_alone(problem: Problem, architecture: asng.Architecture, seed: int) -> float:
    """Train one network on all training data and return its accuracy on the test data."""
    inputs, labels, test_inputs, test_labels = problem.data()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        child = supernet_of(problem).extract(architecture, example=inputs[:2])
        train(
            child,
            batches(TensorDataset(inputs, labels), problem.batch),
            loss=asng.supervised(cross_entropy),
            epochs=problem.steps // (len(inputs) // problem.batch),
            optimizer=problem.optimizer,
        )
        test = batches(TensorDataset(test_inputs, test_labels), 250, whole=True)
        return score(child, test, accuracy)


@dataclass(frozen=True)
class Table:
    """The committed scores of a space.

    Attributes:
        scores: Key of a network to its accuracies, one for each training seed.
    """

    scores: dict[str, tuple[float, ...]]

    @classmethod
    def read(cls, name: str) -> "Table":
        """Read `results/truth_<name>.json`."""
        return cls(json.loads((RESULTS / f"truth_{name}.json").read_text())["scores"])

    @classmethod
    def of(cls, problem: Problem) -> "Table":
        """Return the table of the networks that are within the budget of a problem."""
        scores = problem.public() if problem.public else cls.read(problem.table).scores
        return cls({key: values for key, values in scores.items() if problem.within(key)})

    def __getitem__(self, architecture: asng.Architecture) -> float:
        """Return the mean accuracy over the training seeds."""
        return self.means[key_of(architecture)]

    @cached_property
    def means(self) -> dict[str, float]:
        return {key: float(np.mean(values)) for key, values in self.scores.items()}

    @property
    def best(self) -> float:
        return max(self.means.values())

    @property
    def median(self) -> float:
        return float(np.median(list(self.means.values())))

    def closed(self, value: float) -> float:
        """Return how much of the distance from the median network to the best one a score closes."""
        return (value - self.median) / (self.best - self.median)

    def rank(self, value: float) -> float:
        """Return the rank of a network's score, 1 for the best; equal scores share the mean rank."""
        below, upto = (
            np.searchsorted(self._sorted, round(value, 9), side=side) for side in ("left", "right")
        )
        return float(len(self._sorted) - (below + upto - 1) / 2)

    @cached_property
    def _sorted(self) -> np.ndarray:
        return np.sort(
            np.round(list(self.means.values()), 9)
        )  # sums of the same scores may differ in a digit

    def worth(self, rank: float) -> float:
        """Return the number m of random networks of which the best has this rank on average.

        Of m among n networks, it is (n + 1) / (m + 1).
        """
        return worth(rank, len(self.scores))

    def noise(self) -> dict[str, float]:
        """Return the spread between networks, and the spread of one network between training seeds."""
        table = np.array(list(self.scores.values()))
        seeds = table.shape[1]
        between = np.std(table.mean(axis=1), ddof=1)
        mean_of = np.sqrt(np.mean(np.var(table, axis=1, ddof=1)) / seeds)
        pairs = np.corrcoef(table.T)[np.triu_indices(seeds, 1)]
        return {
            "sd_between_networks": round(float(between), 4),
            "sd_of_noise_of_mean": round(float(mean_of), 4),
            "correlation_of_seeds": round(float(np.mean(pairs)), 3),
        }
