"""`ASNG.paper` follows trajectories recorded from the code of the paper's authors."""

import json
from pathlib import Path

import numpy as np
import pytest

from asng.distributions import Product
from asng.optim.step import Settings, first_state, step
from asng.space import Categorical, Integer, Space

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.json"))


def load(name):
    recorded = json.loads((HERE / f"{name}.json").read_text())
    variables = {f"c{i}": Categorical(range(k)) for i, k in enumerate(recorded["categories"])}
    variables |= {f"i{i}": Integer(low, high) for i, (low, high) in enumerate(recorded["integers"])}
    return recorded, Space(variables), 1e-6 if recorded["integers"] else 1e-8


def close(got, expected, tolerance):
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * 1e-3)


def check_after(expected, product, state, delta, tolerance):
    p = np.concatenate([row for row in expected["probabilities"] if len(row) > 1])
    close(state.theta.p, p, tolerance)
    close(state.gamma, expected["gamma"], tolerance)
    close(state.s @ state.s, expected["s_norm_squared"], tolerance)
    close(delta, expected["delta"], tolerance)
    if product.gaussians.size:
        close(state.theta.mean, expected["mean"], tolerance)
        close(state.theta.std, expected["std"], tolerance)


def test_there_are_trajectories_to_follow():
    assert len(NAMES) == 5


@pytest.mark.parametrize("name", NAMES)
def test_the_papers_rules_follow_the_authors_code(name):
    recorded, space, tolerance = load(name)
    product = Product(space, rules="paper")
    settings = Settings(alpha=recorded["alpha"], delta_init=recorded["delta_init"])
    state = first_state(product)
    for t, (x, losses) in enumerate(zip(recorded["x"], recorded["losses"], strict=True), start=1):
        state = step(product, settings, state, np.array(x), np.array(losses))
        delta = settings.delta_init / state.Delta
        close(delta, recorded["delta_next"][t - 1], tolerance)
        if str(t) in recorded["after"]:
            check_after(recorded["after"][str(t)], product, state, delta, tolerance)
