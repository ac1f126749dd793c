"""Estimate the natural gradient that an update follows, from samples and their utilities.

If only a share of the samples read a variable, its part of G is divided by the square root of that share.
Noise in a sum over few samples is thus as large as in a sum over all of them. So every variable
drifts equally far, and without a signal the step size sees no preferred direction. Whether a variable is
read does not depend on its own value, so this division does not prefer a direction either.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from asng.distributions import Floats, Product, ScoreVectors, Tangent, Theta, blocks
from asng.optim.control_variate import ControlVariate, learnt, predicted
from asng.optim.ranking import utilities
from asng.optim.reuse import SamplePool

__all__ = [
    "NORM_FLOOR",
    "Estimate",
    "estimate",
    "gradient",
    "plain_estimate",
    "squared_length",
]

NORM_FLOOR = 1e-9
"""Added to the norm of G, as the authors do, in case all samples coincide and G is 0."""

ROUNDING = 1e-12
"""If all samples coincide, their utilities cancel up to rounding; a norm below this counts as 0."""


class Estimate(NamedTuple):
    """G and ||G||_F > 0 for theta; the signal F^(1/2) G of the new samples for s, and its norm."""

    G: Tangent
    norm: float
    signal: Floats
    strength: float


def estimate(
    product: Product,
    theta: Theta,
    known: ControlVariate | None,
    pool: SamplePool,
    u: Floats,
    ranked: Callable[[Floats], Floats],
    rate: float,
    share: Floats | None = None,
) -> tuple[Estimate | None, ControlVariate | None]:
    """Return the estimate, or None if the samples carry no information, and the updated control variate.

    Args:
        product: Family of distributions.
        theta: Parameters from which the new samples were drawn.
        known: The control variate from earlier samples, or None for no prediction.
        pool: The new samples, and those that are used again.
        u: Utilities of the new samples among themselves.
        ranked: Maps losses to utilities.
        rate: Learning rate of the control variate's factor c.
        share: Share of the samples that read each variable, shape (D,); None if all read all.
    """
    if product.rules == "paper":
        return plain_estimate(product, theta, pool.x, u, pool.active), None
    shares = None if pool.active is None or share is None else _weights(pool.active, share)
    scores = ScoreVectors(product, theta, pool.x, shares, placed=pool.placed)
    if known is None:
        signal = scores.mean(u)
    else:
        foreseen = predicted(product, theta, known, scores, pool.active)
        w, v, c = foreseen
        signal, foreseen_part = scores.means(np.array((u, v[: len(u)])))
    strength = math.sqrt(squared_length(signal))
    if strength < ROUNDING:
        return None, known
    weights, of_all = pool.weights, u
    if weights is not None:
        of_all = ranked(pool.losses)
        of_all = of_all - (weights * of_all).sum() / len(of_all)
    root = signal
    if known is not None:
        by = 1.0 if weights is None else weights
        new, error = scores.means(np.array((by * (of_all - c * v), by * (of_all - v))))
        signal = c * w + (signal - c * foreseen_part)
        strength = math.sqrt(squared_length(signal))
        root = signal if weights is None else c * w + new
        known = learnt(product, theta, known, scores, foreseen, u=of_all, weights=by, rate=rate, error=error)
    elif weights is not None:
        root = scores.mean(weights * of_all)
    norm = strength if root is signal else math.sqrt(squared_length(root))
    if min(norm, strength) < ROUNDING:
        return None, known
    return Estimate(product.from_root(theta, root), norm + NORM_FLOOR, signal, strength + NORM_FLOOR), known


def plain_estimate(
    product: Product, theta: Theta, x: Floats, u: Floats, active: Floats | None
) -> Estimate | None:
    """Return the estimate of Algorithm 1, G_theta, or None if the samples carry no information."""
    weights = active
    if active is not None and product.rules == "default":
        weights = _weights(active, active.mean(axis=0))
    G = product.natural_gradient(theta, x, u, weights)
    root = product.fisher_root(theta, G)
    norm = math.sqrt(squared_length(root))
    if norm < ROUNDING:
        if product.rules == "default":
            return None
        G, root, norm = Tangent(*(np.zeros_like(part) for part in theta)), np.zeros_like(root), 0.0
    return Estimate(G, norm + NORM_FLOOR, root, norm + NORM_FLOOR)


def gradient(
    product: Product, theta: Theta, x: Floats, losses: Floats, active: Floats | None = None
) -> Estimate | None:
    """Return the plain estimate from losses, for the baselines; None if nothing can be learnt."""
    u = utilities(losses)
    return plain_estimate(product, theta, x, u, active) if u.any() and product.n_theta else None


def squared_length(vector: Floats) -> float:
    """Return the sum of squares without BLAS, whose last bits depend on the number of threads."""
    parts = [vector[own] for own in blocks(1, len(vector))]
    return sum([float((part * part).sum()) for part in parts])


def _weights(active: Floats, share: Floats) -> Floats:
    """Return `active` over the square root of each variable's share (see above); 0 if none read it."""
    return active / np.sqrt(np.where(share > 0.0, share, 1.0))
