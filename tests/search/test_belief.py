"""What is believed of architectures: a Gaussian process with hints, by its laws and beside a textbook's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from asng.search.belief import (
    LENGTHS,
    LEVEL,
    Belief,
    Hint,
    capped,
    coordinates,
    improvement,
    normal_scores,
)
from asng.space import Categorical, Integer, Real, Space

SIZE, SHARED = Hint(gain=0.7, doubt=0.4, hidden=0.5), Hint(gain=1.0, doubt=0.3)
RELIABILITY = 0.6


def some(seed, n=9, m=6, variables=5):
    """Coordinates of n trained and m others, three of five variables without order; hints; losses."""
    rng = np.random.default_rng(seed)
    ordered = np.arange(variables) >= 3
    x = np.where(ordered, rng.random((n + m, variables)), rng.integers(0, 3, (n + m, variables)))
    x[rng.random(x.shape) < 0.15] = np.nan  # not read
    hints = rng.standard_normal((n + m, 2))
    return ordered, x, hints, rng.standard_normal(n) * 3.0 + 5.0


def posterior(ordered, x, hints, losses, size=SIZE, reliability=RELIABILITY):
    n = len(losses)
    return Belief(ordered, x[:n], hints[:n], losses, [size, SHARED], reliability).of(x[n:], hints[n:])


# --- the posterior ---------------------------------------------------------------------------------------


def distance(one, other, ordered):
    total = 0.0
    for a, b, has_order in zip(one, other, ordered, strict=True):
        if math.isnan(a) and math.isnan(b):
            continue
        if math.isnan(a) or math.isnan(b):
            total += 1.0
        else:
            total += abs(a - b) if has_order else float(a != b)
    return total


def textbook(ordered, x, hints, losses):
    """Rasmussen and Williams, equations 2.25 and 2.26, over all pairs, with the likeliest length."""
    n, every = len(losses), range(len(x))
    gains, doubts, hidden = (
        np.array([getattr(hint, name) for hint in (SIZE, SHARED)]) for name in Hint._fields
    )
    y = (losses - losses.mean()) / losses.std()
    prior = math.sqrt(RELIABILITY) * -hints @ gains
    prior -= prior[:n].mean()
    apart = np.array([[distance(x[i], x[j], ordered) for j in every] for i in every])
    linear, own = (
        np.array([[sum(hints[i] * deviations**2 * hints[j]) for j in every] for i in every])
        for deviations in (doubts, hidden)
    )
    noise = RELIABILITY * own[:n, :n] + (1.0 - RELIABILITY) * np.eye(n)

    def covariance(length):
        return RELIABILITY * (np.exp(-apart / length) + linear + LEVEL)

    def evidence(length):
        return multivariate_normal.logpdf(y, prior[:n], covariance(length)[:n, :n] + noise)

    k = covariance(max((share * x.shape[1] for share in LENGTHS), key=evidence))
    solved = k[n:, :n] @ np.linalg.inv(k[:n, :n] + noise)
    mean = prior[n:] + solved @ (y - prior[:n])
    variance = np.diag(k[n:, n:] - solved @ k[:n, n:])
    return losses.mean() + losses.std() * mean, losses.std() * np.sqrt(variance)


@pytest.mark.parametrize("seed", range(20))
def test_the_posterior_is_the_textbooks(seed):
    ordered, x, hints, losses = some(seed, n=2 + seed)
    losses = capped(losses)
    for mine, theirs in zip(
        posterior(ordered, x, hints, losses), textbook(ordered, x, hints, losses), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)


def gaps(size_hint):
    """Of two that differ in size alone: by how much the larger is believed to be better, in deviations.

    After losses that fall with size, that have nothing to do with it, and that rise with it.
    """
    ordered, x, hints, _ = some(0, n=20, m=2)
    x[20:], hints[20:] = x[20], [[-1.0, 0.0], [1.0, 0.0]]
    size = np.linspace(-1.5, 1.5, 20)
    hints[:20, 0] = size
    found = []
    for losses in (-size, np.random.default_rng(1).permutation(size), size):
        small, large = posterior(ordered, x, hints, losses, size_hint)[0] / losses.std()
        found.append(float(small - large))
    return found


def test_a_hint_that_losses_contradict_is_believed_less():
    falling, random, rising = gaps(SIZE._replace(hidden=0.0))
    assert falling > random > rising
    assert falling > 2 * SIZE.gain * math.sqrt(RELIABILITY) > random
    assert rising < 0.0  # twenty losses outweigh the prior


def test_losses_say_less_of_a_hint_that_they_have_a_part_of_their_own_in():
    plain, hidden = gaps(SIZE._replace(hidden=0.0)), gaps(SIZE._replace(hidden=5.0))
    assert plain[0] > hidden[0] > hidden[2] > plain[2]
    assert hidden == pytest.approx([2 * SIZE.gain * math.sqrt(RELIABILITY)] * 3, rel=0.25)


def test_with_few_losses_a_hint_is_believed_by_its_prior():
    ordered, x, hints, _ = some(0, n=2, m=2)
    x[:], hints[:2], hints[2:] = x[0], 0.0, [[-1.0, 0.0], [1.0, 0.0]]
    losses = np.array([0.0, 2.0])  # of deviation 1
    small, large = posterior(ordered, x, hints, losses)[0]
    assert small - large == pytest.approx(2 * SIZE.gain * math.sqrt(RELIABILITY))


def test_losses_of_which_more_is_chance_are_believed_less():
    ordered, x, hints, losses = some(6)
    hints[:], x[9:], losses[0] = 0.0, x[0], losses.min()
    means = [posterior(ordered, x, hints, losses, reliability=q)[0][0] for q in (0.9, 0.6, 0.1)]
    assert losses[0] < means[0] < means[1] < means[2] < losses.mean()


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e9])
def test_a_loss_that_is_far_off_or_not_finite_counts_as_a_bad_one(bad):
    ordered, x, hints, losses = some(3)
    losses[2] = bad
    sound = np.delete(losses, 2)
    middle = np.median(np.append(sound, math.inf))
    cut = middle + 2.0 * (middle - sound.min())
    expected = posterior(ordered, x, hints, np.minimum(np.nan_to_num(losses, nan=math.inf), cut))
    np.testing.assert_array_equal(posterior(ordered, x, hints, losses), expected)


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf]), min_size=1, max_size=12))
def test_capping_keeps_the_better_half_and_no_order_is_turned_round(losses):
    given_, found = np.where(np.isfinite(losses), losses, np.inf), capped(np.array(losses))
    assert np.isfinite(found).all()
    order = np.argsort(given_, kind="stable")
    assert (np.diff(found[order]) >= 0.0).all()
    better = given_ <= np.median(given_)
    better &= np.isfinite(given_)
    np.testing.assert_array_equal(found[better], given_[better])


def test_without_any_finite_loss_hints_are_all_there_is():
    ordered, x, hints, losses = some(3)
    x[9:] = x[9]
    mean, std = posterior(ordered, x, hints, np.full_like(losses, np.nan))
    assert np.isfinite(mean).all()
    assert (std > 0.0).all()
    assert np.ptp(mean) > 0.1


@pytest.mark.parametrize("spread", [3.0, 0.0])  # 0.0: all losses are equal, as all at the level of chance
def test_shift_and_scale_of_losses_are_those_of_the_belief(spread):
    ordered, x, hints, losses = some(4)
    losses = (losses - 5.0) * spread
    scale = 100.0 if spread else 1.0  # equal ones have none
    mean, std = posterior(ordered, x, hints, losses)
    others = posterior(ordered, x, hints, scale * losses + 0.9)  # 0.9 nine times: the mean is not quite 0.9
    np.testing.assert_allclose(others[0], scale * mean + 0.9, rtol=1e-9)
    np.testing.assert_allclose(others[1], scale * std, rtol=1e-9)


def test_names_of_categories_and_the_order_of_trainings_do_not_matter():
    ordered, x, hints, losses = some(5)
    expected = posterior(ordered, x, hints, losses)
    renamed = x.copy()
    for column in range(3):
        renamed[:, column] = np.choose(np.nan_to_num(x[:, column]).astype(int), [2.0, 0.0, 1.0])
    renamed[np.isnan(x)] = np.nan
    np.testing.assert_allclose(posterior(ordered, renamed, hints, losses), expected)
    order = np.r_[np.random.default_rng(0).permutation(9), 9:15]
    np.testing.assert_allclose(posterior(ordered, x[order], hints[order], losses[order[:9]]), expected)


def test_what_was_trained_is_believed_more_surely_and_nearer_to_its_loss_than_what_is_far_off():
    ordered, x, hints, losses = some(6)
    hints[:], losses[0] = 0.0, losses.min() - 9.0
    x[9], x[10] = x[0], np.nan_to_num(x[0]) + 7.0
    mean, std = posterior(ordered, x, hints, losses)
    assert mean[0] < mean[1]
    assert std[0] < std[1]


# --- coordinates and hints -------------------------------------------------------------------------------

SPACE = Space(
    {
        "op": Categorical(["a", "b", "c"]),
        "width": Integer(2, 32, log=True),
        "rate": Real(0.1, 0.5),
        "fixed": Integer(3, 3),
    }
)


def test_coordinates_of_ordered_variables_go_from_0_to_1_and_what_is_not_read_has_none():
    children = [
        {"op": "a", "width": 2, "rate": 0.1, "fixed": 3},
        {"op": "c", "width": 8, "rate": 0.3},
        {"width": 32, "rate": 0.5},
    ]
    expected = [[0.0, 0.0, 0.0, 0.0], [2.0, 0.5, 0.5, math.nan], [math.nan, 1.0, 1.0, math.nan]]
    np.testing.assert_allclose(coordinates(SPACE, children), expected)


def test_normal_scores_go_by_rank_alone_and_what_is_not_finite_ranks_least():
    values = np.array([3.0, 1.0, 2.0, 2.0])
    scores = normal_scores(values)
    np.testing.assert_array_equal(normal_scores(np.exp(values)), scores)
    assert scores[1] < scores[2] == scores[3] < scores[0]
    assert scores.sum() == pytest.approx(0.0)
    for bad in (math.nan, -math.inf, math.inf):
        assert np.argmin(normal_scores(np.array([3.0, bad, 2.0]))) == 1


def test_values_are_ranked_among_others_and_stay_finite_beyond_them():
    among = np.arange(9.0)
    below, median, above = normal_scores(np.array([-50.0, 4.0, 50.0]), among)
    assert below == pytest.approx(-above)
    assert below < median == 0.0
    assert math.isfinite(above)


# --- expected improvement --------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (2.0, 0.5), (-1.0, 3.0), (0.4, 0.01)])
def test_the_expected_improvement_is_the_mean_of_what_is_gained(mean, std):
    best, n = 0.5, 100_000
    draws = mean + std * np.random.default_rng(0).standard_normal(n)
    gained = np.maximum(best - draws, 0.0)
    error = 4.5 * gained.std() / math.sqrt(n)  # a false alarm once in 150,000
    expected = improvement(np.array([mean]), np.array([std]), best)[0]
    assert expected == pytest.approx(gained.mean(), abs=error + 1e-9)
