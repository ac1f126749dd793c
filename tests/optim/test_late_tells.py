"""Late tells: a sample counts by the ratio of the densities that it has now and had when it was drawn."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from asng.errors import InputError, RunError
from asng.optim import ASNG, SNG
from asng.optim.draws import Numbers
from asng.optim.reuse import late_weights
from asng.space import Categorical, Integer, Real, Space

ONE = Space({"op": Categorical(["a", "b", "c"])})
MIXED = Space({"op": Categorical(["a", "b", "c"]), "k": Integer(0, 50), "r": Real(-1.0, 1.0)})


def loss(c):
    return (c["op"] != "b") + abs(c["k"] - 30) / 10 + abs(c["r"] - 0.5)


def learnt(optimizer, updates):
    for _ in range(updates):
        candidates = optimizer.ask()
        optimizer.tell(candidates, [loss(c) for c in candidates])
    return optimizer


def told_of(optimizer, monkeypatch):
    """Have an optimiser hand out what its updates are told."""
    told, update = [], optimizer._update
    monkeypatch.setattr(optimizer, "_update", lambda one: (told.append(one), update(one))[1])
    return told


@given(st.lists(st.floats(-30, 5), min_size=1, max_size=8), st.integers(0, 8))
def test_weights_are_ratios_of_densities_of_mean_1_and_at_most_1_before(logs, fresh):
    now, then = np.array([*logs, *[0.0] * fresh]), np.array([0.0] * len(logs) + [np.nan] * fresh)
    ratios = np.minimum(np.exp(now), 1.0)
    weights = late_weights(now, then)
    if ratios.sum() < 1.0:
        assert weights is None
    else:
        np.testing.assert_allclose(weights, ratios * len(ratios) / ratios.sum())


def test_a_late_sample_says_as_much_as_its_density_has_left(monkeypatch):
    opt = SNG(ONE, lam=2, delta_init=0.3)
    early = opt.ask(6)
    before = dict(zip("abc", opt.theta["op"], strict=True))
    for _ in range(3):
        now = opt.ask(6)
        opt.tell(now, [float(c["op"] != "b") for c in now])
    theta, told = dict(zip("abc", opt.theta["op"], strict=True)), told_of(opt, monkeypatch)
    mixed = [*early, *opt.ask(2)]
    opt.tell(mixed, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    ratios = [min(theta[c["op"]] / before[c["op"]], 1.0) for c in early] + [1.0, 1.0]
    np.testing.assert_allclose(told[0].active[:, 0], np.array(ratios) * 8 / sum(ratios), rtol=1e-9)


def test_what_was_not_read_has_no_part_in_the_ratio(monkeypatch):
    opt = ASNG(MIXED, seed=1)
    early = [c.with_active(frozenset({"op"})) for c in opt.ask(8)]
    before = dict(zip("abc", opt.theta["op"], strict=True))
    learnt(opt, 4)
    theta, told = dict(zip("abc", opt.theta["op"], strict=True)), told_of(opt, monkeypatch)
    opt.tell(early, list(range(8)))
    ratios = np.array([min(theta[c["op"]] / before[c["op"]], 1.0) for c in early])
    np.testing.assert_allclose(told[0].active[:, 0], ratios * 8 / ratios.sum(), rtol=1e-9)
    assert (told[0].active[:, 1:] == 0.0).all()


def test_weighted_late_samples_estimate_what_fresh_ones_do():
    """E[r(x) g(x)] under the old theta is E[g(x)] under the new one, where no ratio is cut.

    The means of 200,000 draws each are compared within 5 standard errors, seed 0.
    """
    opt = learnt(SNG(MIXED, lam=8, delta_init=0.05), 0)
    product, old = opt._product, opt._state.theta
    new = learnt(opt, 2)._state.theta
    rng = np.random.default_rng(0)
    drawn, fresh = (product.sample(theta, rng.random((200_000, product.n_free))) for theta in (old, new))
    log = [product.log_density(theta, product.placed(theta, drawn)) for theta in (new, old)]
    ratio = np.exp(log[0] - log[1])
    for column in range(3):
        late = ratio * drawn[:, column]
        error = 5 * np.hypot(late.std(), fresh[:, column].std()) / np.sqrt(200_000)
        assert abs(late.mean() - fresh[:, column].mean()) < error


def test_a_late_tell_of_a_theta_that_has_not_moved_is_like_one_in_time():
    states = []
    for late in (False, True):
        opt = ASNG(MIXED, seed=3)
        candidates = opt.ask()
        if late:
            opt.tell(opt.ask(), [1.0] * 8)  # of equal losses nothing is learnt
        opt.tell(candidates, [loss(c) for c in candidates])
        states.append(opt.state_dict()["theta"])
    assert states[0] == states[1]


def test_what_comes_far_too_late_changes_nothing():
    opt = ASNG(MIXED, seed=3)
    early = opt.ask(40)
    learnt(opt, 150)
    far = [c for c in early if abs(c["r"] - opt.theta["r"][0]) > 8 * opt.theta["r"][1]]
    theta = opt.state_dict()["theta"]
    opt.tell(far, list(range(len(far))))
    assert len(far) > 1
    assert opt.state_dict()["theta"] == theta
    assert opt.generation == 151


def test_a_candidate_that_was_pickled_can_be_told_late():
    states = []
    for again in (lambda c: c, lambda c: pickle.loads(pickle.dumps(c))):  # noqa: S301
        opt = ASNG(MIXED, seed=3)
        early = [again(c) for c in opt.ask()]
        learnt(opt, 3).tell(early, [loss(c) for c in early])
        states.append(opt.state_dict())
        with pytest.raises(InputError, match="not told before"):
            opt.tell(early, [loss(c) for c in early])
    assert states[0] == states[1]


def test_single_draws_share_strata():
    opt = ASNG(Space({"r": Real(0.0, 1.0)}), lam=8)
    one = sorted(opt.ask(1)[0].x[0] for _ in range(8))
    mean, std = opt.theta["r"]
    assert np.floor(8 * ndtr((np.array(one) - mean) / std)).tolist() == list(range(8))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=30))
def test_numbers_are_a_set(pieces):
    numbers, expected = Numbers(), set()
    for first, length in pieces:
        numbers.add(first, first + length)
        expected |= set(range(first, first + length))
    assert [n in numbers for n in range(50)] == [n in expected for n in range(50)]
    flat = [end for stretch in numbers.stretches for end in stretch]
    assert flat == sorted(set(flat))


@pytest.mark.parametrize("seed", range(3))
def test_a_generation_is_told_when_the_next_was_drawn(seed):
    space = Space({"x": Integer(0, 100), "y": Integer(0, 100)})
    opt, waiting = ASNG(space, seed=seed), []
    for _ in range(300):
        waiting.append(opt.ask())
        if len(waiting) > 1:
            candidates = waiting.pop(0)
            opt.tell(candidates, [(c["x"] - 7) ** 2 + (c["y"] - 70) ** 2 for c in candidates])
    assert (opt.best["x"] - 7) ** 2 + (opt.best["y"] - 70) ** 2 < 20


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"drawn": 1.5},
        {"drawn": 3},
        {"told": [[0, 99]]},
        {"told": [[3, 2]]},
        {"told": 7},
        {"rest": [[2.0, 0.1, 0.1]]},
        {"rest": [[0.1]]},
        {"waiting": {}},
        {"waiting": {"x": [[9.0, 1.0, 1.0]], "losses": [1.0], "active": None, "then": None}},
    ],
)
def test_a_damaged_account_of_draws_is_refused(wrong):
    opt = learnt(ASNG(MIXED, seed=3), 2)
    opt.tell(opt.ask(1), [1.0])
    state = opt.state_dict()
    with pytest.raises(RunError, match="state"):
        opt.load_state_dict(state | {"draws": state["draws"] | wrong})
    assert opt.state_dict() == state
