"""Laws of the update."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from optim_oracle import random_space

from asng.distributions import Categoricals, Gaussians, Product
from asng.optim.draws import draw_uniforms
from asng.optim.ranking import utilities
from asng.optim.step import Settings, first_state, step
from asng.space import Categorical, Integer, Real, Space

LOSSES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=20).map(np.array)


@given(LOSSES)
def test_utilities_do_not_change_by_an_increasing_map(losses):
    u = utilities(losses)
    for better in (losses * 3 + 100, losses**3, np.exp(losses), np.exp(losses) * -1e-300 * -1):
        np.testing.assert_array_equal(utilities(better), u)


@given(LOSSES, st.randoms(use_true_random=False))
def test_utilities_follow_their_samples_in_any_order(losses, random):
    order = random.sample(range(len(losses)), len(losses))
    np.testing.assert_array_equal(utilities(losses[order]), utilities(losses)[order])


@given(LOSSES)
def test_utilities_sum_to_0_and_ties_share(losses):
    u = utilities(losses)
    assert abs(u.sum()) < 1e-12
    for value in set(losses):
        assert len(set(u[losses == value])) == 1


@given(LOSSES)
def test_a_lower_loss_never_has_a_lower_utility(losses):
    u = utilities(losses)
    assert (np.diff(u[np.argsort(losses, kind="stable")]) <= 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_ranks_worst(bad):
    np.testing.assert_array_equal(utilities(np.array([bad, 1e300, 0.0, 1.0])), [-1.0, 0.0, 1.0, 0.0])


@given(st.integers(0, 10_000), st.sampled_from(["default", "paper"]))
def test_a_step_keeps_simplex_margins_and_bounds(seed, rules):
    rng = np.random.default_rng(seed)
    product = Product(random_space(rng), rules=rules)
    state = first_state(product)
    cat, gauss = product.categoricals, product.gaussians
    for _ in range(5):
        x = product.sample(state.theta, rng.random((4, product.n_free)))
        state = step(product, Settings(delta_init=2.0), state, x, rng.standard_normal(4))
        p, mean, std = state.theta
        np.testing.assert_allclose(np.bincount(cat.segments.owner, p, cat.size), 1, rtol=1e-12)
        assert (p >= cat.theta_min[cat.segments.owner] * (1 - 1e-12)).all()
        assert ((gauss.low <= mean) & (mean <= gauss.high)).all()
        assert ((gauss.std_min(mean) <= std) & (std <= gauss.std_max)).all()


@given(st.integers(0, 10_000), st.sampled_from(["default", "paper"]))
def test_the_step_has_length_delta_before_projection(seed, rules):
    rng = np.random.default_rng(seed)
    product = Product(random_space(rng), rules=rules)
    theta = product.initial()
    x = product.sample(theta, rng.random((4, product.n_free)))
    G = product.natural_gradient(theta, x, np.array([1.0, 0.0, 0.0, -1.0]))
    root = product.fisher_root(theta, G)
    norm = math.sqrt(root @ root)
    if norm > 1e-6:
        taken = product.fisher_root(theta, type(G)(*(0.7 / norm * part for part in G)))
        assert math.sqrt(taken @ taken) == pytest.approx(0.7, rel=1e-12)


def fisher_by_autograd(log_likelihood, theta, points, weights):
    """Return E[score score^T] over points with weights."""
    total = torch.zeros(len(theta), len(theta), dtype=torch.float64)
    for point, weight in zip(points, weights, strict=True):
        t = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        (score,) = torch.autograd.grad(log_likelihood(t, point), t)
        total += weight * torch.outer(score, score)
    return total.numpy()


@pytest.mark.parametrize("rules", ["default", "paper"])
@pytest.mark.parametrize("k", [2, 3, 6])
def test_the_categorical_root_has_the_fisher_norm(rules, k):
    rng = np.random.default_rng(k)
    family = Categoricals([k], rules=rules)
    p = rng.dirichlet(np.ones(k))
    G = rng.standard_normal(k)
    G -= G.mean()

    def log_likelihood(free, c):
        return torch.log(torch.cat((free, 1 - free.sum()[None]))[c])

    F = fisher_by_autograd(log_likelihood, p[:-1], range(k), p)
    root = family.fisher_root(p, G)
    assert root @ root == pytest.approx(G[:-1] @ F @ G[:-1], rel=1e-10)


@pytest.mark.parametrize("rules", ["default", "paper"])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (3.0, 0.7), (-2.0, 2.5)])
def test_the_gaussian_root_has_the_fisher_norm(rules, mean, std):
    g1, g2 = 0.3, -0.8
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    G = np.array([std * g1, 2 * mean * std * g1 + std**2 * g2])

    def log_likelihood(theta, x):
        variance = theta[1] - theta[0] ** 2
        return -0.5 * torch.log(variance) - (x - theta[0]) ** 2 / (2 * variance)

    F = fisher_by_autograd(
        log_likelihood, [mean, mean**2 + std**2], mean + std * nodes, weights / weights.sum()
    )
    family = Gaussians([Real(-5.0, 5.0)], rules=rules)
    root = family.fisher_root(*map(np.atleast_1d, (mean, std, g1, g2)))
    assert root @ root == pytest.approx(G @ F @ G, rel=1e-8)


def test_the_natural_gradient_of_a_categorical_is_that_of_the_log_likelihood():
    p, c = np.array([0.2, 0.5, 0.3]), np.array([[2]])
    F = np.diag(1 / p[:-1]) + 1 / p[-1]
    score = -1 / p[-1] * np.ones(2)
    G = Categoricals([3]).natural_gradient(p, c, np.ones((1, 1)))
    np.testing.assert_allclose(G[:-1], np.linalg.solve(F, score))


def test_noiseless_steps_lower_the_exact_objective_on_average():
    # Deterministic seeds; without signal the mean change would be 0, here it is far below.
    space = Space({f"c{i}": Categorical(range(3)) for i in range(4)})
    points = np.array(list(itertools.product(range(3), repeat=4)), dtype=float)
    f = ((points - [0, 1, 2, 1]) ** 2).sum(axis=1)
    product = Product(space)

    def objective(theta):
        p = theta.p.reshape(4, 3)
        chance = np.prod([p[d, points[:, d].astype(int)] for d in range(4)], axis=0)
        return chance @ f

    changes = []
    for seed in range(50):
        rng, state = np.random.default_rng(seed), first_state(product)
        before = objective(state.theta)
        for _ in range(5):
            x = product.sample(state.theta, draw_uniforms(rng, 4, 4, "stratified", 4))
            state = step(product, Settings(delta_init=0.3), state, x, ((x - [0, 1, 2, 1]) ** 2).sum(axis=1))
        changes.append(objective(state.theta) - before)
    assert np.mean(changes) < -10 * np.std(changes) / math.sqrt(50)


def test_samples_that_coincide_change_nothing():
    product = Product(Space({"a": Categorical([0, 1, 2]), "i": Integer(0, 9)}))
    state = first_state(product)
    assert step(product, Settings(), state, np.repeat([[1.0, 3.0]], 9, axis=0), np.arange(9.0)) is state


def test_by_the_papers_rules_the_step_size_goes_on_where_samples_coincide():
    product = Product(Space({"a": Categorical([0, 1, 2]), "i": Integer(0, 9)}), rules="paper")
    state = first_state(product)
    x = np.repeat([[1.0, 3.0]], 9, axis=0)
    new = step(product, Settings(), state, x, np.arange(9.0))
    np.testing.assert_array_equal(new.theta.p, state.theta.p)
    np.testing.assert_array_equal(new.theta.mean, state.theta.mean)
    assert new.gamma > 0
    assert new.Delta > 1


def test_a_step_edits_nothing_that_it_was_given():
    product = Product(Space({"a": Categorical([0, 1, 2]), "i": Integer(0, 9)}))
    state = first_state(product)
    x, losses = product.sample(state.theta, np.random.default_rng(0).random((4, 2))), np.arange(4.0)
    given_before = [v.copy() for v in (*state.theta, state.s, x, losses)]
    step(product, Settings(), state, x, losses)
    for now, then in zip((*state.theta, state.s, x, losses), given_before, strict=True):
        np.testing.assert_array_equal(now, then)
