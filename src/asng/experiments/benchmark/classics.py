"""Random search, a (1+1)-EA and regularized evolution, each in its usual form.

A mutated variable takes one of its other values, each equally likely.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np

from asng.experiments.benchmark.problems import Active, Point
from asng.space import Categorical, Space

__all__ = ["OnePlusOne", "Random", "RegularizedEvolution"]


class _Values:
    """Sample uniform points, and mutate points."""

    def __init__(self, space: Space, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        # Variables are categoricals or integers here; see `Problem`.
        self.low = [0 if isinstance(v, Categorical) else int(v.low) for v in space.values()]
        self.sizes = [int(v.size) for v in space.values()]

    def uniform(self) -> Point:
        return tuple(low + int(self.rng.integers(n)) for low, n in zip(self.low, self.sizes, strict=True))

    def mutated(self, point: Point, places: Sequence[int]) -> Point:
        values = list(point)
        for at in places:
            step = 1 + int(self.rng.integers(self.sizes[at] - 1))
            values[at] = self.low[at] + (values[at] - self.low[at] + step) % self.sizes[at]
        return tuple(values)


class Random:
    """Uniform random search."""

    def __init__(self, space: Space, seed: int) -> None:
        self._values = _Values(space, seed)

    def ask(self) -> list[Point]:
        """Return a uniform point."""
        return [self._values.uniform()]

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Learn nothing."""


class OnePlusOne:
    """The (1+1)-EA with mutation rate 1/D; a mutation that changes nothing is redrawn.

    References:
        Droste, Jansen, Wegener, "On the analysis of the (1+1) evolutionary algorithm", TCS 276, 2002.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._values = _Values(space, seed)
        self._best: tuple[float, Point] = (float("inf"), ())

    def ask(self) -> list[Point]:
        """Return a mutation of the parent; the first point is uniform."""
        parent = self._best[1]
        if not parent:
            return [self._values.uniform()]
        places = np.flatnonzero(self._values.rng.random(len(parent)) * len(parent) < 1.0)
        while not len(places):
            places = np.flatnonzero(self._values.rng.random(len(parent)) * len(parent) < 1.0)
        return [self._values.mutated(parent, places.tolist())]

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Replace the parent by the child if the child is no worse."""
        if losses[0] <= self._best[0]:
            self._best = losses[0], points[0]


class RegularizedEvolution:
    """Regularized evolution: mutate one variable of the best of a few drawn points; drop the oldest point.

    Args:
        space: The search space.
        seed: Seed of the generator.
        population: Length of the queue of points.
        drawn: Number of points that compete to be the parent.

    References:
        Real et al., "Regularized evolution for image classifier architecture search", AAAI 2019, Algorithm 1.
    """

    def __init__(self, space: Space, seed: int, *, population: int = 100, drawn: int = 25) -> None:
        self._values, self._drawn = _Values(space, seed), drawn
        self._queue: deque[tuple[float, Point]] = deque(maxlen=population)

    def ask(self) -> list[Point]:
        """Return a mutated parent, or a uniform point until the queue is full."""
        if len(self._queue) < (self._queue.maxlen or 0):
            return [self._values.uniform()]
        rng = self._values.rng
        drawn = rng.choice(len(self._queue), self._drawn, replace=True).tolist()
        parent = min((self._queue[i] for i in drawn), key=lambda one: one[0])[1]
        return [self._values.mutated(parent, [int(rng.integers(len(parent)))])]

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Put the child at the end of the queue."""
        self._queue.append((losses[0], points[0]))
