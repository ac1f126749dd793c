"""The objective against autograd, and its expectation against samples."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asng.experiments.toy.problem import (
    add_gradient,
    excess,
    losses,
    noise_scale,
    positions,
    prices,
    stop_level,
)

SIZES = st.tuples(st.integers(2, 6), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))


def drawn(sizes, seed):
    """Return x, c and z of K, D, runs, lam."""
    choices, variables, runs, lam = sizes
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((choices, variables, runs))
    return x, rng.integers(0, choices, (lam, variables, runs)), rng.standard_normal((variables, runs))


def at_choices(x, c):
    """Return x at the choices, and what these cost, as the losses want them."""
    return x.reshape(-1)[positions(c)], prices(c, len(x))


def written_out(x, c, z):
    """The loss of one architecture of one run, from the formula: x (K, D), c (D,), z (D,)."""
    choices = len(x)
    return sum((x[k, i] - z[i]) ** 2 + k / choices for i, k in enumerate(c))


@given(SIZES, st.integers(0, 1000))
def test_losses_are_the_formula(sizes, seed):
    x, c, z = drawn(sizes, seed)
    got = losses(*at_choices(x, c), z)
    for lam, run in np.ndindex(got.shape):
        assert got[lam, run] == pytest.approx(written_out(x[:, :, run], c[lam, :, run], z[:, run]))


@given(SIZES, st.integers(0, 1000))
def test_the_gradient_is_that_of_autograd(sizes, seed):
    x, c, z = drawn(sizes, seed)
    g = np.ones_like(x)
    add_gradient(g, positions(c), at_choices(x, c)[0], z)
    weights = torch.tensor(x, requires_grad=True)
    one_hot = torch.nn.functional.one_hot(torch.tensor(c), len(x)).movedim(-1, 1).double()
    prices = torch.arange(len(x), dtype=torch.float64)[:, None, None] / len(x)
    f = one_hot * ((weights - torch.tensor(z)) ** 2 + prices)
    f.sum(dim=(1, 2)).mean(dim=0).sum().backward()
    np.testing.assert_allclose(g - 1.0, weights.grad.numpy(), atol=1e-12)


def test_the_excess_is_the_expected_loss_less_its_least_value():
    choices, variables, draws = 5, 30, 20_000
    x, c, _ = drawn((choices, variables, 1, 3), 0)
    exact = excess(*at_choices(x, c)) + variables / choices**2
    # As many runs of the same weights, each with a draw of its own.
    x, c = np.repeat(x, draws, axis=-1), np.repeat(c, draws, axis=-1)
    z = noise_scale(choices) * np.random.default_rng(1).standard_normal((variables, draws))
    sampled = losses(*at_choices(x, c), z)
    # Three means of a fixed seed: one beyond 5 standard errors would come up in 2 of a million seeds.
    errors = np.abs(sampled.mean(axis=1) - exact[:, 0])
    assert np.all(errors < 5 * sampled.std(axis=1) / np.sqrt(draws))


@given(st.integers(2, 9), st.integers(1, 6), st.data())
def test_the_stop_level_asks_for_the_first_choice_everywhere(choices, variables, data):
    c = data.draw(st.lists(st.integers(0, choices - 1), min_size=variables, max_size=variables))
    c = np.array(c).reshape(1, variables, 1)
    least = excess(*at_choices(np.zeros((choices, variables, 1)), c))[0, 0]
    assert (least < stop_level(choices)) == (not c.any())
