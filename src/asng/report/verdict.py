"""The verdict on a search in plain sentences, which say so if it did not beat chance."""

import math
from collections.abc import Sequence

from asng.report.comparison import Comparison, beside_baseline, compare, seed_worth, share_error
from asng.report.words import about, plus_minus, score, spread
from asng.report.worth import CONFIDENCE, Worth, mean_worth
from asng.runs.events import Chance
from asng.runs.results import Result, SeedScore, Summary, mean_sd

__all__ = ["cost_words", "seeds_verdict", "verdict", "worth_words"]


def verdict(result: Result, chance: Chance | None = None) -> str:
    """Say in a few sentences whether the search was worth it, and whether that may be chance.

    Args:
        result: The scores of one search.
        chance: The found network's score beside the level of chance, if known; mentioned if the two are near.

    Example:
        >>> from textwrap import fill
        >>> from asng.runs.results import Scored
        >>> found, a, b = (Scored(s, seconds=10.0) for s in (0.861, 0.85, 0.83))
        >>> print(fill(verdict(Result("accuracy", True, 0, 50.0, 1, 0.7, found, (a, b))), 100))
        The found network scored 0.861, its 2 random peers 0.840 +- 0.014: better by 0.021 (rank 1 of 3). By
        rank alone it is worth at least 2 random networks (0.29 or more with 95 % confidence), at the cost
        of 5 trainings: 0.4 per training.
    """
    near = f" {chance.words()}" if chance is not None and chance.near else ""
    c = compare(result)
    if c is None:
        return f"{_incomplete(result)}{_baseline_sentence(result)}{near}"
    peers = "its 1 random peer" if c.peers == 1 else f"its {c.peers} random peers"
    head = f"The found network scored {score(c.found)}, {peers} {plus_minus(c.mean, c.sd)}"
    if c.gain > 0:
        doubts = _doubts(c.gain, c.sd, c.error, result.test_items)
        first = f"{head}: better by {spread(c.gain)} ({c.place}).{_chance(doubts)}"
    else:
        worse = f"worse by {spread(-c.gain)}" if c.gain < 0 else "a tie with that mean"
        first = f"{head}: NOT better than the mean of its random peers on this seed ({worse}, {c.place})."
    return f"{first} {_worth_sentence(c)}{_baseline_sentence(result)}{near}"


def _doubts(gain: float, sd: float, error: float, items: int | None) -> list[str]:
    """Return in words how chance alone could explain such a gain."""
    doubts = ["within one standard deviation of the random peers"] if abs(gain) <= sd else []
    if abs(gain) <= 2 * error:
        doubts.append(f"within two standard errors of the {items:,} test items ({spread(error)} each)")
    return doubts


def _chance(doubts: Sequence[str]) -> str:
    return f" That is {', and '.join(doubts)}: it may be chance." if doubts else ""


def _worth_sentence(c: Comparison) -> str:
    w = c.worth
    networks = f"{about(w.value)} random network{'' if about(w.value) == '1' else 's'}"
    head = "By rank alone it is worth" if w.by_rank else "It is worth"
    if w.by_rank and c.rank == 1 and not c.tied:
        networks = f"at least {networks}"
    return f"{head} {networks} ({_sure(w)}){_at_the_cost(w.value, c.trainings)}."


def _sure(w: Worth) -> str:
    if (w.low, w.high) == (0, math.inf):
        return "its peers set no bounds"
    if w.high == math.inf:
        return f"{about(w.low)} or more with {50 * (1 + CONFIDENCE):.0f} % confidence"
    return f"{about(w.low)} to {about(w.high)} with {100 * CONFIDENCE:.0f} % confidence"


def _at_the_cost(worth: float, trainings: float) -> str:
    if not trainings > 0:  # unknown, or from a damaged file
        return ""
    return f", at the cost of {cost_words(trainings)}: {about(worth / trainings)} per training"


def worth_words(w: Worth) -> str:
    """Return a worth with its interval.

    Example:
        >>> worth_words(Worth(16.2, 2.66, 5e4, by_rank=False))
        '16 (2.7 to over 10,000)'
        >>> worth_words(Worth(2.0, 0.288, math.inf, by_rank=True))
        '2 by rank (0.29 or more)'
    """
    interval = f"{about(w.low)} {'or more' if w.high == math.inf else f'to {about(w.high)}'}"
    return f"{about(w.value)}{' by rank' if w.by_rank else ''} ({interval})"


def cost_words(trainings: float) -> str:
    """Return what a search cost, in trainings of one network."""
    return f"{about(trainings)} training{'' if about(trainings) == '1' else 's'}"


def _baseline_sentence(result: Result) -> str:
    beside = beside_baseline(result)
    if beside is None:
        return ""
    head = f" Your baseline scored {score(beside.score)}: the found network is"
    if beside.gain == 0:
        return f"{head} tied with it."
    words = f"{'better' if beside.gain > 0 else 'WORSE'} by {spread(abs(beside.gain))}"
    # The spread of peers comes from first weights and architectures: an upper bound for weights alone.
    doubts = _doubts(beside.gain, mean_sd(result.peers)[1], beside.error, result.test_items)
    return f"{head} {words}, {', and '.join(doubts)}: it may be chance." if doubts else f"{head} {words}."


def _incomplete(result: Result) -> str:
    if result.found is None or math.isnan(result.found.score):
        return "The found network has no score of its own yet: whether the search helped is not known."
    return (
        f"The found network scored {score(result.found.score)}. No random peer was trained: "
        "whether the search helped is not known."
    )


def seeds_verdict(summary: Summary) -> str:
    """Say over several seeds whether the search was worth it, and whether that may be chance.

    Args:
        summary: The scores of the seeds; seeds without both scores are left out, and counted.
    """
    sign = 1 if summary.higher_is_better else -1
    whole = [seed for seed in summary.seeds if not math.isnan(seed.found - seed.random_mean)]
    if not whole:
        nothing = (
            "No seed has both a found network and random peers yet: whether the search helped is not known."
        )
        return f"{nothing} {_baseline_over_seeds(summary.seeds, sign)}".strip()
    gains = [sign * (seed.found - seed.random_mean) for seed in whole]
    found = plus_minus(*mean_sd([seed.found for seed in whole]))
    random = plus_minus(*mean_sd([seed.random_mean for seed in whole]))
    sentences = [
        f"Over {_seeds(len(whole))} the found networks scored {found}, their random peers {random} (means "
        f"of seeds): better than random on {_told(gains)}."
    ]
    error, items = _error_over_seeds(whole)
    if mean_sd(gains)[0] > 0:
        sentences += [_chance(_doubts_over_seeds(gains, error, items)).strip()]
    else:
        sentences += ["The search was NOT better than random peers."]
    sentences += [
        _worth_over_seeds(whole, summary.higher_is_better),
        _baseline_over_seeds(summary.seeds, sign),
    ]
    left_out = len(summary.seeds) - len(whole)
    sentences += [f"Left out: {_seeds(left_out)} without both scores." if left_out else ""]
    return " ".join(sentence for sentence in sentences if sentence)


def _seeds(number: int) -> str:
    return f"{number} seed" if number == 1 else f"{number} seeds"


def _told(gains: Sequence[float]) -> str:
    """Return on how many seeds there is a gain, and how large it is on average."""
    better = f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
    if ties := gains.count(0.0):
        better += f", a tie on {ties}"
    gain, sd = mean_sd(gains)
    error = f" (standard error {spread(sd / math.sqrt(len(gains)))})" if len(gains) > 1 else ""
    return f"{better}, by {plus_minus(gain, sd, spread)} on average{error}"


def _doubts_over_seeds(gains: Sequence[float], error: float, items: int | None) -> list[str]:
    gain, sd = mean_sd(gains)
    doubts = ["within two standard errors of no gain"] if abs(gain) <= 2 * sd / math.sqrt(len(gains)) else []
    # More seeds do not make this smaller, since all are scored on the same items.
    return doubts + _doubts(gain, -1.0, error, items)


def _error_over_seeds(seeds: Sequence[SeedScore]) -> tuple[float, int | None]:
    peers = [peer for seed in seeds for peer in seed.peers]
    items = seeds[0].test_items if len({seed.test_items for seed in seeds}) == 1 else None
    return share_error([seed.found for seed in seeds], peers, items) if peers else math.nan, items


def _worth_over_seeds(seeds: Sequence[SeedScore], higher_is_better: bool) -> str:
    worths = [seed_worth(seed, higher_is_better=higher_is_better) for seed in seeds]
    known = [w.value for w in worths if w is not None]
    if not known:
        return ""
    value, cost = mean_worth(known), mean_sd([seed.trainings for seed in seeds])[0]
    singly = f" ({about(min(known))} to {about(max(known))} for single seeds)" if len(known) > 1 else ""
    return f"A found network is worth {about(value)} random ones{singly}{_at_the_cost(value, cost)}."


def _baseline_over_seeds(seeds: Sequence[SeedScore], sign: int) -> str:
    both = [seed for seed in seeds if not math.isnan(seed.found - seed.baseline)]
    if not both:
        return ""
    gains = [sign * (seed.found - seed.baseline) for seed in both]
    items = both[0].test_items if len({seed.test_items for seed in both}) == 1 else None
    error = share_error([seed.found for seed in both], [seed.baseline for seed in both], items)
    mean = plus_minus(*mean_sd([seed.baseline for seed in both]))
    doubts = _doubts_over_seeds(gains, error, items)
    worse = " They are NOT better than your baseline." if mean_sd(gains)[0] <= 0 else ""
    return f"Your baseline scored {mean}: better than it on {_told(gains)}.{_chance(doubts)}{worse}"
