r"""Importance weights for samples of an earlier theta: those of the last update, and those told late.

A sample x from p_former stands for one from p_theta if it has the weight p_theta(x) / p_former(x) (importance
sampling). Ratios above 1 are cut to 1: a few samples of large weight would add more noise than information.
Losses are ranked together, old and new, and the utilities are centred with the weights. Only the new samples
enter s: gradients that share samples point the same way by chance, which the step size must not take for a
signal.

A sample that is told late has the same ratio as its weight when it is first used. The weight replaces the 1
in `active` for every variable that its evaluation read.

References:
    Owen, "Monte Carlo theory, methods and examples", 2013, Chapter 9 (self-normalised importance sampling).
    Ionides, "Truncated importance sampling", Journal of Computational and Graphical Statistics 17, 2008.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from asng.distributions import Floats, Placed, Product, Theta
from asng.errors import RunError
from asng.optim.saving import array, get

__all__ = [
    "LEAST",
    "Former",
    "SamplePool",
    "kept",
    "late_weights",
    "pack_former",
    "pooled",
    "read_by",
    "unpack_former",
]

LEAST = 0.2
"""Samples with a smaller weight, relative to a mean of 1, are left out."""


@dataclass(frozen=True)
class Former:
    """The samples of an update.

    Attributes:
        x: Raw draws, shape (n, D).
        losses: Losses, shape (n,).
        active: 1 if a sample read a variable, shape (n, D); None if all read all.
        density: Log density that each was drawn with, over the variables that it read; shape (n,).
    """

    x: Floats
    losses: Floats
    active: Floats | None
    density: Floats


class SamplePool(NamedTuple):
    """Samples that an update uses, the new ones first.

    Attributes:
        x: Raw draws, shape (n, D).
        losses: Losses, shape (n,).
        active: 1 if a sample read a variable, shape (n, D); None if all read all.
        weights: Weight of each sample, shape (n,), with mean 1; None if all are equal.
        placed: The draws in the coordinates of theta, if known.
        density: Log density of each under theta, over the variables that it read, shape (n,); None if not
            known.
    """

    x: Floats
    losses: Floats
    active: Floats | None
    weights: Floats | None = None
    placed: Placed | None = None
    density: Floats | None = None


def kept(
    product: Product,
    theta: Theta,
    x: Floats,
    losses: Floats,
    active: Floats | None,
    density: Floats | None = None,
) -> Former:
    """Return samples of theta in the form for the next update; their density is computed if not known."""
    if density is None:
        density = product.log_density(theta, product.placed(theta, x), read_by(active))
    return Former(x, losses, active, density[: len(x)])


def pooled(product: Product, theta: Theta, new: SamplePool, former: Former | None) -> SamplePool:
    """Return the new samples of theta and those of the last update, with weights."""
    if former is None:
        return new
    n, x, active = len(new.x), np.concatenate((new.x, former.x)), new.active
    if active is not None or former.active is not None:
        active = np.concatenate((_all_if_none(active, new.x), _all_if_none(former.active, former.x)))
    placed = product.placed(theta, x)
    density = product.log_density(theta, placed, read_by(active))
    if active is not None:
        active[:, active[:n].max(axis=0) == 0.0] = 0.0  # a variable that no new sample read stays as it is
    weights = np.ones(len(x))
    weights[n:] = np.exp(np.minimum(density[n:] - former.density, 0.0))
    weights *= len(x) / weights.sum()
    return SamplePool(x, np.concatenate((new.losses, former.losses)), active, weights, placed, density)


def late_weights(now: Floats, then: Floats) -> Floats | None:
    """Return the weight of each sample, shape (n,), with mean 1; None if their total weight is too small.

    Args:
        now: Log density of each sample now, shape (n,).
        then: Log density when it was drawn; NaN for a sample that counts in full.

    Example:
        >>> late_weights(np.log([0.1, 0.2, 0.3]), np.log([0.2, 0.1, np.nan]))
        array([0.6, 1.2, 1.2])
    """
    ratios = np.where(np.isnan(then), 1.0, np.exp(np.minimum(now - then, 0.0)))
    total = ratios.sum()
    # With less total weight than one full sample there is no order to learn from.
    return ratios * (len(ratios) / total) if total >= 1.0 else None


def read_by(active: Floats | None) -> Floats | None:
    """Return 1 if a sample read a variable, whatever its weight, else 0; None if all read all."""
    return None if active is None else (active > 0.0).astype(np.float64)


def pack_former(former: Former) -> dict[str, Any]:
    """Return samples as plain values; a non-finite loss becomes None, because all of them rank equal."""
    return {
        "x": former.x.tolist(),
        "losses": [loss if math.isfinite(loss) else None for loss in former.losses.tolist()],
        "active": None if former.active is None else former.active.tolist(),
        "density": former.density.tolist(),
    }


def unpack_former(saved: Any, product: Product) -> Former:
    """Return samples from a saved state.

    Raises:
        RunError: A value is missing, has another shape, or is not a number.
    """
    losses, active = get(saved, "losses"), get(saved, "active")
    if not isinstance(losses, list) or not losses:
        raise RunError(f"state['former']['losses']: expected a list of losses, got {losses!r}.")
    n, size = len(losses), len(product.space)
    x = array(saved, "x", n, size)
    if not product.is_fit(x):
        raise RunError("state['former']['x']: expected indices of choices for categoricals, got others.")
    active = None if active is None else array(saved, "active", n, size)
    return Former(x, array(saved, "losses", n, missing=True), active, array(saved, "density", n))


def _all_if_none(active: Floats | None, x: Floats) -> Floats:
    return np.ones_like(x) if active is None else active
