"""Found against random, in one plain sentence. A search that did not beat chance is told so."""

import math
from dataclasses import dataclass

from asng.report.words import plus_minus, score, spread
from asng.runs.results import Result, Summary, mean_sd

__all__ = ["Comparison", "compare", "seeds_verdict", "verdict"]


@dataclass(frozen=True)
class Comparison:
    """The found network beside its random peers.

    Attributes:
        found: Its score.
        mean: Mean score of the peers.
        sd: Their standard deviation (n - 1); NaN with fewer than two.
        peers: How many have a score.
        rank: 1 if no peer is better; equal peers do not count as better.
        tied: How many peers have the very same score.
        gain: How much better than the mean; negative if worse, whichever way the metric counts.
    """

    found: float
    mean: float
    sd: float
    peers: int
    rank: int
    tied: int
    gain: float

    @property
    def place(self) -> str:
        """The rank in words, which say so if peers share it."""
        among = self.peers + 1
        if not self.tied:
            return f"rank {self.rank} of {among}"
        return f"tied {'first' if self.rank == 1 else f'at rank {self.rank}'} of {among}"


def compare(result: Result) -> Comparison | None:
    """Compare the found network with its peers, or return None where either has no score."""
    if result.found is None or math.isnan(result.found.score):
        return None
    peers = [peer.score for peer in result.random if not math.isnan(peer.score)]
    if not peers:
        return None
    found, sign = result.found.score, 1 if result.higher_is_better else -1
    mean, sd = mean_sd(peers)
    rank = 1 + sum(sign * peer > sign * found for peer in peers)
    return Comparison(found, mean, sd, len(peers), rank, peers.count(found), sign * (found - mean))


def verdict(result: Result) -> str:
    """Say in one or two sentences whether the search was worth it.

    Args:
        result: The scores of one search.

    Example:
        >>> from asng.runs.results import Scored
        >>> found, a, b = (Scored(s) for s in (0.861, 0.85, 0.83))
        >>> verdict(Result("accuracy", True, 0, 1.0, 1, 0.7, found, (a, b)))
        'The found network scored 0.861, its 2 random peers 0.840 +- 0.014: better by 0.021 (rank 1 of 3).'
    """
    comparison = compare(result)
    if comparison is None:
        return _incomplete(result)
    c = comparison
    peers = "its 1 random peer" if c.peers == 1 else f"its {c.peers} random peers"
    head = f"The found network scored {score(c.found)}, {peers} {plus_minus(c.mean, c.sd)}"
    if c.gain <= 0:
        worse = f"worse by {spread(-c.gain)}" if c.gain < 0 else "a tie with that mean"
        return f"{head}: NOT better than the mean of its random peers on this seed ({worse}, {c.place})."
    sentence = f"{head}: better by {spread(c.gain)} ({c.place})."
    if c.gain <= c.sd:
        sentence += " That is within one standard deviation of its peers: it may be chance."
    return sentence


def _incomplete(result: Result) -> str:
    if result.found is None or math.isnan(result.found.score):
        return "The found network has no score of its own yet: whether the search helped is not known."
    return (
        f"The found network scored {score(result.found.score)}. No random peer was trained: "
        "whether the search helped is not known."
    )


def seeds_verdict(summary: Summary) -> str:
    """Say over several seeds whether the search was worth it.

    Args:
        summary: The scores of the seeds; those without both scores are left out, and counted.
    """
    sign = 1 if summary.higher_is_better else -1
    whole = [seed for seed in summary.seeds if not math.isnan(seed.found - seed.random_mean)]
    if not whole:
        return (
            "No seed has both a found network and random peers yet: whether the search helped is not known."
        )
    gains = [sign * (seed.found - seed.random_mean) for seed in whole]
    better = f"better than random on {sum(gain > 0 for gain in gains)} of {len(whole)}"
    if ties := gains.count(0.0):
        better += f", a tie on {ties}"
    found = plus_minus(*mean_sd([seed.found for seed in whole]))
    random = plus_minus(*mean_sd([seed.random_mean for seed in whole]))
    gain, sd = mean_sd(gains)
    head = (
        f"Over {len(whole)} seed(s) the found networks scored {found}, their random peers {random} (means "
        f"of seeds): {better}, by {plus_minus(gain, sd, spread)} on average."
    )
    if 0 < gain <= 2 * sd / math.sqrt(len(gains)):
        head += " That is within two standard errors of no gain: it may be chance."
    left_out = len(summary.seeds) - len(whole)
    if gain <= 0:
        head += " The search was NOT better than random peers."
    return head + (f" {left_out} seed(s) without both scores are left out." if left_out else "")
