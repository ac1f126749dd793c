"""Whatever the space and the losses, theta stays finite and in its bounds."""

import math

import numpy as np
import pytest
from onemax import choices, evaluations

from asng.black_box import minimize
from asng.distributions import Product
from asng.optim import ASNG, SNG, Adam
from asng.optim.draws import draw_uniforms
from asng.optim.step import Settings, first_state, step
from asng.space import Categorical, Integer, Real, Space


def mixed(n):
    make = [
        lambda i: Categorical(range(2 + i % 6)),
        lambda i: Integer(0, 1 + i % 30),
        lambda i: Real(-1.0, 1.0 + i),
        lambda i: Integer(1, 2 + i, log=True),
        lambda i: Categorical(["only"]),
        lambda i: Real(1e-6, 1.0, log=True),
    ]
    return Space({f"v{i}": make[i % 6](i) for i in range(n)})


SPACES = {
    "one binary": Space({"b": Categorical([0, 1])}),
    "one integer": Space({"i": Integer(0, 10)}),
    "one real": Space({"r": Real(0.0, 1.0)}),
    "huge real": Space({"r": Real(-1e308, 1e308), "s": Real(1e-300, 1e-299)}),
    "two": Space({"i": Integer(0, 1), "c": Categorical(range(5))}),
    "200 mixed": mixed(200),
}
LOSSES = {
    "constant": lambda rng, x: np.full(len(x), -1.0),
    "noise": lambda rng, x: rng.standard_normal(len(x)),
    "steep": lambda rng, x: np.sum(np.clip(x, -1e6, 1e6), axis=1),
    "negative": lambda rng, x: -np.abs(x[:, 0]) - 1.0,
    "huge": lambda rng, x: rng.choice([-1e300, 1e300, 1e299], len(x)),
    "nan": lambda rng, x: np.full(len(x), np.nan),
    "infinite": lambda rng, x: rng.choice([np.inf, -np.inf], len(x)),
    "mixed": lambda rng, x: rng.choice([np.nan, np.inf, -np.inf, 0.0, -1e300, 1.0, 2.0], len(x)),
}


def check(product, theta):
    cat, gauss = product.categoricals, product.gaussians
    assert all(np.isfinite(part).all() for part in theta)
    np.testing.assert_allclose(np.bincount(cat.segments.owner, theta.p, cat.size), 1, rtol=1e-9)
    assert (theta.p >= cat.theta_min[cat.segments.owner] * (1 - 1e-9)).all()
    assert ((gauss.low <= theta.mean) & (theta.mean <= gauss.high)).all()
    assert ((gauss.std_min(theta.mean) <= theta.std) & (theta.std <= gauss.std_max)).all()


def endure(space, losses, rules, updates, lam, delta_init=1.0):
    rng, product = np.random.default_rng(0), Product(space, rules=rules)
    state = first_state(product)
    for t in range(updates):
        u = draw_uniforms(rng, lam, product.n_free, "stratified", 0)
        x = product.sample(state.theta, u)
        assert product.is_fit(x)
        state = step(product, Settings(delta_init=delta_init), state, x, losses(rng, x))
        if t % 100 == 0 or t < 10:
            check(product, state.theta)
    check(product, state.theta)
    assert np.isfinite(state.s).all()
    assert 0 < state.Delta < math.inf


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.slow
def test_2000_updates_with_any_losses_keep_theta_sound(space, losses):
    endure(SPACES[space], LOSSES[losses], "default", 2000 if space != "200 mixed" else 600, 4)


@pytest.mark.parametrize("space", [name for name in SPACES if name != "huge real"])
@pytest.mark.parametrize("losses", ["noise", "steep", "mixed"])
def test_500_updates_by_the_papers_rules_keep_theta_sound(space, losses):
    endure(SPACES[space], LOSSES[losses], "paper", 500, 2)


@pytest.mark.parametrize("delta_init", [1e-3, 1e3])
def test_any_first_step_size_keeps_theta_sound(delta_init):
    endure(mixed(12), LOSSES["noise"], "default", 500, 4, delta_init)


@pytest.mark.parametrize("make", [SNG, Adam])
def test_baselines_endure_mixed_losses(make):
    opt, rng = make(mixed(12)), np.random.default_rng(0)
    for _ in range(500):
        candidates = opt.ask()
        opt.tell(candidates, LOSSES["mixed"](rng, np.zeros((len(candidates), 1))))
    check(opt._product, opt._state.theta)


@pytest.mark.slow
@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.parametrize("n", [200, 10_000])
def test_large_spaces_endure_2000_updates(losses, n):
    endure(mixed(n), LOSSES[losses], "default", 2000, 4)


VALLEYS = {
    "integer in the middle": (Integer(0, 10), 5, 0.5),
    "integer near a bound": (Integer(0, 10), 1, 0.5),
    "integer at a bound": (Integer(0, 10), 10, 0.5),
    "real in the middle": (Real(0.0, 1.0), 0.5, 0.02),
    "real near a bound": (Real(0.0, 1.0), 0.05, 0.02),
    "log integer": (Integer(1, 8, log=True), 3, 0.5),
    "binary": (Categorical([0, 1]), 1, 0.5),
}


@pytest.mark.parametrize("lam", [2, 8])
@pytest.mark.parametrize("valley", VALLEYS)
def test_a_search_of_one_variable_arrives(valley, lam):
    # 20 of 20 seeds arrive where this was measured; 18 leave room for another platform's rounding.
    variable, target, near = VALLEYS[valley]
    arrived = 0
    for seed in range(20):
        opt = ASNG(Space({"v": variable}), lam=lam, seed=seed)
        for _ in range(200 // lam):
            candidates = opt.ask()
            opt.tell(candidates, [abs(c["v"] - target) for c in candidates])
        arrived += abs(opt.best["v"] - target) < near
    assert arrived >= 18


def test_the_first_step_size_hardly_matters():
    space = choices(10)
    costs = [evaluations(ASNG(space, delta_init=delta_init)) for delta_init in (0.01, 0.1, 1.0, 10.0, 100.0)]
    assert max(costs) < 200
    assert evaluations(ASNG(space, delta_init=0.01, early=False)) > 2 * max(costs)


WIDE = {
    "1e20": Real(0, 1e20),
    "1e300": Real(-1e300, 1e300),
    "largest": Real(-1.7e308, 1.7e308),
    "smallest": Real(0.0, 1e-300),
    "log": Real(1e-300, 1e300, log=True),
    "integers": Integer(-(2**52), 2**52),
    "steps": Real(-1e300, 1e300, step=1e299),
}


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("name", WIDE)
def test_the_widest_ranges_are_searched_without_a_warning(name, noisy):
    variable = WIDE[name]
    space = Space({"n": variable, "op": Categorical(["a", "b"]), "m": Integer(0, 3)})

    def loss(a):
        return abs(a["n"] / 4 - variable.high / 8) + (a["op"] == "a") * (a["m"] + 1)

    result = minimize(loss, space, 40, noisy=noisy)
    assert noisy or len({one.architecture for one in result.history if not one.cached}) == 40
    assert result.loss < variable.high / 8


LARGEST = float(np.finfo(np.float64).max)
FAR = {
    "both ends": lambda a: LARGEST * a["x"],
    "a reward": lambda a: -LARGEST if a["x"] > 0.5 else a["x"] ** 2,
    "a penalty": lambda a: LARGEST if a["x"] > 0.5 else a["x"] ** 2,
}


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("name", FAR)
def test_losses_as_far_apart_as_floats_are_searched_without_a_warning(name, noisy, tmp_path):
    space = Space({"x": Real(-1.0, 1.0), "op": Categorical(["a", "b"]), "m": Integer(0, 9)})
    f = FAR[name]
    result = minimize(f, space, 60, noisy=noisy, run_dir=tmp_path)
    assert result.loss <= {"both ends": -0.9 * LARGEST, "a reward": -LARGEST, "a penalty": 1e-3}[name]
    again = minimize(f, space, 60, noisy=noisy, run_dir=tmp_path, resume=True)
    assert again.history == result.history
