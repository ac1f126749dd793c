"""The numbers behind a verdict: rank, gain, worth, cost, and the error due to the choice of test items."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from asng.report.worth import Worth, estimate_worth
from asng.runs.results import Result, SeedScore, mean_sd

__all__ = ["BesideBaseline", "Comparison", "beside_baseline", "compare", "seed_worth", "share_error"]


@dataclass(frozen=True)
class Comparison:
    """The found network beside its random peers.

    Attributes:
        found: Its score.
        mean: Mean score of the peers.
        sd: Their standard deviation (n - 1); NaN with fewer than two.
        peers: How many peers have a score.
        rank: 1 if no peer is better; equal peers do not count as better.
        tied: How many peers have exactly the same score.
        gain: How much better than the mean it is; negative if worse, whichever way the metric counts.
        error: Standard error of the gain if test items are drawn at random: see `share_error`; NaN if
            unknown.
        worth: How many random networks it is worth.
        trainings: What the search cost, in trainings of the found network; NaN if unknown.
    """

    found: float
    mean: float
    sd: float
    peers: int
    rank: int
    tied: int
    gain: float
    error: float
    worth: Worth
    trainings: float

    @property
    def place(self) -> str:
        """The rank in words, including whether peers share it."""
        among = self.peers + 1
        if not self.tied:
            return f"rank {self.rank} of {among}"
        return f"tied {'first' if self.rank == 1 else f'at rank {self.rank}'} of {among}"


def compare(result: Result) -> Comparison | None:
    """Compare the found network with its peers, or return None if either has no score."""
    peers = result.peers
    if result.found is None or math.isnan(result.found.score) or not peers:
        return None
    found, sign = result.found.score, 1 if result.higher_is_better else -1
    mean, sd = mean_sd(peers)
    return Comparison(
        found=found,
        mean=mean,
        sd=sd,
        peers=len(peers),
        rank=1 + sum(sign * peer > sign * found for peer in peers),
        tied=peers.count(found),
        gain=sign * (found - mean),
        error=share_error([found], peers, result.test_items),
        worth=estimate_worth(found, peers, higher_is_better=result.higher_is_better),
        trainings=result.trainings,
    )


@dataclass(frozen=True)
class BesideBaseline:
    """The found network beside a network of the user's own.

    Attributes:
        score: Score of the baseline.
        gain: How much better the found network is; negative if worse, whichever way the metric counts.
        error: Standard error of the gain if test items are drawn at random; NaN if unknown.
    """

    score: float
    gain: float
    error: float


def beside_baseline(result: Result) -> BesideBaseline | None:
    """Compare the found network with the baseline, or return None if either has no score."""
    if result.found is None or result.baseline is None:
        return None
    found, score, sign = result.found.score, result.baseline.score, 1 if result.higher_is_better else -1
    if math.isnan(found - score):
        return None
    error = share_error([found], [score], result.test_items)
    return BesideBaseline(score, sign * (found - score), error)


def share_error(one: Sequence[float], other: Sequence[float], items: int | None) -> float:
    """Return the standard error of a difference of mean scores, if test items are drawn at random.

    For scores that are shares of the items, such as accuracies, p of one and q of the other, it is

        sqrt((p (1 - p) + q (1 - q)) / items),

    the formula for separate test sets. On the same items, networks err together, so that the true error is
    smaller: a difference beyond two of these is not due to the choice of the test set. Means of several
    networks count as one network, since items that are hard for one are hard for the others.

    Args:
        one: Scores of one or more networks.
        other: Scores of one or more other networks.
        items: How many items each score is a mean over; None if unknown.

    Returns:
        NaN if `items` is unknown, or a score is not a whole number of items divided by `items`.

    Example:
        >>> round(share_error([0.86], [0.85], 1000), 4), share_error([1.234], [0.5], 1000)
        (0.0157, nan)
    """
    if not items or not all(_is_share(score, items) for score in (*one, *other)):
        return math.nan
    return math.sqrt(sum(p * (1 - p) for p in (fmean(one), fmean(other))) / items)


def _is_share(score: float, items: int) -> bool:
    return 0 <= score <= 1 and round(score * items) / items == score


def seed_worth(seed: SeedScore, *, higher_is_better: bool) -> Worth | None:
    """Return the worth of a seed's found network; None if its score or its peers' scores are unknown."""
    if math.isnan(seed.found) or not seed.peers:
        return None
    return estimate_worth(seed.found, seed.peers, higher_is_better=higher_is_better)
