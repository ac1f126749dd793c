"""The truth problems: a space, its data, the budget of a network, and where the truth is looked up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import asng
from asng.costs import multiply_adds
from asng.space import Categorical, Integer, Real
from benchmarks.truth.public import (
    Macro,
    NasBench201,
    cifar_data,
    macro_flops,
    macro_scores,
    macro_sizes,
    nas_bench_201_scores,
)
from benchmarks.truth.spaces import Cell, Layers, fashion_data, leaf_data, vowel_data
from benchmarks.truth.widths import Filters, Widths

__all__ = [
    "OWN",
    "PROBLEMS",
    "TRAINING_PASS",
    "Problem",
    "all_architectures",
    "key_of",
    "sizes_of",
    "supernet_of",
    "values_of",
]

TRAINING_PASS = 3
"""Cost of a training pass over a batch, if a forward pass costs 1."""

Scores = dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Problem:
    """A space, its data, and how its networks are trained alone.

    Attributes:
        model: Makes the model to search, with weights drawn from torch's generator.
        data: Returns training inputs and labels, test inputs and labels.
        batch: Items in a training batch, here and in the searches.
        steps: Steps of training a network alone, the unit of the cost of searches. If the truth was measured
            in this repository, whole passes over the training data.
        lr: First learning rate, here and in the searches; it falls along a cosine.
        table: Name of the truth: that of the problem, or of another with the same space.
        public: Returns a truth that others published. None: `results/truth_<table>.json`.
        limit: The greatest size of a network, by `measure`. None: any size.
        measure: The measure of the budget.
        sizes: Returns the size of each network by its key. None: they are counted.
    """

    name: str
    model: Callable[[], nn.Module]
    data: Callable[[], tuple[Tensor, Tensor, Tensor, Tensor]]
    batch: int
    steps: int
    lr: float
    table: str
    public: Callable[[], Scores] | None = None
    limit: float | None = None
    measure: str | Callable[[nn.Module, Any], float] = "multiply_adds"
    sizes: Callable[[], dict[str, float]] | None = None

    def optimizer(self, parameters):
        return torch.optim.SGD(parameters, lr=self.lr, momentum=0.9, weight_decay=3e-4)

    def budget(self, trainings: float) -> float:
        """Return the cost of a number of trainings, in forward passes over a training batch."""
        return float(TRAINING_PASS * self.steps * trainings)

    @property
    def cost(self) -> tuple[asng.Budget, ...]:
        """The argument `cost` of `OneShotSearch`."""
        return () if self.limit is None else (asng.Budget(self.measure, limit=self.limit),)

    def within(self, network: asng.Architecture | str) -> bool:
        """Return whether a network, or the one of a key, is within the budget."""
        if self.limit is None:
            return True
        key = network if isinstance(network, str) else key_of(network)
        return sizes_of(self)[key] <= self.limit


def supernet_of(problem: Problem) -> asng.nn.Supernet:
    return asng.nn.Supernet(problem.model()).to(memory_format=torch.channels_last)


def key_of(architecture: asng.Architecture) -> str:
    return " ".join(str(value) for value in architecture.values())


def all_architectures(space: asng.Space) -> list[asng.Architecture]:
    """Return every architecture, the last variable changing fastest; integers count upwards."""
    every = product(*(values_of(variable) for variable in space.values()))
    return [asng.Architecture(dict(zip(space, values, strict=True))) for values in every]


def values_of(variable: Categorical | Integer | Real) -> Sequence[Any]:
    """Return all values of a variable, in order."""
    if isinstance(variable, Real):
        raise TypeError(f"variable: expected choices or integers, which can be counted, got {variable!r}.")
    if isinstance(variable, Integer):
        return range(variable.low, variable.high + 1, variable.step)
    return variable.choices


# --- sizes ----------------------------------------------------------------------------------------------


class _At(nn.Module):
    """A supernet as one of its networks: counting it so is faster than extracting it."""

    def __init__(self, supernet: asng.nn.Supernet, network: asng.Architecture) -> None:
        super().__init__()
        self.supernet, self.network = supernet, network

    def forward(self, x: Tensor) -> Tensor:
        return self.supernet(x, architecture=self.network)


@cache
def sizes_of(problem: Problem) -> dict[str, float]:
    """Return the size of every network by its key: from the problem, or as multiply-adds for one item.

    If all variables are choices, sizes are sums over the choices, since all candidates of a choice have
    outputs of one shape; so a few networks are counted. With integers, all are counted.
    """
    if problem.sizes is not None:
        return problem.sizes()
    supernet, example = supernet_of(problem), problem.data()[0][:1]

    def size(network: asng.Architecture) -> float:
        return multiply_adds(_At(supernet, network), (example,))

    space = supernet.space
    networks = all_architectures(space)
    if not all(isinstance(variable, Categorical) for variable in space.values()):
        return {key_of(network): size(network) for network in networks}
    first = networks[0]
    base = size(first)
    more = {
        (name, value): size(asng.Architecture({**first, name: value})) - base
        for name, variable in space.items()
        for value in values_of(variable)
    }
    return {key_of(network): base + sum(more[item] for item in network.items()) for network in networks}


# --- the problems ---------------------------------------------------------------------------------------


def _macro(name: str, limit: float | None = None) -> Problem:
    return Problem(
        name,
        Macro,
        cifar_data,
        batch=64,
        steps=300,
        lr=0.05,
        table="macro",
        public=macro_scores,
        limit=limit,
        measure=macro_flops,
        sizes=macro_sizes,
    )


def _widths(name: str, limit: float | None = None) -> Problem:
    return Problem(name, Widths, fashion_data, batch=100, steps=100, lr=0.1, table="widths", limit=limit)


FASHION = Problem("fashion", Cell, fashion_data, batch=100, steps=100, lr=0.1, table="fashion")
OSULEAF = Problem("osuleaf", Layers, leaf_data, batch=20, steps=200, lr=0.05, table="osuleaf")

LONGER = 5
"""How many times as long networks are trained where the name of a problem ends in "_long"."""


def _long(problem: Problem) -> Problem:
    """Return the problem with trainings, and so a truth, that are near convergence."""
    name = f"{problem.name}_long"
    return replace(problem, name=name, steps=LONGER * problem.steps, table=name)


PROBLEMS = {
    problem.name: problem
    for problem in (
        FASHION,
        OSULEAF,
        Problem(
            "nb201",
            NasBench201,
            cifar_data,
            batch=64,
            steps=400,
            lr=0.05,
            table="nb201",
            public=nas_bench_201_scores,
        ),
        _macro("macro"),
        _macro("macro60", limit=60e6),
        _macro("macro40", limit=40e6),
        _widths("widths", limit=144_000),  # four of ten networks are within it
        _widths("widths_free"),
        Problem("vowels", Filters, vowel_data, batch=20, steps=130, lr=0.05, table="vowels", limit=60_000),
        *map(_long, (FASHION, OSULEAF)),
    )
}

OWN = {problem.table: problem for problem in PROBLEMS.values() if problem.public is None}
"""The tables whose networks are trained here, each with a problem that has it."""
