"""Samples of the last update count by what they say of the present theta."""

import copy
import json
import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from onemax import choices, evaluations
from optim_oracle import random_space
from test_step_oracle import random_state

from asng import ASNG, Categorical, Integer, Real, Space
from asng.distributions import Product
from asng.errors import RunError
from asng.optim.reuse import SamplePool, kept, pooled
from asng.optim.step import Settings, first_state, step

MIXED = Space({"c": Categorical(range(4)), "i": Integer(0, 9), "r": Real(-1, 1), "d": Categorical([0, 1])})


def two_thetas(seed):
    rng = np.random.default_rng(seed)
    product = Product(random_space(rng))
    former, theta = (random_state(rng, product).theta for _ in range(2))
    return rng, product, former, theta


def probability(product, theta, row, read):
    """The density of one draw over what it read, written out variable by variable."""
    total, start = 1.0, 0
    for column, k in zip(product.choice_columns, product.categoricals.counts, strict=True):
        total *= theta.p[start + int(row[column])] if read[column] else 1.0
        start += k
    for column, mean, std in zip(product.ordered_columns, theta.mean, theta.std, strict=True):
        if read[column]:
            total *= statistics.NormalDist(mean, std).pdf(row[column])
    return total


@pytest.mark.parametrize("seed", range(20))
def test_weights_are_the_ratios_of_densities_over_what_was_read_cut_at_1(seed):
    rng, product, former, theta = two_thetas(seed)
    x, new = (product.sample(p, rng.random((4, product.n_free))) for p in (former, theta))
    active = (rng.random((4, len(product.space))) < 0.7).astype(float) if seed % 2 else None
    read = np.ones((4, len(product.space))) if active is None else active
    pool = pooled(
        product, theta, SamplePool(new, np.zeros(4), None), kept(product, former, x, np.ones(4), active)
    )
    ratios = [
        min(1.0, probability(product, theta, r, a) / probability(product, former, r, a))
        for r, a in zip(x, read, strict=True)
    ]
    np.testing.assert_allclose(pool.weights[4:] / pool.weights[0], ratios, rtol=1e-6)
    assert pool.weights.mean() == pytest.approx(1.0)
    np.testing.assert_array_equal(pool.x, np.concatenate((new, x)))
    assert (pool.active is None) == (active is None)


def test_samples_of_the_same_theta_count_in_full():
    # Twice lambda samples at once, or half of them before: one gradient.
    rng, product, _, theta = two_thetas(3)
    x, losses = product.sample(theta, rng.random((8, product.n_free))), rng.standard_normal(8)
    settings = Settings(scores=True, reuse=True)
    state = replace(first_state(product, settings), theta=theta)
    at_once = step(product, settings, state, x, losses)
    before = replace(state, former=kept(product, theta, x[4:], losses[4:], None))
    in_two = step(product, settings, before, x[:4], losses[:4])
    for one, other in zip(at_once.theta, in_two.theta, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    assert not np.allclose(at_once.s, in_two.s)


def test_the_step_size_listens_to_new_samples_only():
    rng, product, former, theta = two_thetas(5)
    x, old = (product.sample(p, rng.random((6, product.n_free))) for p in (theta, former))
    settings, losses = Settings(scores=True, reuse=True), rng.standard_normal(6)
    state = replace(first_state(product, settings), theta=theta)
    alone = step(product, settings, state, x, losses)
    with_old = step(
        product, settings, replace(state, former=kept(product, former, old, losses, None)), x, losses
    )
    np.testing.assert_array_equal(alone.s, with_old.s)
    assert alone.Delta == with_old.Delta
    assert any((a != b).any() for a, b in zip(alone.theta, with_old.theta, strict=True))


def test_it_takes_fewer_evaluations():
    space = choices(20)
    twice, once = (
        statistics.median(evaluations(ASNG(space, seed=seed, reuse=reuse)) for seed in range(10))
        for reuse in (True, False)
    )
    assert twice < 0.95 * once


def running():
    opt = ASNG(MIXED, seed=3)
    for i in range(5):
        candidates = opt.ask()
        if i == 4:
            candidates = [c.with_active(frozenset(["c", "i"])) for c in candidates]
        opt.tell(candidates, [math.inf, *(c["i"] + c["r"] for c in candidates[1:])])
    return opt


def test_a_state_without_its_samples_is_refused_and_changes_nothing():
    opt = running()
    before = opt.state_dict()
    with pytest.raises(RunError, match="former"):
        opt.load_state_dict({name: value for name, value in before.items() if name != "former"})
    assert opt.state_dict() == before
    first = ASNG(MIXED, seed=3).state_dict()
    opt.load_state_dict(first)  # there are none before the first update
    assert opt.state_dict() == first


def test_losses_that_are_not_finite_and_what_was_read_are_saved():
    opt, other = running(), ASNG(MIXED, seed=3)
    other.load_state_dict(json.loads(json.dumps(opt.state_dict(), allow_nan=False)))
    for one in (opt, other):
        candidates = one.ask()
        one.tell(candidates, [c["i"] + c["r"] for c in candidates])
    assert opt.state_dict() == other.state_dict()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("x", [[0.0]]),
        ("x", None),
        ("x", [[9.0, 0.0, 0.0, 0.0]] * 8),
        ("losses", []),
        ("losses", ["a"] * 8),
        ("active", 3),
        ("density", [0.0]),
        ("density", [math.nan] * 8),
    ],
)
def test_damaged_samples_are_refused_and_change_nothing(key, value):
    opt = running()
    before = opt.state_dict()
    damaged = copy.deepcopy(before)
    damaged["former"][key] = value
    with pytest.raises(RunError, match="state"):
        opt.load_state_dict(damaged)
    assert opt.state_dict() == before
