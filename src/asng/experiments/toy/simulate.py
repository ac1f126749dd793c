"""Simulate many runs of the toy problem at once: alternate steps of x and theta, and record events."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from asng.distributions import Categoricals, Floats, Ints
from asng.experiments.toy.methods import METHODS, Bools
from asng.experiments.toy.problem import (
    Draw,
    Streams,
    add_gradient,
    excess,
    losses,
    positions,
    prices,
    sample,
    stop_level,
)
from asng.runs.stored import Number, Stored
from asng.settings import GridPoint, ToySettings

__all__ = ["ToyCell", "simulate"]


_Iteration = Annotated[int, msgspec.Meta(ge=1)]


class ToyCell(Stored, frozen=True):
    """The results of the runs at one point of the grid, with one entry per seed.

    Iterations count from 1; None means never.

    Attributes:
        method: Name of the method.
        exponent: f in the initial step size n^-f.
        learning_rate: Initial learning rate of x.
        stopped: First iteration with a sample whose excess is at most 1/K: here the paper stops.
        right_when_stopped: Number of variables whose first choice was then the only likeliest one.
        found: First iteration after which the mode of theta is the optimum, the first choice everywhere.
        settled: First iteration from which on the mode is the optimum up to the end.
        right_at_end: Number of variables whose first choice is the only likeliest one at the end.
        delta_init: The initial step size.
        seeds: Seeds of the runs.
    """

    method: str
    exponent: float
    learning_rate: float
    stopped: tuple[_Iteration | None, ...]
    right_when_stopped: tuple[int | None, ...]
    found: tuple[_Iteration | None, ...]
    settled: tuple[_Iteration | None, ...]
    right_at_end: tuple[int, ...]
    delta_init: Number = math.nan
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.exponent + self.learning_rate):
            raise ValueError("expected an exponent and a learning_rate, got one that is not finite")
        columns = self.stopped, self.right_when_stopped, self.found, self.settled, self.right_at_end
        lengths = {len(column) for column in columns}
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError(f"expected one entry per seed in every column, got columns of lengths {lengths}")

    @property
    def point(self) -> GridPoint:
        """The point of the grid."""
        return GridPoint(self.method, self.exponent, self.learning_rate)


def simulate(settings: ToySettings, cells: Sequence[GridPoint], seeds: Sequence[int]) -> list[ToyCell]:
    """Run cells of one method, each with every seed, for all iterations.

    No run ends before the last iteration, because the mode after the stop is part of the result.

    Args:
        settings: The problem, the iterations and the momentum.
        cells: One cell or more, all of one method.
        seeds: One seed or more, each >= 0.

    Returns:
        One result per cell, in order. It does not depend, to the last bit, on the other cells.
    """
    one_a_run = np.repeat(np.arange(len(cells)), len(seeds))
    # NumPy sums a single column in another order than several columns, so a single run is done twice.
    of_run = np.resize(one_a_run, max(2, len(one_a_run)))
    column = np.resize(np.arange(len(seeds)), len(of_run))
    runs = _Runs(
        settings, [cells[index] for index in of_run.tolist()], Streams(seeds, *_sizes(settings)), column
    )
    with np.errstate(over="ignore", invalid="ignore"):  # if x diverges, its losses rank worst
        for t, draw in enumerate(runs.streams.draws(settings.iterations), start=1):
            runs.step(t, draw)
    n = len(seeds)
    return [
        ToyCell(
            *cell,
            **runs.watch.columns(range(k * n, (k + 1) * n)),
            delta_init=settings.delta_init(cell.exponent),
            seeds=tuple(seeds),
        )
        for k, cell in enumerate(cells)
    ]


def _sizes(settings: ToySettings) -> tuple[int, int]:
    return settings.variables, settings.choices


class _Runs:
    """The state of all runs: x and its velocity, theta, and the recorded events."""

    def __init__(
        self, settings: ToySettings, cells: Sequence[GridPoint], streams: Streams, column: Ints
    ) -> None:
        self.settings, self.streams, self._column = settings, streams, column
        variables, choices = _sizes(settings)
        self.x = np.take(streams.first_weights(), column, axis=-1)
        self.velocity = np.zeros_like(self.x)
        self.rate = np.array([cell.learning_rate for cell in cells])
        delta_init = np.array([settings.delta_init(cell.exponent) for cell in cells])
        theta_min = float(Categoricals([choices] * variables, rules="paper").theta_min[0])
        self.method = METHODS[cells[0].method]((choices, variables), delta_init, theta_min)
        self.watch = _Watch(settings, len(cells))

    def step(self, t: int, draw: Draw) -> None:
        """Do iteration t: two architectures train x, then two others from the same theta are compared."""
        u, z = (np.take(numbers, self._column, axis=-1) for numbers in draw)
        c = sample(self.method.theta, u)
        at, price, x = positions(c), prices(c, self.settings.choices), self.x.reshape(-1)
        chosen = x[at[:2]]
        least = excess(chosen, price[:2]).min(axis=0)
        self.velocity *= self.settings.momentum
        add_gradient(self.velocity, at[:2], chosen, z[0])
        cosine = 0.5 * (1.0 + math.cos(math.pi * t / self.settings.iterations))
        self.x -= (cosine * self.rate) * self.velocity
        chosen = x[at[2:]]
        least = np.minimum(least, excess(chosen, price[2:]).min(axis=0))
        self.method.tell(c[2:], at[2:], losses(chosen, price[2:], z[1]))
        self.watch.see(t, least, self.method.theta)


class _Watch:
    """Record the iterations at which events happen; 0 stands for never."""

    def __init__(self, settings: ToySettings, runs: int) -> None:
        self._level, self._variables, self._t = stop_level(settings.choices), settings.variables, 0
        self.stopped, self.right_when_stopped, self.found, self.lost, self.right = np.zeros((5, runs), int)

    def see(self, t: int, least: Floats, theta: Floats) -> None:
        """Record events from the samples' smallest excess, shape (runs,), and theta after iteration t."""
        self._t = t
        # Strictly likelier: at the uniform start, where all are equal, no variable is right.
        self.right = (theta[0] > theta[1:].max(axis=0)).sum(axis=0, dtype=np.intp)
        optimal = self.right == self._variables
        stops = (least <= self._level) & (self.stopped == 0)
        if stops.any():
            self.stopped[stops] = t
            self.right_when_stopped[stops] = self.right[stops]
        self.found[optimal & (self.found == 0)] = t
        self.lost[~optimal] = t

    def columns(self, runs: range) -> dict[str, Any]:
        """Return the records of some runs, as fields of a `ToyCell`."""
        one = slice(runs.start, runs.stop)
        stopped = self.stopped[one]
        return {
            "stopped": _numbers(stopped, stopped > 0),
            "right_when_stopped": _numbers(self.right_when_stopped[one], stopped > 0),
            "found": _numbers(self.found[one], self.found[one] > 0),
            "settled": _numbers(self.lost[one] + 1, self.lost[one] < self._t),
            "right_at_end": tuple(self.right[one].tolist()),
        }


def _numbers(values: Ints, known: Bools) -> tuple[int | None, ...]:
    return tuple(int(value) if yes else None for value, yes in zip(values, known, strict=True))
