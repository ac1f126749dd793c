"""From losses to utilities: only the order of the losses counts."""

import math

import numpy as np

from asng.distributions import Floats

__all__ = ["utilities"]


def utilities(losses: Floats) -> Floats:
    """Return the utility of each sample by the rank of its loss.

    The best mu = ceil(lam / 4) get 1/mu, the worst mu get -1/mu, the others 0. Because only ranks enter,
    any increasing map of the losses leaves the search as it is.

    Differs: equal losses share the mean of their utilities whatever their sign, where the authors' code
    does so for positive losses only; a loss that is NaN or infinite (also minus infinity, the mark of
    an evaluation gone wrong) ranks worst, equal to the others of that kind.

    Args:
        losses: Losses, lower is better, shape (lam,), lam >= 2.

    Returns:
        Utilities u, shape (lam,), of sum 0. All exactly 0 where all losses are equal.

    Example:
        >>> utilities(np.array([3.0, 1.0, 2.0, float("nan")]))
        array([ 0.,  1.,  0., -1.])

    References:
        Akimoto et al., ICML 2019, Section 4, ranking-based utility.
    """
    lam = len(losses)
    mu = math.ceil(lam / 4)
    losses = np.where(np.isfinite(losses), losses, np.inf)
    order = np.argsort(losses, kind="stable")
    ranked = losses[order]
    # Whole numbers, so that the shares of a tie across best and worst cancel exactly.
    signs = np.zeros(lam)
    signs[:mu], signs[lam - mu :] = 1.0, -1.0
    tie = np.concatenate(([0], np.cumsum(ranked[1:] != ranked[:-1])))
    shares = np.bincount(tie, weights=signs) / np.bincount(tie)
    u = np.empty(lam)
    u[order] = shares[tie] / mu
    return u
