"""The fast update equals the slow one."""

import numpy as np
import pytest
from optim_oracle import random_space, slow_step, slow_utilities

from asng.distributions import Product, Theta, ThetaView
from asng.optim.ranking import utilities
from asng.optim.step import Settings, State, first_state, step


def random_state(rng, product):
    first = product.initial()
    p = first.p * (rng.random(len(first.p)) + 1e-3)
    if product.categoricals.size:
        p /= np.add.reduceat(p, product.categoricals.starts)[product.categoricals.segments.owner]
        p = product.categoricals.project(p)
    mean = rng.uniform(product.gaussians.low, product.gaussians.high)
    low = product.gaussians.std_min(mean)
    std = low + rng.random(len(mean)) * (product.gaussians.std_max - low)
    size = len(first_state(product).s)
    s = rng.standard_normal(size) / np.sqrt(size)
    return State(
        Theta(p, mean, std), s, float(rng.random()), float(rng.uniform(0.2, 5)), int(rng.integers(0, 30))
    )


def compare(rng, rules, *, kinds=("c", "i", "r", "li", "lr"), tolerance=1e-12):
    space = random_space(rng, kinds)
    product = Product(space, rules=rules)
    state = random_state(rng, product)
    bounds = {} if rules == "paper" else {"delta_max": 2.0, "early": bool(rng.random() < 0.8)}
    settings = Settings(alpha=1.5, delta_init=float(rng.uniform(0.05, 2)), Delta_max=4.0, **bounds)
    lam = int(rng.integers(2, 10))
    x = product.sample(state.theta, rng.random((lam, product.n_free)))
    losses = rng.integers(-3, 3, lam).astype(float)
    losses[rng.random(lam) < 0.1] = np.nan
    active = (rng.random((lam, len(space))) < 0.7).astype(float) if rng.random() < 0.4 else None
    before = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in ThetaView(product, state.theta).items()
    }
    new = step(product, settings, state, x, losses, active)
    slow = slow_step(
        space,
        rules == "paper",
        settings,
        before,
        state.s.tolist(),
        state.gamma,
        state.Delta,
        state.updates,
        x,
        losses,
        active,
    )
    for name, value in ThetaView(product, new.theta).items():
        np.testing.assert_allclose(value, slow[0][name], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(new.s, slow[1], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose([new.gamma, new.Delta], slow[2:], rtol=tolerance)


def test_the_fast_step_equals_the_slow_one_on_random_states():
    rng = np.random.default_rng(0)
    for _ in range(400):
        compare(rng, "default")


def test_the_papers_rules_equal_the_slow_eigendecomposition():
    # The slow form works in (E[x], E[x^2]) and cancels: up to (mean / std)^4 = 4e7 roundings here.
    rng = np.random.default_rng(1)
    for _ in range(400):
        compare(rng, "paper", kinds=("c", "i"), tolerance=1e-7)


@pytest.mark.parametrize("lam", range(2, 14))
def test_utilities_equal_the_slow_ones(lam):
    rng = np.random.default_rng(lam)
    for _ in range(50):
        losses = rng.choice([-1.0, 0.0, 2.0, np.inf, np.nan, -np.inf, 5.0], lam)
        np.testing.assert_allclose(utilities(losses), slow_utilities(losses), rtol=1e-14)
