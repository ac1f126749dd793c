"""A prior is mixed with the usual start, and helps where it is right."""

import json
import statistics

import numpy as np
import pytest
from onemax import RIGHT, choices, evaluations

from asng import ASNG, Categorical, Integer, Real, Space
from asng.distributions import Product, start
from asng.errors import InputError

SPACE = Space(
    {
        "c": Categorical(["a", "b", "c"]),
        "i": Integer(0, 10),
        "only": Categorical(["x"]),
        "r": Real(1e-4, 1.0, log=True),
        "fixed": Integer(3, 3),
    }
)


@pytest.mark.parametrize("trust", [0.0, 0.3, 1.0])
def test_the_start_has_the_moments_of_the_mixture(trust):
    product = Product(SPACE)
    first = product.initial()
    theta = start(product, {"c": [0.6, 0.2, 0.2], "i": (4.0, 2.0)}, trust)
    np.testing.assert_allclose(theta.p, trust * np.array([0.6, 0.2, 0.2]) + (1 - trust) / 3, rtol=1e-12)
    assert theta.mean[0] == pytest.approx(trust * 4.0 + (1 - trust) * 5.0)
    second = trust * (16.0 + 4.0) + (1 - trust) * (25.0 + 25.0)
    assert theta.std[0] ** 2 == pytest.approx(second - theta.mean[0] ** 2)
    assert (theta.mean[1], theta.std[1]) == (first.mean[1], first.std[1])


def test_what_an_earlier_search_found_comes_back_whole_with_full_trust():
    opt = ASNG(SPACE, seed=1)
    for _ in range(5):
        candidates = opt.ask()
        opt.tell(candidates, [c["i"] + (c["c"] != "b") for c in candidates])
    again = ASNG(SPACE, prior=opt.theta, trust=1.0)
    for name, value in opt.theta.items():
        np.testing.assert_allclose(again.theta[name], value, rtol=1e-9)
    logged = ASNG(SPACE, prior=json.loads(json.dumps(opt.theta.to_json())), trust=1.0)
    for name, value in opt.theta.items():
        np.testing.assert_allclose(logged.theta[name], value, atol=1e-4)


def test_certainty_of_the_prior_stays_inside_the_margins():
    product = Product(SPACE)
    theta = start(product, {"c": [0, 1, 0], "i": (99.0, 0.0)}, 1.0)
    assert (theta.p >= product.categoricals.theta_min[0] * (1 - 1e-9)).all()
    assert theta.mean[0] == 10.0
    assert theta.std[0] == 0.25


def test_a_right_prior_saves_evaluations_and_a_wrong_one_hardly_costs():
    space = choices(10)

    def cost(favoured):
        p = [0.05 + 0.75 * (k == favoured) for k in range(5)]
        prior = None if favoured is None else dict.fromkeys(space, p)
        return statistics.median(evaluations(ASNG(space, seed=seed, prior=prior)) for seed in range(10))

    assert cost(RIGHT) < 0.6 * cost(None)
    assert cost(1) < 2.0 * cost(None)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ({"d": [1.0]}, r"prior\['d'\]: expected a variable of the space"),
        ({"c": [0.5, 0.5]}, r"prior\['c'\]: expected 3 probabilities"),
        ({"c": [0.5, 0.6, -0.1]}, r"prior\['c'\]: expected 3 probabilities"),
        ({"c": "abc"}, r"prior\['c'\]: expected 3 probabilities"),
        ({"i": 3.0}, r"prior\['i'\]: expected a finite mean"),
        ({"i": (3.0, -1.0)}, r"prior\['i'\]: expected a finite mean"),
        ({"i": {"mean": 3.0}}, r"prior\['i'\]: expected a finite mean"),
        ([1.0], "prior: expected a mapping"),
    ],
)
def test_a_prior_that_is_no_distribution_is_refused(prior, message):
    with pytest.raises(InputError, match=message):
        ASNG(SPACE, prior=prior)


def test_trust_is_a_share():
    with pytest.raises(InputError, match="trust: expected a number"):
        ASNG(SPACE, prior={}, trust=1.5)
