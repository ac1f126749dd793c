import math
import random
from statistics import fmean

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from asng.errors import InputError
from asng.report import estimate_worth, mean_worth, worth


@pytest.mark.parametrize(("n", "m"), [(5, 2), (12, 1), (12, 11), (7, 7)])
def test_a_network_of_the_expected_rank_of_the_best_of_m_is_worth_m(n, m):
    rng = random.Random(0)
    ranks = [min(rng.sample(range(1, n + 1), m)) for _ in range(40_000)]
    # Of 40,000 draws the mean rank is within 1.5 %, or 4 standard errors.
    assert fmean(ranks) == pytest.approx((n + 1) / (m + 1), rel=0.015)
    assert worth((n + 1) / (m + 1), n) == pytest.approx(m)


@pytest.mark.parametrize("k", [3, 4, 9])
def test_a_random_network_is_worth_m_or_more_once_in_m_plus_one_times(k):
    draws = np.random.default_rng(k).normal(0.8, 0.02, (4_000, k + 1))
    shares = [1 / (estimate_worth(found, peers).value + 1) for found, *peers in draws.tolist()]
    # False alarm: 1 in 1,000 for each of the three seeds.
    assert kstest(shares, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("k", "distance"), [(3, 0.0), (4, 1.0), (4, 2.0), (10, -1.0), (30, 1.5)])
def test_the_interval_holds_the_true_worth_as_often_as_it_says(k, distance):
    true = 1 / (0.5 * math.erfc(distance / math.sqrt(2))) - 1
    peers = np.random.default_rng(k).normal(0.0, 1.0, (2_000, k)).tolist()
    found = [estimate_worth(distance, scores) for scores in peers]
    held = sum(w.low <= true <= w.high for w in found)
    # Wider where the estimate is outside, so that it may hold more often. False alarm: 1 in 1,000.
    assert binomtest(held, len(found), 0.9, alternative="less").pvalue > 1e-3
    assert held < 0.96 * len(found)


def test_the_estimate_lies_in_its_interval_and_grows_with_the_score():
    peers = [0.85, 0.84, 0.84, 0.83]
    worths = [estimate_worth(found, peers) for found in (-1e6, 0.5, 0.83, 0.84, 0.85, 0.9, 1.0, 10.0, 1e6)]
    assert all(0 <= w.low <= w.value <= w.high for w in worths)
    assert [w.value for w in worths] == sorted(w.value for w in worths)
    assert worths[3].value == pytest.approx(1.0)


def test_more_peers_of_the_same_spread_tell_more():
    few, many = (estimate_worth(2.0, [-1.0, 0.0, 1.0] * times) for times in (1, 10))
    assert many.low > few.low
    assert many.high < few.high


def test_where_lower_is_better_the_mirror_image_is_worth_the_same():
    peers = [0.3, 0.5, 0.45]
    mirrored = estimate_worth(-0.2, [-peer for peer in peers])
    assert estimate_worth(0.2, peers, higher_is_better=False) == mirrored


@pytest.mark.parametrize(
    ("found", "peers", "value"),
    [(0.9, [0.8], 1.0), (0.9, [0.8, 0.7], 2.0), (0.75, [0.8, 0.7], 0.5), (0.8, [0.8, 0.7], 1.0)],
)
def test_too_few_peers_tell_a_rank(found, peers, value):
    estimate = estimate_worth(found, peers)
    assert estimate.by_rank
    assert estimate.value == pytest.approx(value)
    assert 0 <= estimate.low <= value <= estimate.high


def test_peers_that_all_tie_tell_a_rank():
    assert estimate_worth(0.9, [0.8] * 6).value == 6.0
    assert estimate_worth(0.8, [0.8] * 6).value == worth(4, 6)
    assert estimate_worth(0.7, [0.8] * 6).value == 0.0


def test_the_bound_of_a_rank_is_that_of_a_share():
    # None of k is better: p is below 1 - 0.05^(1/k) with confidence 0.95.
    p = 1 - 0.05 ** (1 / 6)
    assert estimate_worth(0.9, [0.8] * 6).low == pytest.approx(1 / p - 1)
    assert estimate_worth(0.9, [0.8] * 6).high == math.inf


def test_one_lucky_run_does_not_make_the_mean():
    assert mean_worth([1.0, 1.0, 1e12]) == pytest.approx(2.0)
    assert mean_worth([math.inf]) == math.inf


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: worth(0.5, 4), r"rank: expected a number in \[1.0, 5.0\], got 0.5"),
        (lambda: worth(6, 4), "rank: expected a number"),
        (lambda: worth(1, 0), "n: expected an integer >= 1, got 0"),
        (lambda: estimate_worth(0.5, []), "peers: expected an integer >= 1, got 0"),
    ],
)
def test_what_has_no_worth_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        wrong()
