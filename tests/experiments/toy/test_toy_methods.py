"""The vectorised methods against the library's own, on the same draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asng.distributions import Categoricals, Product
from asng.experiments.toy.methods import METHODS, BatchedASNG, project, read_pair
from asng.experiments.toy.problem import positions, sample
from asng.optim import ASNG, SNG, Adam
from asng.optim.ranking import utilities
from asng.optim.step import Settings, first_state, step
from asng.space import Categorical, Space

VARIABLES, CHOICES = 7, 4
SPACE = Space({f"c{i}": Categorical(range(CHOICES)) for i in range(VARIABLES)})
DELTAS = np.array([2.0, 1.0, 0.3, 0.05, 0.001])


def made(name, rules, deltas=DELTAS, choices=CHOICES, variables=VARIABLES):
    theta_min = Categoricals([choices] * variables, rules=rules).theta_min[0]
    return METHODS[name]((choices, variables), deltas, theta_min)


def told(method, rng, tie=False):
    """Let a method sample, and tell losses that favour low choices, with noise; return both."""
    c = sample(method.theta, rng.random((2, *method.theta.shape[1:])))
    values = c.sum(axis=1) + rng.standard_normal(2)[:, None]
    # As on the problem itself: equal architectures have equal losses.
    values[1] = np.where(tie | (c[0] == c[1]).all(axis=0), values[0], values[1])
    method.tell(c, positions(c), values)
    return c, values


@pytest.mark.parametrize("make", [ASNG.paper, SNG, Adam])
def test_every_run_goes_as_the_librarys_own_optimiser(make):
    name, rng = getattr(make, "__name__", "ASNG").replace("paper", "ASNG"), np.random.default_rng(0)
    method = made(name, "paper" if name == "ASNG" else "default")
    size = "learning_rate" if name == "Adam" else "delta_init"
    own = [make(SPACE, **{size: float(delta)}) for delta in DELTAS]
    for t in range(300):
        c, values = told(method, rng, tie=t % 10 == 9)
        for run, opt in enumerate(own):
            pair = [SPACE.candidate([float(k) for k in one]) for one in c[:, :, run]]
            opt.tell(pair, values[:, run].tolist())
            expected = np.array([opt.theta[f"c{i}"] for i in range(VARIABLES)]).T
            np.testing.assert_allclose(method.theta[:, :, run], expected, rtol=1e-8, atol=1e-12)


def test_the_state_of_asng_follows_the_pure_update():
    rng, product = np.random.default_rng(1), Product(SPACE, rules="paper")
    method = made("ASNG", "paper")
    states = [first_state(product) for _ in DELTAS]
    for _ in range(300):
        c, values = told(method, rng)
        for run, delta in enumerate(DELTAS):
            x, losses = c[:, :, run].astype(float), values[:, run]
            states[run] = step(product, Settings(delta_init=float(delta)), states[run], x, losses)
    assert isinstance(method, BatchedASNG)
    np.testing.assert_allclose(method._Delta, [state.Delta for state in states], rtol=1e-8)
    np.testing.assert_allclose(method._gamma, [state.gamma for state in states], rtol=1e-8)
    s = np.stack([state.s.reshape(VARIABLES, CHOICES - 1).T for state in states], axis=-1)
    np.testing.assert_allclose(method._s[:-1], s, atol=1e-9)


@given(st.lists(st.sampled_from([0.0, 1.0, -1.0, math.nan, math.inf, -math.inf]), min_size=2, max_size=2))
def test_two_losses_have_the_utilities_of_the_ranking(pair):
    theta, c = np.full((2, 1, 1), 0.5), np.array([[[0]], [[1]]])
    got = read_pair(theta, c, positions(c), np.array(pair)[:, None])
    assert 2.0 * got.w[0, 0] == utilities(np.array(pair))[0]
    assert got.told[0] == bool(utilities(np.array(pair)).any())


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 1000))
def test_choices_are_those_of_the_librarys_sampling(choices, variables, seed):
    rng, family = np.random.default_rng(seed), Categoricals([choices] * variables)
    theta = rng.dirichlet(np.ones(choices), (variables, 3)).transpose(2, 0, 1)
    u = rng.random((4, variables, 3))
    c = sample(theta, u)
    for run in range(3):
        expected = family.sample(theta[:, :, run].T.ravel(), u[:, :, run])
        np.testing.assert_array_equal(c[:, :, run], expected)


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 1000))
def test_the_projection_is_that_of_the_library(choices, variables, seed):
    rng, family = np.random.default_rng(seed), Categoricals([choices] * variables, rules="paper")
    theta = 1.0 / choices + rng.standard_normal((choices, variables, 2))
    theta -= theta.mean(axis=0) - 1.0 / choices
    expected = np.stack([family.project(theta[:, :, run].T.ravel()) for run in range(2)], axis=-1)
    project(theta, family.theta_min[0])
    np.testing.assert_allclose(theta.transpose(1, 0, 2).reshape(-1, 2), expected, atol=1e-14)


@pytest.mark.parametrize("name", ["SNG", "Adam"])
@given(data=st.data())
def test_the_names_of_choices_do_not_matter(name, data):
    """Not so of ASNG by the paper's rules, whose root of the Fisher matrix singles out the last choice."""
    order = np.array(data.draw(st.permutations(range(CHOICES))))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    method, other = made(name, "paper"), made(name, "paper")
    for _ in range(20):
        c, values = told(method, rng)
        renamed = order[c]
        other.tell(renamed, positions(renamed), values)
    np.testing.assert_allclose(other.theta[order], method.theta, atol=1e-9)


@pytest.mark.parametrize("name", METHODS)
@given(seed=st.integers(0, 1000), reach=st.floats(1e-3, 10.0))
def test_probabilities_stay_in_their_bounds(name, seed, reach):
    rng = np.random.default_rng(seed)
    method = made(name, "paper", np.full(3, reach))
    theta_min = Categoricals([CHOICES] * VARIABLES, rules="paper").theta_min[0]
    for _ in range(30):
        told(method, rng)
    assert method.theta.min() >= theta_min * (1 - 1e-12)
    np.testing.assert_allclose(method.theta.sum(axis=0), 1.0, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_where_losses_tie_nothing_is_learnt(name):
    rng, method = np.random.default_rng(3), made(name, "paper")
    for _ in range(5):
        told(method, rng)
    before = method.theta.copy()
    for _ in range(5):
        told(method, rng, tie=True)
    np.testing.assert_allclose(method.theta, before, atol=1e-14)
