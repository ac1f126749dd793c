"""What two samples say: the natural gradient of Algorithm 1 with lambda = 2, for many runs at once.

With two samples the utilities are 1 and -1, or 0 and 0 for a tie; theta falls out of
G = (1/2) sum_i u_i (T(c_i) - theta), and G has two entries a variable where the samples differ and none where
they do not.
"""

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asng.distributions import Floats, Ints

__all__ = ["Bools", "Pair", "read_pair", "project"]

Bools: TypeAlias = NDArray[np.bool_]


class Pair(NamedTuple):
    """Two samples of each run, and G.

    Attributes:
        c: Their choices, shape (2, D, runs).
        at: The `positions` of these.
        told: Whether their losses differ, so that something can be learnt, shape (runs,).
        w: G at the choice of the first sample, and -G at that of the second; 0 where both chose alike.
            Shape (D, runs).
        norm: Of G in the Fisher metric, shape (runs,).
        p: theta at the choices, shape (2, D, runs).
    """

    c: Ints
    at: Ints
    told: Bools
    w: Floats
    norm: Floats
    p: Floats


def read_pair(theta: Floats, c: Ints, at: Ints, losses: Floats) -> Pair:
    """Return the natural gradient that two losses give.

    Args:
        theta: Probabilities, shape (K, D, runs).
        c: Choices of both samples, shape (2, D, runs).
        at: Their positions in theta.
        losses: Lower is better, shape (2, runs); those that are not finite rank worst, and equal.
    """
    first, second = np.where(np.isfinite(losses), losses, math.inf)
    u = (first < second).astype(np.float64) - (second < first)
    w = 0.5 * u * (c[0] != c[1])
    p = theta.reshape(-1)[at]
    # ||G||_F^2 = sum_k G_k^2 / theta_k.
    norm = np.sqrt(np.einsum("dr,dr,ldr->r", w, w, 1.0 / p))
    return Pair(c, at, u != 0.0, w, norm, p)


def project(theta: Floats, theta_min: float) -> None:
    """Clip theta from below and shrink what exceeds theta_min, in place; as `Categoricals.project`.

    Args:
        theta: Numbers, shape (K, D, runs).
        theta_min: Smallest probability, in (0, 1/K).
    """
    np.maximum(theta, theta_min, out=theta)
    total = theta.sum(axis=0)
    shrink = (total - 1.0) / (total - theta_min * len(theta))
    # theta - shrink (theta - theta_min), in two passes. Its sum is 1 up to rounding, which the next
    # projection takes out again; the library's divides by it.
    theta *= 1.0 - shrink
    theta += shrink * theta_min
