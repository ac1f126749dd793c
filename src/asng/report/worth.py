"""Worth: how many random networks one would have to train for the best of them to match the found one.

Let p be the probability that a random network of the space is better than the found one. The best of m random
networks is beaten by one more with probability 1 / (m + 1), since each of the m + 1 is equally likely to be
the best. The found network thus matches the best of m = 1 / p - 1, and this m is its worth:

- `worth` takes p from a rank among networks whose scores are all known, as in a table of trained networks;
- `estimate_worth` estimates p from the few random peers of a run, and says how little they can tell.

A network in the middle is worth 1. One drawn at random is worth m or more with probability 1 / (m + 1):
chance alone gives a worth of 19 or more 1 time in 20.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.special import betaincinv, nctdtrinc, ndtr, stdtr

from asng.checks import integer_at_least, real_between
from asng.runs.results import mean_sd

__all__ = ["CONFIDENCE", "Worth", "estimate_worth", "mean_worth", "worth"]

CONFIDENCE = 0.9
"""Confidence of the interval about an estimated worth; its lower end alone holds with 0.95."""
_LEVELS = ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2)
_FEWEST = 3
"""Peers needed to fit a normal distribution: two say next to nothing about its spread."""
_FARTHEST = 50.0
"""Standard deviations from the mean beyond which the ends of the interval no longer move."""


def worth(rank: float, n: int) -> float:
    """Return how many random networks are expected to match the network of a given rank.

    The best of m networks drawn without repeats from n has the expected rank (n + 1) / (m + 1); this is m.

    Args:
        rank: Rank of the network, 1 + how many of the n are better, in [1, n + 1]. Networks that tie share
            their mean rank.
        n: How many networks it is compared with, at least 1.

    Returns:
        Between 0, worse than all of them, and n, better than all.

    Raises:
        InputError: `rank` or `n` is out of range.

    Example:
        >>> worth(1, 1000), worth(10, 999), worth(501, 1001)
        (1000.0, 99.0, 1.0)

    References:
        David, Nagaraja (2003), "Order Statistics", 3rd edition, on samples from a finite population.
    """
    n = integer_at_least("n", n, 1)
    real_between("rank", rank, 1.0, n + 1.0)
    return (n + 1) / rank - 1


@dataclass(frozen=True)
class Worth:
    """How many random networks a found one is worth, as far as its peers can tell.

    Attributes:
        value: The estimate, at least 0.
        low: Lower end of the interval of confidence `CONFIDENCE`.
        high: Upper end; infinite if the peers set no bound.
        by_rank: Whether the peers are too few, or too equal, for more than a rank. The value is then at most
            their number; if the found network beats them all, it means that number or more.
    """

    value: float
    low: float
    high: float
    by_rank: bool


def estimate_worth(found: float, peers: Sequence[float], *, higher_is_better: bool = True) -> Worth:
    """Return the worth of a network from the scores of random peers.

    With three peers or more, their scores are taken as draws from a normal distribution of unknown mean and
    standard deviation. The probability that one more draw is better than the found network is then

        p = T((mean - found) / (sd sqrt(1 + 1 / k)))

    for k peers, where T is the distribution function of Student's t with k - 1 degrees of freedom. This p is
    exact: if the found network is itself a random draw, it is uniform in (0, 1). With few peers the tails of
    T are heavy, so that a large gain is believed slowly.

    The interval is that of p for fixed mean and standard deviation, by the noncentral t distribution. In the
    far tail, the estimate can lie outside; the interval is then widened to include it. It is valid as far as
    scores are normal. A peer that failed makes the spread larger and the worth smaller.

    With fewer peers, or if all peers tie, the estimate is `worth` of the rank, and the interval is that of a
    binomial share (Clopper and Pearson).

    Args:
        found: Score of the found network.
        peers: Scores of random networks of the same space, trained alike: at least one, all finite.
        higher_is_better: Whether a higher score is better.

    Raises:
        InputError: There is no peer.

    Example:
        >>> few = estimate_worth(0.86, [0.85, 0.84, 0.84, 0.83])
        >>> round(few.value, 1), round(few.low, 1), round(few.high)
        (16.2, 2.7, 55143)
        >>> estimate_worth(0.86, [0.85]).value
        1.0

    References:
        - Geisser (1993), "Predictive Inference: An Introduction": one more draw of a normal sample.
        - Hahn, Meeker (1991), "Statistical Intervals", chapter 4: the share of a normal population beyond
          a value.
    """
    integer_at_least("peers", len(peers), 1)
    k, sign = len(peers), 1 if higher_is_better else -1
    mean, sd = mean_sd(peers)
    if k < _FEWEST or not sd > 0:
        return _by_rank(sum(sign * peer > sign * found for peer in peers), list(peers).count(found), k)
    distance = sign * (found - mean) / sd
    value = _of_share(stdtr(k - 1, -distance / math.sqrt(1 + 1 / k)))
    low, high = (_of_share(ndtr(-_true_distance(distance, k, level))) for level in _LEVELS)
    return Worth(value, min(low, value), max(high, value), by_rank=False)


def _true_distance(distance: float, k: int, level: float) -> float:
    """Return the true distance for which a measured one is at most `distance` with probability `level`."""
    root = math.sqrt(k)
    shown = max(-_FARTHEST, min(_FARTHEST, distance))
    return float(nctdtrinc(k - 1, level, shown * root)) / root


def _by_rank(better: int, tied: int, k: int) -> Worth:
    worse = k - better - tied
    most = float(betaincinv(better + tied + 1, worse, _LEVELS[0])) if worse else 1.0
    least = float(betaincinv(better, k - better + 1, _LEVELS[1])) if better else 0.0
    return Worth(worth(1 + better + tied / 2, k), _of_share(most), _of_share(least), by_rank=True)


def _of_share(p: float) -> float:
    return 1 / float(p) - 1 if p > 0 else math.inf


def mean_worth(values: Sequence[float]) -> float:
    """Return the worth of the mean rank of several networks, each from a space or a run of its own.

    The mean of the worths themselves would be that of the luckiest network.

    Args:
        values: Worths, at least one.

    Example:
        >>> round(mean_worth([1.0, 9.0]), 2), round(mean_worth([0.0, 1e9]), 2)
        (2.33, 1.0)
    """
    return _of_share(fmean(1 / (value + 1) for value in values))
