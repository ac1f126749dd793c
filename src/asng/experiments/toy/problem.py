"""The toy problem: squared errors of the chosen x, and a price on every choice but the first.

f(x, c) = E_z sum_i sum_k c_ik ((x_ik - z_i)^2 + k/K), k = 0 .. K-1, with c one-hot over k. In each draw,
every variable has one number z_i ~ N(0, 1/K^2), shared by the architectures that are compared. The minimum of
f is D / K^2, the variance of z summed over the variables: every choice is the first, and its x is 0. The
difference between f and its minimum is called the excess, sum_i sum_k c_ik (x_ik^2 + k/K). The paper's stop
rule uses it.

Many runs are done at once. Arrays of x have shape (K, D, runs), with the runs last. So every sum over choices
or variables is a sum of whole rows, and the numbers of a run do not depend on the runs beside it.

References:
    Akimoto, Shirakawa, Yoshinari, Uchida, Saito, Nishida, "Adaptive Stochastic Natural Gradient Method
    for One-Shot Neural Architecture Search", ICML 2019, the toy problem of the experiments.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from asng.distributions import Floats, Ints

__all__ = [
    "add_gradient",
    "excess",
    "losses",
    "noise_scale",
    "positions",
    "prices",
    "stop_level",
    "Draw",
    "Streams",
    "sample",
]

_BLOCK = 128
"""Iterations drawn at once; it does not affect the numbers, because each kind has its own generator."""


def noise_scale(choices: int) -> float:
    """Return the standard deviation of z, 1/K."""
    return 1.0 / choices


def stop_level(choices: int) -> float:
    """Return the largest excess at which the paper's stop rule fires, 1/K, the price of the second choice."""
    return 1.0 / choices


def positions(c: Ints) -> Ints:
    """Return the flat indices of choices in an array of shape (K, D, runs).

    Args:
        c: Indices of choices, shape (lam, D, runs).

    Returns:
        Flat indices, of the same shape.

    Example:
        >>> positions(np.array([[[1, 0], [0, 2]]])).tolist()
        [[[4, 1], [2, 11]]]
    """
    size = c.shape[1] * c.shape[2]
    at: Ints = c * size + np.arange(size).reshape(c.shape[1:])
    return at


def prices(c: Ints, choices: int) -> Floats:
    """Return the prices of the choices without their errors, sum_i k_i / K.

    Args:
        c: Indices of choices, shape (lam, D, runs).
        choices: K.

    Returns:
        Prices, shape (lam, runs).
    """
    price: Floats = c.sum(axis=1) / choices
    return price


def losses(chosen: Floats, price: Floats, z: Floats) -> Floats:
    """Return the losses on one draw of z.

    Args:
        chosen: x at the choices, shape (lam, D, runs).
        price: `prices` of the choices, shape (lam, runs).
        z: The draw, shape (D, runs).

    Returns:
        Losses, shape (lam, runs).
    """
    return excess(chosen - z, price)


def excess(chosen: Floats, price: Floats) -> Floats:
    """Return f, the expectation over z, minus its minimum D / K^2; arguments as for `losses`."""
    value: Floats = np.einsum("ldr,ldr->lr", chosen, chosen) + price
    return value


def add_gradient(g: Floats, at: Ints, chosen: Floats, z: Floats) -> None:
    """Add to g the gradient in x of the mean loss of lam architectures on one draw of z.

    Args:
        g: The array to add to, shape (K, D, runs), contiguous.
        at: `positions` of the choices, shape (lam, D, runs).
        chosen: x at the choices, of the same shape.
        z: The draw, shape (D, runs).
    """
    flat, change = g.reshape(-1), (2.0 / len(at)) * (chosen - z)
    for places, part in zip(at, change, strict=True):  # one by one: two samples may share a choice
        flat[places] += part


class Draw(NamedTuple):
    """The random numbers of one iteration.

    Attributes:
        u: Uniform in [0, 1), for two architectures that train x and two for theta, shape (4, D, seeds).
        z: Normal with standard deviation 1/K, for x and for theta, shape (2, D, seeds).
    """

    u: Floats
    z: Floats


class Streams:
    """Random numbers for several seeds at once: initial weights, uniforms that sample architectures, and z.

    Each seed has its own streams, and all cells of the grid read the same ones. So cells are compared on the
    same draws, and a run depends only on its seed and its cell.

    Args:
        seeds: One seed or more, each >= 0.
        variables: D.
        choices: K.
    """

    def __init__(self, seeds: Sequence[int], variables: int, choices: int) -> None:
        self._shape = (choices, variables)
        self._generators = [_generators(seed) for seed in seeds]

    def first_weights(self) -> Floats:
        """Return standard normal initial weights, as in the authors' code, shape (K, D, seeds)."""
        return np.stack([first.standard_normal(self._shape) for first, _, _ in self._generators], axis=-1)

    def draws(self, iterations: int) -> Iterator[Draw]:
        """Yield the random numbers of each iteration in turn."""
        choices, variables = self._shape
        for start in range(0, iterations, _BLOCK):
            n = min(_BLOCK, iterations - start)
            u = np.stack([g.random((n, 4, variables)) for _, g, _ in self._generators], axis=-1)
            z = np.stack([g.standard_normal((n, 2, variables)) for _, _, g in self._generators], axis=-1)
            yield from map(Draw, u, noise_scale(choices) * z)


def sample(theta: Floats, u: Floats) -> Ints:
    """Map uniform numbers to choices by the inverse cumulative distribution function.

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
    """Return one generator for each kind of number: initial weights, architectures, z."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)]
