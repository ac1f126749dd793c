"""A forest of random trees: what its leaves hold, and what it foresees of steps."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from asng.distributions import Product
from asng.optim.forest import Forest, coded, scores
from asng.space import Categorical, Integer, Real, Space

MIXED = Product(Space({"c": Categorical(list("abc")), "k": Integer(0, 20), "x": Real(-3.0, 5.0)}))


def points(n, seed=0):
    return MIXED.snapped(MIXED.uniform(np.random.default_rng(seed).random((n, MIXED.n_free))))


def steps(x):
    return np.round(np.abs(x[:, 2] - 2.0)) + 2.0 * (x[:, 0] != 1.0) + np.round(np.abs(x[:, 1] - 4.0) / 5.0)


def grown(x, y, seed=0):
    return Forest(np.random.default_rng(seed), coded(MIXED, x, None), y)


def test_trees_are_grown_until_they_tell_all_losses_apart():
    x = points(80)
    mean, std = grown(x, steps(x)).predicted(coded(MIXED, x, None))
    np.testing.assert_allclose(mean, steps(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(std, 0.0, atol=1e-12)


def test_points_that_no_split_tells_apart_share_their_mean():
    x, y = points(3)[[0, 0, 0, 1, 2]], np.array([1.0, 2.0, 6.0, 10.0, 20.0])
    mean, _ = grown(x, y).predicted(coded(MIXED, x, None))
    np.testing.assert_allclose(mean, [3.0, 3.0, 3.0, 10.0, 20.0], rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_a_forest_foresees_a_loss_of_steps(seed):
    x, new = points(100, seed), points(400, seed + 100)
    mean, _ = grown(x, steps(x), seed).predicted(coded(MIXED, new, None))
    assert spearmanr(mean, steps(new))[0] > 0.7


def test_a_tree_over_a_part_of_many_columns_still_foresees_some():
    many = Product(Space({f"c{i}": Categorical(range(5)) for i in range(30)}))
    x, new = (
        many.snapped(many.uniform(np.random.default_rng(seed).random((n, 30))))
        for seed, n in ((0, 150), (1, 300))
    )
    forest = Forest(np.random.default_rng(0), coded(many, x, None), (x != 0.0).sum(axis=1) * 1.0)
    mean, _ = forest.predicted(coded(many, new, None))
    # Of 300 pairs that have nothing to do with each other a correlation has a deviation of 0.06.
    assert spearmanr(mean, (new != 0.0).sum(axis=1))[0] > 0.3


def test_the_same_chance_grows_the_same_trees():
    x = points(40)
    one, two = (grown(x, steps(x), seed).predicted(coded(MIXED, x[:5] + 0.0, None))[0] for seed in (0, 0))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("seed", range(5))
def test_the_greatest_improvement_is_not_within_a_plateau_that_is_known(seed):
    # The least loss between 0.4 and 0.6, where three points say so. All trees agree in between.
    line = Product(Space({"x": Real(0.0, 1.0)}))
    x = np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [0.5], [0.6], [0.7], [0.8], [0.9], [1.0]])
    y = np.where(np.abs(x[:, 0] - 0.5) < 0.15, 0.0, 1.0)
    forest = Forest(np.random.default_rng(seed), coded(line, x, None), y)
    new = np.linspace(0.0, 1.0, 201)[:, None]
    at = new[int(np.argmax(forest.improvement(coded(line, new, None)))), 0]
    assert 0.3 < at < 0.4 or 0.6 < at < 0.7


def test_a_code_tells_what_was_not_read_from_all_that_was():
    x, read = points(50), np.ones((50, 3))
    z = coded(MIXED, x, read)
    np.testing.assert_array_equal(z, coded(MIXED, x, None))
    assert z.shape == (50, 5)
    assert 0.0 <= z.min() <= z.max() <= 1.0
    read[0] = 0.0
    own = coded(MIXED, x, read)[0]
    assert sorted(own.tolist()) == [-0.5, -0.5, 0.0, 0.0, 0.0]


def test_scores_depend_on_the_order_alone():
    losses = np.array([3.0, 1.0, np.nan, 3.0, 7.0, np.inf])
    got = scores(losses)
    np.testing.assert_array_equal(got, scores(np.exp(losses)))
    assert got[0] == got[3]
    assert got[2] == got[5] == got.max()
