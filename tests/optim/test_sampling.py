"""Uniform numbers of every kind."""

import numpy as np
import pytest

from asng.optim.draws import draw_uniforms

KINDS = ["stratified", "independent", "mirrored"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_each_number_is_uniform_by_itself(kind, n):
    # Kolmogorov-Smirnov at 4000 numbers: 0.0364 is passed by chance once in 20,000; seed 0; 24 tests.
    u = draw_uniforms(np.random.default_rng(0), n, 4000, kind, 0)
    assert u.shape == (n, 4000)
    assert ((u >= 0) & (u <= 1)).all()
    for row in u:
        assert np.abs(np.sort(row) - np.arange(4000) / 4000).max() < 0.0364


@pytest.mark.parametrize("n", [2, 3, 8])
def test_stratified_numbers_fill_every_stratum_once(n):
    u = draw_uniforms(np.random.default_rng(0), n, 500, "stratified", 0)
    np.testing.assert_array_equal(np.sort(np.floor(u * n - 1e-12 * u), axis=0)[:, 0], np.arange(n))
    gaps = np.diff(np.sort(u, axis=0), axis=0)
    np.testing.assert_allclose(gaps, 1 / n, atol=1e-12)


@pytest.mark.parametrize("n", [2, 4])
def test_strata_of_different_variables_are_in_independent_order(n):
    # Correlation of 4000 variable pairs: standard error 0.016; 0.08 is 5 of them (once in a million).
    u = draw_uniforms(np.random.default_rng(0), n, 8000, "stratified", 0)
    first, second = u[:, ::2] - 0.5, u[:, 1::2] - 0.5
    assert abs(np.mean(first * second) * 12) < 0.08


def test_the_order_of_the_strata_is_drawn_anew_for_each_variable():
    # Shares of 8000 draws, standard error 0.0053; 0.027 is 5 of them (once in a million).
    u = draw_uniforms(np.random.default_rng(0), 4, 8000, "stratified", 0)
    steps = np.rint(4 * ((u[1] - u[0]) % 1.0))
    np.testing.assert_allclose(np.bincount(steps.astype(int))[1:4] / 8000, 1 / 3, atol=0.027)


def test_mirrored_numbers_come_in_pairs_from_a_column_on():
    u = draw_uniforms(np.random.default_rng(0), 5, 4, "mirrored", 2)
    np.testing.assert_allclose(u[0, 2:] + u[1, 2:], 1)
    np.testing.assert_allclose(u[2, 2:] + u[3, 2:], 1)
    assert not np.allclose(u[0, :2] + u[1, :2], 1)
    assert not np.allclose(u[4], u[2])
