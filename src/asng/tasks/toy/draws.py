"""The randomness of a run: first weights, uniform numbers for the architectures, and z.

Each seed has streams of its own, and all cells of the grid read the same ones: cells are compared on the
same draws, and what a run does depends on its seed and its cell only.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from asng.distributions import Floats, Ints
from asng.tasks.toy.problem import noise_scale

__all__ = ["Draw", "Streams", "sample"]

_BLOCK = 128
"""Iterations drawn at once; of no influence on the numbers, since every kind has a generator of its own."""


class Draw(NamedTuple):
    """The random numbers of one iteration.

    Attributes:
        u: Uniform in [0, 1), for two architectures of x and two of theta, shape (4, D, seeds).
        z: Normal of deviation 1/K, for x and for theta, shape (2, D, seeds).
    """

    u: Floats
    z: Floats


class Streams:
    """Random numbers for several seeds, side by side.

    Args:
        seeds: One or more, each >= 0.
        variables: D.
        choices: K.
    """

    def __init__(self, seeds: Sequence[int], variables: int, choices: int) -> None:
        self._shape = (choices, variables)
        self._generators = [_generators(seed) for seed in seeds]

    def first_weights(self) -> Floats:
        """Return standard normal weights, as the authors' code begins with, shape (K, D, seeds)."""
        return np.stack([first.standard_normal(self._shape) for first, _, _ in self._generators], axis=-1)

    def draws(self, iterations: int) -> Iterator[Draw]:
        """Return the numbers of one iteration after the other."""
        choices, variables = self._shape
        for start in range(0, iterations, _BLOCK):
            n = min(_BLOCK, iterations - start)
            u = np.stack([g.random((n, 4, variables)) for _, g, _ in self._generators], axis=-1)
            z = np.stack([g.standard_normal((n, 2, variables)) for _, _, g in self._generators], axis=-1)
            yield from map(Draw, u, noise_scale(choices) * z)


def sample(theta: Floats, u: Floats) -> Ints:
    """Map uniform numbers to choices by the inverse distribution function.

    Args:
        theta: Probabilities, shape (K, D, runs).
        u: Uniform numbers in [0, 1), shape (n, D, runs).

    Returns:
        Indices of choices, shape (n, D, runs).
    """
    below, c = np.zeros_like(theta[0]), np.zeros(u.shape, dtype=np.uint8)
    for p in theta[:-1]:
        below += p
        c += below <= u
    return c.astype(np.intp)


def _generators(seed: int) -> list[np.random.Generator]:
    """Return one generator a kind of number: first weights, architectures, z."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)]
