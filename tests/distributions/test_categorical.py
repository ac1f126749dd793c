"""The flat vector of ragged categoricals, one variable at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asng.distributions import Categoricals

COUNTS = st.lists(st.integers(2, 9), min_size=1, max_size=6)


def drawn(counts, seed):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.dirichlet(np.ones(k)) for k in counts])


@given(COUNTS, st.integers(0, 999))
def test_sample_is_the_inverse_distribution_function_of_each_variable(counts, seed):
    family, p = Categoricals(counts), drawn(counts, seed)
    u = np.random.default_rng(seed).random((5, len(counts)))
    got = family.sample(p, u)
    for d, part in enumerate(np.split(p, family.ends[:-1])):
        expected = np.minimum(np.searchsorted(np.cumsum(part), u[:, d], side="right"), counts[d] - 1)
        np.testing.assert_array_equal(got[:, d], expected)


@given(COUNTS, st.integers(0, 999))
def test_a_draw_never_leaves_its_variable(counts, seed):
    family, p = Categoricals(counts), drawn(counts, seed)
    for u in (0.0, 1.0 - 2**-53, 1.0):
        got = family.sample(p, np.full((1, len(counts)), u))
        assert ((got >= 0) & (got < counts)).all()


def test_sampling_stays_exact_with_many_variables():
    family = Categoricals([4] * 100_000)
    got = family.sample(family.initial(), np.tile([[0.2499999999], [0.2500000001], [0.9999999999]], 100_000))
    assert [set(row.tolist()) for row in got] == [{0}, {1}, {3}]


@given(COUNTS, st.integers(0, 999))
def test_mode_is_the_first_largest_probability(counts, seed):
    family, p = Categoricals(counts), drawn(counts, seed)
    parts = np.split(p, family.ends[:-1])
    np.testing.assert_array_equal(family.mode(p), [part.argmax() for part in parts])
    np.testing.assert_array_equal(family.mode(family.initial()), 0)


@given(
    COUNTS, st.sampled_from(["default", "paper"]), st.floats(1e-6, 0.999), st.none() | st.integers(1, 10**6)
)
def test_margins_are_feasible(counts, rules, settled, among):
    family = Categoricals(counts, rules=rules, settled=settled, among=among)
    assert (family.theta_min > 0).all()
    assert (family.theta_min * family.counts < 1).all()


def test_the_papers_margin_is_kept_where_it_is_feasible():
    np.testing.assert_allclose(Categoricals([2, 5, 3], rules="paper").theta_min, [1 / 3, 1 / 12, 1 / 6])
    assert Categoricals([2, 2], rules="paper").theta_min[0] == pytest.approx(1 - 0.73**0.5)


@given(st.lists(st.integers(2, 6), min_size=3, max_size=9), st.floats(0.5, 0.99))
def test_all_modes_are_drawn_with_the_chance_given_at_the_margins(counts, settled):
    family = Categoricals(counts, settled=settled)
    assert np.prod(1 - family.theta_min * (family.counts - 1)) == pytest.approx(settled)


def test_that_chance_is_shared_with_the_variables_of_other_families():
    alone, among = Categoricals([3] * 9), Categoricals([3] * 4, among=9)
    np.testing.assert_array_equal(among.theta_min, alone.theta_min[:4])


def test_the_margin_is_at_most_half_of_a_uniform_share():
    np.testing.assert_allclose(Categoricals([4], settled=0.1).theta_min, [1 / 8])


@given(COUNTS, st.integers(0, 999))
def test_projecting_twice_changes_nothing(counts, seed):
    family = Categoricals(counts)
    once = family.project(drawn(counts, seed) + 0.0)
    np.testing.assert_allclose(family.project(once), once, rtol=1e-12)


def test_projection_of_an_overshooting_step_gives_all_to_the_best():
    family = Categoricals([3], settled=0.7)
    p = family.project(np.array([3.0, -1.0, -1.0]))
    np.testing.assert_allclose(p, [0.7, 0.15, 0.15])


@given(COUNTS, st.integers(0, 999))
def test_a_variable_without_a_gradient_keeps_its_probabilities_to_the_last_bit(counts, seed):
    family, rng = Categoricals([4, *counts]), np.random.default_rng(seed)
    p = family.project(drawn([4, *counts], seed))
    G = rng.standard_normal(len(p)) * (family.segments.owner == 0)
    for _ in range(3):
        moved = family.move(p, G, 0.1)
        np.testing.assert_array_equal(moved[4:], p[4:])
        np.testing.assert_array_equal(moved[:4], family.project(p + 0.1 * G)[:4])
        p = moved


def test_entropy_is_1_when_uniform_and_falls():
    family = Categoricals([2, 5])
    assert family.entropy(family.initial()) == pytest.approx([1, 1])
    assert family.entropy(np.array([0.9, 0.1, 0.96, 0.01, 0.01, 0.01, 0.01]))[1] < 0.2


def test_a_mean_over_samples_is_theta_in_expectation():
    # 40,000 draws, standard error below 0.0025; 0.0125 is 5 of them: false alarm below 1e-5 for 8 entries.
    family, p = Categoricals([3, 5]), drawn([3, 5], 0)
    c = family.sample(p, np.random.default_rng(0).random((40_000, 2)))
    G = family.natural_gradient(p, c, np.ones((40_000, 1)))
    assert np.abs(G).max() < 0.0125
