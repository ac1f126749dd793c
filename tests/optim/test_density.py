"""The ratio of two densities, and when it proposes in place of a model."""

import json

import numpy as np
import pytest

from asng.distributions import Product
from asng.optim import Staged
from asng.optim.density import Density, likelier
from asng.optim.staged import DENSITY_FROM
from asng.space import Categorical, Integer, Real, Space

PRODUCT = Product(
    Space({"c": Categorical(list("abc")), "d": Categorical(list("xy")), "e": Categorical(list("pqrs"))})
)
MIXED = Product(Space({"c": Categorical(list("abc")), "k": Integer(0, 20), "x": Real(-3.0, 5.0)}))


def points(product, n, seed=0):
    return product.snapped(product.uniform(np.random.default_rng(seed).random((n, product.n_free))))


def every_choice():
    return np.stack(np.meshgrid(range(3), range(2), range(4), indexing="ij"), axis=-1).reshape(-1, 3) * 1.0


@pytest.mark.parametrize("n", [0, 1, 7])
def test_a_density_of_choices_has_a_mass_of_one(n):
    x, rng = points(PRODUCT, n) if n else np.empty((0, 3)), np.random.default_rng(1)
    density = Density(PRODUCT, x, (rng.random(x.shape) < 0.7) * 1.0)
    assert np.exp(density.log(every_choice(), None)).mean() == pytest.approx(1.0, rel=1e-9)


def test_a_density_of_numbers_has_a_mass_of_one():
    ends = np.array([[1.0, 10.0, 1.0], [0.0, 0.0, 5.0], [0.0, 11.0, 0.5]])
    density, family, cells = (
        Density(MIXED, ends, np.ones((3, 3))),
        MIXED.gaussians,
        (np.arange(60) + 0.5) / 60,
    )
    k, x = (low + (high - low) * cells for low, high in zip(family.low, family.high, strict=True))
    grid = np.stack(np.meshgrid(range(3), k, x, indexing="ij"), axis=-1).reshape(-1, 3)
    assert np.exp(density.log(grid, None)).mean() == pytest.approx(1.0, abs=0.01)


def test_draws_are_as_frequent_as_the_density_says():
    # 20,000 draws: a share of p has a deviation of sqrt(p (1 - p) / 20,000), at most 0.0036; 24 shares.
    density = Density(PRODUCT, points(PRODUCT, 4, seed=2), np.ones((4, 3)))
    drawn = density.draw(np.random.default_rng(3), 20_000)
    share = [(drawn == one).all(axis=1).mean() for one in every_choice()]
    np.testing.assert_allclose(share, np.exp(density.log(every_choice(), None)) / 24.0, atol=0.015)


def test_draws_lie_in_the_space():
    drawn = Density(MIXED, points(MIXED, 9), np.ones((9, 3))).draw(np.random.default_rng(0), 500)
    np.testing.assert_array_equal(drawn, MIXED.snapped(drawn))


def test_what_is_not_read_tells_a_density_nothing():
    x, read = points(MIXED, 6), np.ones((6, 3))
    read[:, 2] = 0.0
    density, there = Density(MIXED, x, read), points(MIXED, 5, seed=1)
    other = there.copy()
    other[:, 2] = -3.0
    np.testing.assert_array_equal(density.log(there, None), density.log(other, None))
    # nor does a point that is expected not to read it say where it is
    whole = Density(MIXED, x, np.ones((6, 3)))
    np.testing.assert_array_equal(
        *(whole.log(one, np.array([[1.0, 1.0, 0.0]] * 5)) for one in (there, other))
    )


def steps(x):
    return np.round(np.abs(x[:, 2] - 2.0)) + (x[:, 0] != 1.0) + np.round(np.abs(x[:, 1] - 4.0) / 5.0)


def test_the_likelier_points_are_better_than_even_ones_where_losses_have_steps():
    x, rng = points(MIXED, 60), np.random.default_rng(0)
    known = (x, np.ones((60, 3)), np.argsort(steps(x), kind="stable"))
    found = [
        likelier(MIXED, rng, known, reads=lambda x: None, unfit=lambda x: np.zeros(len(x), dtype=bool))
        for _ in range(60)
    ]
    assert steps(np.concatenate(found)).mean() < 0.5 * steps(x).mean()


def test_there_is_no_likelier_point_where_none_is_wanted():
    x = points(MIXED, 10)
    known = (x, np.ones((10, 3)), np.arange(10))
    found = likelier(
        MIXED,
        np.random.default_rng(0),
        known,
        reads=lambda x: None,
        unfit=lambda x: np.ones(len(x), dtype=bool),
    )
    assert found.shape == (0, 3)


def rough(a):
    return float((7919 * round(1e3 * a["x"]) + 104729 * round(1e3 * a["y"])) % 8)


def searched(opt, evaluations):
    losses = []
    while len(losses) < evaluations:
        candidates = opt.ask()
        losses += [rough(c.architecture) for c in candidates]
        opt.tell(candidates, losses[-len(candidates) :])
    return losses


def test_a_search_by_model_and_densities_goes_on_to_the_same_bits():
    space = Space({"x": Real(0.0, 1.0), "y": Real(0.0, 1.0)})
    straight, other = Staged(space, budget=200, seed=1), Staged(space, budget=200, seed=2)
    searched(straight, 30)
    other.load_state_dict(json.loads(json.dumps(straight.state_dict(), allow_nan=False)))
    assert searched(straight, 10) == searched(other, 10)


def proposals(monkeypatch, evaluations, **settings):
    found = []
    monkeypatch.setattr(
        "asng.optim.staged.likelier", lambda *given, **rest: found.append(1) or likelier(*given, **rest)
    )
    space = Space({"x": Real(0.0, 1.0), "y": Real(0.0, 1.0)})
    searched(Staged(space, budget=200, **settings), evaluations)
    return len(found)


def test_densities_propose_half_of_the_points_once_some_are_good(monkeypatch):
    assert proposals(monkeypatch, DENSITY_FROM + 1) == 0
    # Half of 38, give or take a deviation of 3.1: beyond 8 and 30 with chance 2e-4.
    assert 8 <= proposals(monkeypatch, DENSITY_FROM + 39) <= 30


def test_densities_propose_nothing_where_losses_have_noise(monkeypatch):
    assert proposals(monkeypatch, 40, noisy=True) == 0
