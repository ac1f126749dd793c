"""Gaussians of ordered variables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asng.distributions import Gaussians
from asng.space import Integer, Real

ALL = [
    Integer(0, 10),
    Real(-1.0, 3.0),
    Integer(1, 2, log=True),
    Integer(16, 256, log=True),
    Real(1e-4, 1.0, log=True),
]


def test_the_search_starts_in_the_middle_with_half_the_range():
    mean, std = Gaussians(ALL).initial()
    np.testing.assert_allclose(mean[:2], [5, 1])
    np.testing.assert_allclose(std[:2], [5, 2])
    assert mean[3] == pytest.approx(math.log(64))
    assert std[3] == pytest.approx(math.log(4))


def test_the_smallest_std_is_a_quarter_of_a_unit_or_a_millionth_of_the_range():
    family = Gaussians(ALL)
    low = family.std_min(np.log([1.0, 1.0, 1.0, 100.0, 1.0]))
    np.testing.assert_allclose(low, [0.25, 4e-6, 0.25, 0.0025, 1e-6 * math.log(1e4)])


@given(st.floats(0, 1, exclude_max=True))
def test_draws_follow_the_quantile_function_and_are_finite(u):
    x = Gaussians(ALL).sample(np.zeros(5), np.ones(5), np.full((1, 5), u))
    assert (np.abs(x) < 9).all()
    assert ((x < 0) == (u < 0.5)).all() or u == 0.5


def test_uniform_gives_every_integer_the_same_share():
    u = (np.arange(400)[:, None] + 0.5) / 400
    x = Gaussians([Integer(1, 8, log=True)]).uniform(u)
    values, counts = np.unique([Integer(1, 8, log=True).decode(v) for v in x[:, 0]], return_counts=True)
    np.testing.assert_array_equal(values, range(1, 9))
    np.testing.assert_array_equal(counts, 50)


def test_uniform_covers_reals_to_their_bounds():
    x = Gaussians([Real(-1.0, 3.0)]).uniform(np.array([[0.0], [0.5], [1 - 2**-53]]))
    np.testing.assert_allclose(x[:, 0], [-1, 1, 3])


def test_the_spread_of_a_real_follows_the_second_moment_only():
    family = Gaussians([Real(-50.0, 50.0), Integer(-50, 50)])
    one = np.ones(2)
    _, std = family.move(0 * one, 8 * one, 0.6 * one, 0 * one, 1.0)
    np.testing.assert_allclose(std, [8.0, 8.0 * math.exp(-0.18)])


@pytest.mark.parametrize("g2", [-math.sqrt(2), -1.0, 0.0, 1.0, math.sqrt(2)])
def test_a_step_of_length_1_keeps_at_least_047_of_the_spread(g2):
    family = Gaussians([Integer(-50, 50), Real(-50.0, 50.0)])
    one = np.ones(2)
    g1 = math.sqrt(max(1 - g2**2 / 2, 0.0))
    _, std = family.move(0 * one, 20 * one, g1 * one, g2 * one, 1.0)
    assert (std > 0.47 * 20).all()


def test_short_steps_agree_with_the_papers():
    plain, paper = (Gaussians([Integer(-50, 50)], rules=rules) for rules in ("default", "paper"))
    at = [np.array([v]) for v in (3.0, 8.0, 0.7, -0.9)]
    for eps in (1e-3, 1e-4):
        a, b = plain.move(*at, eps), paper.move(*at, eps)
        np.testing.assert_allclose(a, b, atol=10 * eps**2)


def test_entropy_goes_from_1_to_0_with_the_spread():
    family = Gaussians(ALL)
    mean, std = family.initial()
    np.testing.assert_allclose(family.entropy(mean, std), 1)
    np.testing.assert_allclose(family.entropy(mean, family.std_min(mean)), 0, atol=1e-12)


@pytest.mark.parametrize("low", [1, 2, 7, 1000])
def test_the_smallest_std_of_a_log_integer_is_below_half_of_its_range(low):
    family = Gaussians([Integer(low, low + 1, log=True)])
    assert (family.std_min(family.low) < family.std_max).all()


def test_steps_set_the_smallest_spread_and_the_values_of_uniform_draws():
    family = Gaussians(
        [Integer(8, 64, step=8), Integer(8, 64, step=8, log=True), Integer(1, 1001, step=1000)]
    )
    assert family.std_min(np.array([40.0, np.log(16.0), 500.0])).tolist() == [2.0, 0.125, 250.0]
    u = np.arange(0.5, 8.5)[:, None].repeat(3, axis=1) / 8
    raw = family.uniform(u)
    assert raw[:, 0].tolist() == list(range(8, 65, 8))
    assert np.exp(raw[:, 1]).round(9).tolist() == list(range(8, 65, 8))
    assert sorted(set(raw[:, 2])) == [1.0, 1001.0]
