"""From losses to utilities: only the order of the losses counts."""

import math
from collections.abc import Sequence
from functools import lru_cache, reduce
from itertools import groupby
from operator import add

import numpy as np
from scipy.special import ndtri

from asng.distributions import Floats

__all__ = ["by_rank", "normal_scores", "utilities"]


def utilities(losses: Floats) -> Floats:
    """Return the utility of each sample by the rank of its loss.

    The best mu = ceil(lam / 4) get 1/mu, the worst mu get -1/mu, the others 0. Because only ranks count,
    any increasing map of the losses leaves the search unchanged.

    Differs: equal losses share the mean of their utilities whatever their sign; the authors' code does so for
    positive losses only. Losses that are NaN or infinite rank worst and equal. This includes minus infinity,
    which marks a failed evaluation.

    Args:
        losses: Losses, smaller is better, shape (lam,), lam >= 2.

    Returns:
        Utilities u, shape (lam,), of sum 0. All exactly 0 if all losses are equal.

    Example:
        >>> utilities(np.array([3.0, 1.0, 2.0, float("nan")]))
        array([ 0.,  1.,  0., -1.])

    References:
        Akimoto et al., ICML 2019, Section 4, ranking-based utility.
    """
    lam = len(losses)
    mu = math.ceil(lam / 4)
    # Whole numbers, so that ties across the best and the worst cancel exactly.
    signs = [1.0] * mu + [0.0] * (lam - 2 * mu) + [-1.0] * mu
    return by_rank(losses, signs) / mu


def normal_scores(losses: Floats) -> Floats:
    """Return the utility of each sample as the normal score of its rank.

    The sample of rank r = 1 .. lam gets ``-ndtri((r - 3/8) / (lam + 1/4))``, approximately the expected r-th
    largest of lam normal numbers. So all samples contribute, not only the best and the worst quarter. With
    two samples this differs from `utilities` only in scale. Ties and non-finite losses are treated as there.

    Args:
        losses: Losses, smaller is better, shape (lam,), lam >= 2.

    Returns:
        Utilities u, shape (lam,), of sum 0. All exactly 0 if all losses are equal.

    Example:
        >>> normal_scores(np.array([3.0, 1.0, 2.0])).round(2)
        array([-0.87,  0.87,  0.  ])

    References:
        Blom, "Statistical estimates and transformed beta-variables", 1958.
    """
    return by_rank(losses, _scores(len(losses)))


@lru_cache(maxsize=64)
def _scores(lam: int) -> list[float]:
    scores: list[float] = (0.0 - ndtri((np.arange(lam) + 0.625) / (lam + 0.25))).tolist()  # 0, not -0
    return scores


def by_rank(losses: Floats, values: Sequence[float]) -> Floats:
    """Give the r-th value to the r-th best loss; equal losses share their mean, 0 if all are equal."""
    ranks = [loss if math.isfinite(loss) else math.inf for loss in losses.tolist()]
    u, place = np.zeros(len(ranks)), 0
    for _, equals in groupby(sorted(range(len(ranks)), key=ranks.__getitem__), key=ranks.__getitem__):
        tied = list(equals)
        if len(tied) == len(ranks):
            break
        share = reduce(add, values[place : place + len(tied)]) / len(tied)
        for i in tied:
            u[i] = share
        place += len(tied)
    return u
