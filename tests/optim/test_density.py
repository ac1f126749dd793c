"""Points where good ones are dense, chosen by a forest, and when they come in place of a model's."""

import json

import numpy as np
import pytest

from asng.distributions import Product
from asng.optim import Staged
from asng.optim.density import Density, improving
from asng.optim.model import Archive
from asng.optim.staged import FOREST_FROM
from asng.space import Categorical, Integer, Real, Space

PRODUCT = Product(
    Space({"c": Categorical(list("abc")), "d": Categorical(list("xy")), "e": Categorical(list("pqrs"))})
)
MIXED = Product(Space({"c": Categorical(list("abc")), "k": Integer(0, 20), "x": Real(-3.0, 5.0)}))


def points(product, n, seed=0):
    return product.snapped(product.uniform(np.random.default_rng(seed).random((n, product.n_free))))


def every_choice():
    return np.stack(np.meshgrid(range(3), range(2), range(4), indexing="ij"), axis=-1).reshape(-1, 3) * 1.0


def mass(parents):
    """The chance of each of all points, written out: a uniform share, and a window about each parent."""
    windows = [np.full(24, 1.0 / 24.0)]
    for parent in parents:
        low = 1.0 / len(parents)
        shares = [
            ((every_choice()[:, d] == parent[d]) + low) / (1.0 + low * count)
            for d, count in enumerate((3, 2, 4))
        ]
        windows.append(np.prod(shares, axis=0))
    return np.mean(windows, axis=0)


def test_draws_are_as_frequent_as_the_windows_say():
    # 20,000 draws: a share of p has a deviation of sqrt(p (1 - p) / 20,000), at most 0.0036; 24 shares.
    parents = points(PRODUCT, 4, seed=2)
    drawn = Density(PRODUCT, parents, np.ones((4, 3))).draw(np.random.default_rng(3), 20_000)
    share = [(drawn == one).all(axis=1).mean() for one in every_choice()]
    assert mass(parents).sum() == pytest.approx(1.0)
    np.testing.assert_allclose(share, mass(parents), atol=0.015)


def test_without_points_draws_are_even():
    drawn = Density(PRODUCT, np.empty((0, 3)), np.empty((0, 3))).draw(np.random.default_rng(3), 20_000)
    np.testing.assert_allclose(np.bincount(drawn[:, 2].astype(int)) / 20_000, 0.25, atol=0.015)


def test_draws_lie_in_the_space():
    drawn = Density(MIXED, points(MIXED, 9), np.ones((9, 3))).draw(np.random.default_rng(0), 500)
    np.testing.assert_array_equal(drawn, MIXED.snapped(drawn))


def test_what_a_point_did_not_read_is_drawn_evenly():
    x, read = points(MIXED, 1), np.ones((1, 3))
    x[:, 2], read[:, 2] = 4.9, 0.0
    drawn = Density(MIXED, x, read).draw(np.random.default_rng(0), 4_000)[:, 2]
    # The mean of 4,000 even numbers between -3 and 5 has a deviation of 0.037.
    assert drawn.mean() == pytest.approx(1.0, abs=0.2)


def steps(x):
    return np.round(np.abs(x[:, 2] - 2.0)) + (x[:, 0] != 1.0) + np.round(np.abs(x[:, 1] - 4.0) / 5.0)


def nothing(x):
    return np.zeros(len(x), dtype=bool)


def improved(seed, known=nothing):
    x = points(MIXED, 60, seed)
    archive, even = Archive(x, steps(x), np.ones((60, 3))), points(MIXED, 2, seed + 100)
    found = improving(
        MIXED,
        np.random.default_rng(seed),
        archive,
        even,
        np.array([1]),
        reads=lambda x: None,
        known=known,
    )
    np.testing.assert_array_equal(found[0], even[0])  # which was not to be replaced
    return found[1], even[1]


def test_what_the_forest_chooses_is_better_than_even_points_where_losses_have_steps():
    found, even = (np.array(rows) for rows in zip(*(improved(seed) for seed in range(30)), strict=True))
    assert steps(found).mean() < 0.4 * steps(even).mean()


def test_a_point_stays_where_all_that_is_drawn_is_known():
    found, even = improved(0, known=lambda x: np.ones(len(x), dtype=bool))
    np.testing.assert_array_equal(found, even)


def rough(a):
    return float((7919 * round(1e3 * a["x"]) + 104729 * round(1e3 * a["y"])) % 8)


def searched(opt, evaluations):
    losses = []
    while len(losses) < evaluations:
        candidates = opt.ask()
        losses += [rough(c.architecture) for c in candidates]
        opt.tell(candidates, losses[-len(candidates) :])
    return losses


def test_a_search_by_model_and_forest_goes_on_to_the_same_bits():
    space = Space({"x": Real(0.0, 1.0), "y": Real(0.0, 1.0)})
    straight, other = Staged(space, budget=200, seed=1), Staged(space, budget=200, seed=2)
    searched(straight, 30)
    other.load_state_dict(json.loads(json.dumps(straight.state_dict(), allow_nan=False)))
    assert searched(straight, 10) == searched(other, 10)


def chosen(monkeypatch, evaluations, **settings):
    found = []

    def counted(*given, **rest):
        found.extend(given[4])
        return improving(*given, **rest)

    monkeypatch.setattr("asng.optim.staged.improving", counted)
    space = Space({"x": Real(0.0, 1.0), "y": Real(0.0, 1.0)})
    searched(Staged(space, budget=200, **settings), evaluations)
    return len(found)


def test_a_forest_chooses_half_of_the_points_once_some_are_good(monkeypatch):
    assert chosen(monkeypatch, FOREST_FROM + 1) == 0
    # Half of 38, give or take a deviation of 3.1: beyond 8 and 30 with chance 2e-4.
    assert 8 <= chosen(monkeypatch, FOREST_FROM + 39) <= 30


def test_a_forest_chooses_nothing_where_losses_have_noise(monkeypatch):
    assert chosen(monkeypatch, 40, noisy=True) == 0
