"""The prediction takes noise off and changes no expectation."""

import json

import numpy as np
import pytest
from optim_oracle import random_space
from test_step_oracle import random_state

from asng import ASNG, Categorical, Integer, Real, Space
from asng.distributions import Product, ScoreVectors
from asng.errors import InputError
from asng.optim.control_variate import ControlVariate, learnt, predicted
from asng.optim.ranking import normal_scores, utilities
from asng.optim.step import Settings, first_state, step


def drawn(seed, n):
    rng = np.random.default_rng(seed)
    product = Product(random_space(rng))
    theta = random_state(rng, product).theta
    return rng, product, theta, product.sample(theta, rng.random((n, product.n_free)))


@pytest.mark.parametrize("seed", range(20))
def test_along_is_the_adjoint_of_the_gradient(seed):
    rng, product, theta, x = drawn(seed, 5)
    u, active = rng.standard_normal(5), rng.random((5, len(product.space)))
    scores = ScoreVectors(product, theta, x, active)
    root = scores.mean(u)
    written_out = product.fisher_root(theta, product.natural_gradient(theta, x, u, active))
    np.testing.assert_allclose(root, written_out, rtol=1e-9, atol=1e-12)
    other = product.centred(theta, rng.standard_normal(len(root)))
    assert 5 * (root @ other) == pytest.approx(u @ scores.along(other), rel=1e-9, abs=1e-9)
    back = product.fisher_root(theta, product.from_root(theta, root))
    np.testing.assert_allclose(back, root, atol=1e-12)


def test_a_prediction_changes_no_expectation():
    # 4,000 generations of 4, seed 0; a mean 5 standard errors off occurs by chance once in a million.
    rng, product, theta, _ = drawn(3, 1)
    effects = rng.standard_normal(len(product.free_root(theta)))
    known = ControlVariate(effects, 1.0, 1.0)
    differences = []
    for _ in range(4000):
        x = product.sample(theta, rng.random((4, product.n_free)))
        w, v, c = predicted(product, theta, known, scores := ScoreVectors(product, theta, x))
        assert c == 1.0
        differences.append(w - scores.mean(v))
    error = np.std(differences, axis=0) / 4000**0.5
    assert (error > 0).any()
    assert (np.abs(np.mean(differences, axis=0)) <= 5 * error + 1e-12).all()


def test_what_is_linear_comes_to_be_foreseen():
    # Half of the best step and 11 degrees of freedom: after 300 generations of 4 almost no noise is left.
    product = Product(Space({"a": Categorical(range(4)), "b": Categorical(range(8)), "r": Real(0, 1)}))
    rng, theta = np.random.default_rng(0), product.initial()
    true = product.centred(theta, rng.standard_normal(len(product.free_root(theta))))
    known = ControlVariate.first(product)
    for _ in range(300):
        x = product.sample(theta, rng.random((4, product.n_free)))
        scores = ScoreVectors(product, theta, x)
        foreseen = predicted(product, theta, known, scores)
        u = scores.along(true)
        known = learnt(product, theta, known, scores, foreseen, u=u, weights=1.0, rate=0.1)
    np.testing.assert_allclose(foreseen.w, true, atol=0.05 * np.abs(true).max())
    assert foreseen.c == pytest.approx(1.0, abs=0.05)


def test_where_nothing_can_be_foreseen_the_prediction_is_hardly_used():
    product = Product(Space({f"c{i}": Categorical(range(5)) for i in range(10)}))
    settings = Settings(control_variate=True, scores=True)
    state = first_state(product, settings)
    rng, used = np.random.default_rng(0), []
    for _ in range(400):
        x = product.sample(state.theta, rng.random((8, product.n_free)))
        state = step(product, settings, state, x, rng.standard_normal(8))
        known = state.control_variate
        used.append(min(max(known.agreed / max(known.squared, 1e-300), 0.0), 1.0))
    assert np.mean(used[50:]) < 0.25


@pytest.mark.parametrize("lam", range(2, 12))
def test_normal_scores_order_and_sum_as_utilities_do(lam):
    rng = np.random.default_rng(lam)
    for _ in range(50):
        losses = rng.choice([-1.0, 0.0, 2.0, np.inf, np.nan, 5.0], lam)
        u, quarters = normal_scores(losses), utilities(losses)
        assert abs(u.sum()) < 1e-12
        assert u.any() == (len(set(np.where(np.isfinite(losses), losses, np.inf))) > 1)
        assert (u[quarters == quarters.max()] >= u.max() - 1e-12).any()
        np.testing.assert_array_equal(normal_scores(losses * 3 + 1), u)


def test_losses_below_zero_cost_nothing():
    space = Space({"c": Categorical(range(5)), "i": Integer(0, 9)})
    plain, shifted = ASNG(space), ASNG(space)
    for _ in range(30):
        for opt, by in ((plain, 0.0), (shifted, 1000.0)):
            candidates = opt.ask()
            opt.tell(candidates, [float(c["c"] + abs(c["i"] - 4)) - by for c in candidates])
    saved = [opt.state_dict() for opt in (plain, shifted)]
    losses = [np.array(state["former"].pop("losses")) for state in saved]
    assert saved[0] == saved[1]
    np.testing.assert_array_equal(losses[0], losses[1] + 1000.0)


@pytest.mark.parametrize(
    "options",
    [
        {"control_variate": True, "lam": 2},
        {"reuse": False},
        {"reuse": True, "lam": 2},
        {},
    ],
)
def test_a_search_with_options_goes_on_to_the_same_bits(options):
    space = Space({"c": Categorical(range(4)), "i": Integer(1, 64, log=True), "r": Real(-1, 1)})
    straight, other = ASNG(space, seed=1, **options), ASNG(space, seed=2, **options)
    for opt, updates in ((straight, 30), (other, 0)):
        for _ in range(updates):
            candidates = opt.ask()
            opt.tell(candidates, [c["i"] + c["r"] for c in candidates])
    other.load_state_dict(json.loads(json.dumps(straight.state_dict(), allow_nan=False)))
    for opt in (straight, other):
        for _ in range(10):
            candidates = opt.ask()
            opt.tell(candidates, [c["i"] + c["r"] for c in candidates])
    assert straight.state_dict() == other.state_dict()


@pytest.mark.parametrize(
    "options",
    [
        {"control_variate": True, "rules": "paper"},
        {"control_variate": 1},
        {"reuse": True, "rules": "paper"},
        {"reuse": 1},
    ],
)
def test_options_that_do_not_go_together_are_refused(options):
    with pytest.raises(InputError, match=r"control_variate|reuse"):
        ASNG(Space({"c": Categorical([0, 1])}), **options)
