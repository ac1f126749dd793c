"""The covariance of reals: an oracle written slowly from the paper, laws, and problems that it must solve."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asng.optim import ASNG
from asng.optim.covariance import MOST_FULL, Bounds, default_lam, first_covariance, moved
from asng.space import Categorical, Real, Space

WIDE = Bounds(np.full(3, -1e9), np.full(3, 1e9), np.full(3, 1e-9), np.full(3, 1e9))


def begun(size=3, updates=0, seed=0):
    """Return a distribution that has seen some updates on a turned ellipsoid."""
    rng = np.random.default_rng(seed)
    bounds = Bounds(*(np.full(size, value) for value in (-1e9, 1e9, 1e-9, 1e9)))
    state = first_covariance(np.arange(size) * 1.0, np.linspace(1.0, 2.0, size))
    turn = np.linalg.qr(rng.standard_normal((size, size)))[0]
    for _ in range(updates):
        x = state.draw(rng.standard_normal((8, size)))
        state = moved(state, x, (((x @ turn) ** 2) * np.arange(1, size + 1) ** 3).sum(axis=1), bounds)
    return state


def slow_weights(lam, size, numbers):
    """Return mu, the weights of the mean, and rates and weights of a shape of so many numbers."""
    raw = [math.log((lam + 1) / 2) - math.log(i) for i in range(1, lam + 1)]
    up, down = sum(v for v in raw if v > 0), sum(-v for v in raw if v < 0)
    mu = up**2 / sum(v * v for v in raw if v > 0)
    mu_down = down**2 / sum(v * v for v in raw if v < 0)
    one = 1 / (2 * (numbers / size + 1) * (size + 1) ** 0.75 + mu / 2)
    many = min((mu + 1 / mu - 2 + 0.5 * lam / (lam + 5)) * one, 1 - one)
    against = min(1 + one / many, 1 + 2 * mu_down / (mu + 2))
    both = [v / up if v > 0 else against * v / down for v in raw]
    return mu, [max(v, 0) / up for v in raw], one, many, math.sqrt(mu * one) / 2, both


def slow_update(state, x, losses):
    """Return mean, sigma, d, C and the paths after an update, sample by sample."""
    size, lam, root = len(state.mean), len(x), state.root
    mu, w, one, many, c_c, w_c = slow_weights(lam, size, size * (size + 1) / 2)
    _, _, d_one, d_many, d_c, w_d = slow_weights(lam, size, size)
    z = [np.linalg.solve(root, (row - state.mean) / (state.sigma * state.d)) for row in x]
    ranked = [z[i] for i in np.argsort(losses)]
    step = sum(wi * zi for wi, zi in zip(w, ranked, strict=True))
    c_s = (mu + 2) / (size + mu + 5)
    p_s = (1 - c_s) * state.p_sigma + math.sqrt(c_s * (2 - c_s) * mu) * step
    damping = 1 + c_s + 2 * max(0, math.sqrt((mu - 1) / (size + 1)) - 1)
    expected = math.sqrt(size) * (1 - 1 / (4 * size) + 1 / (21 * size**2))
    length = np.linalg.norm(p_s)
    h = length / math.sqrt(1 - (1 - c_s) ** (2 * (state.updates + 1))) < (1.4 + 2 / (size + 1)) * expected
    sigma = state.sigma * math.exp(min(1.0, c_s / damping * (length / expected - 1)))
    y = h * (root @ step)
    p_c = (1 - c_c) * state.p_c + math.sqrt(c_c * (2 - c_c) * mu) * y
    p_d = (1 - d_c) * state.p_d + math.sqrt(d_c * (2 - d_c) * mu) * y
    inner = one * (np.outer(np.linalg.solve(root, p_c), np.linalg.solve(root, p_c)) - np.eye(size))
    change = d_one * (np.linalg.solve(root, p_d) ** 2 - 1)
    for wc, wd, zi in zip(w_c, w_d, ranked, strict=True):
        shorter = size / (zi @ zi)
        inner += many * (wc if wc > 0 else wc * shorter) * (np.outer(zi, zi) - np.eye(size))
        change += d_many * (wd if wd > 0 else wd * shorter) * (zi**2 - 1)
    d = state.d * np.exp(change / (2 * state.damped))
    mean = state.mean + state.sigma * state.d * (root @ step)
    return mean, sigma, d, state.C + root @ inner @ root, p_s, p_c * state.d / d, p_d * state.d / d


@pytest.mark.parametrize("updates", [0, 1, 7, 40])
def test_an_update_is_the_papers_written_slowly(updates):
    state = replace(begun(updates=updates), updates=updates)
    rng = np.random.default_rng(9)
    x = state.draw(rng.standard_normal((7, 3)))
    losses = rng.permutation(7) * 1.0
    after = moved(state, x, losses, WIDE)
    mean, sigma, d, C, p_s, p_c, p_d = slow_update(state, x, losses)
    own = np.sqrt(C.diagonal()) if after.root is not state.root else np.ones(3)  # decomposed: diagonal 1
    np.testing.assert_allclose(after.mean, mean, rtol=1e-10)
    np.testing.assert_allclose([after.sigma], [sigma], rtol=1e-10)
    np.testing.assert_allclose(after.d, d * own, rtol=1e-10)
    np.testing.assert_allclose(after.C, C / np.outer(own, own), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(after.p_sigma, p_s, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(after.p_c, p_c / own, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(after.p_d, p_d / own, rtol=1e-9, atol=1e-12)


def test_draws_come_back_as_what_they_were_drawn_from():
    state, z = begun(updates=30), np.random.default_rng(1).standard_normal((5, 3))
    np.testing.assert_allclose(state.standardised(state.draw(z)), z, atol=1e-12)


def test_only_the_order_of_losses_counts():
    state = begun(updates=5)
    x, losses = state.draw(np.random.default_rng(2).standard_normal((6, 3))), np.arange(6) * 1.0
    plain, bent = moved(state, x, losses, WIDE), moved(state, x, np.exp(3.0 * losses), WIDE)
    np.testing.assert_array_equal(plain.mean, bent.mean)
    np.testing.assert_array_equal(plain.C, bent.C)


def test_the_order_of_samples_does_not_count():
    state, order = begun(updates=5), np.array([3, 1, 5, 0, 2, 4])
    x, losses = state.draw(np.random.default_rng(2).standard_normal((6, 3))), np.arange(6) * 1.0
    one, other = moved(state, x, losses, WIDE), moved(state, x[order], losses[order], WIDE)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-12)
    np.testing.assert_allclose(one.d, other.d, rtol=1e-12)


def test_equal_losses_change_nothing():
    state = begun(updates=3)
    x = state.draw(np.random.default_rng(0).standard_normal((6, 3)))
    assert moved(state, x, np.full(6, -2.0), WIDE) is state
    assert moved(state, x, np.full(6, math.nan), WIDE) is state


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_means_and_deviations_stay_within_their_bounds(seed, size, lam):
    rng = np.random.default_rng(seed)
    low, width = rng.uniform(-5, 5, size), rng.uniform(0.1, 3, size)
    bounds = Bounds(low, low + width, 1e-3 * width, 0.5 * width)
    state = first_covariance(low + width / 2, 0.29 * width)
    for _ in range(6):
        state = moved(
            state, state.draw(3.0 * rng.standard_normal((lam, size))), rng.standard_normal(lam), bounds
        )
        assert (state.mean >= bounds.low).all()
        assert (state.mean <= bounds.high).all()
        assert (state.std >= bounds.std_min * (1 - 1e-9)).all()
        assert (state.std <= bounds.std_max * (1 + 1e-9)).all()


def test_what_no_sample_read_keeps_its_mean_and_its_scale():
    state = first_covariance(np.zeros(3), np.ones(3))
    rng, read = np.random.default_rng(3), np.ones((8, 3))
    read[:, 1] = 0.0
    for _ in range(20):
        x = state.draw(rng.standard_normal((8, 3)))
        state = moved(state, x, x[:, 0] ** 2 + (x[:, 2] - 1.0) ** 2, WIDE, read)
    np.testing.assert_allclose(state.mean[1], 0.0, atol=1e-12)
    np.testing.assert_allclose(np.delete(state.C[1], 1), 0.0, atol=1e-12)
    np.testing.assert_allclose(state.std[1], 1.0, rtol=0.2)  # it was 0.03
    assert state.std[0] < 0.3


def test_thousands_of_updates_after_it_has_converged_leave_numbers():
    state, rng = first_covariance(np.zeros(3), np.ones(3)), np.random.default_rng(0)
    read = np.array([[1.0, 1.0, 0.0]] * 7 + [[0.0, 0.0, 1.0]])
    for _ in range(4000):
        x = state.draw(rng.standard_normal((8, 3)))
        state = moved(state, x, 9.0 * read[:, 2] + (x[:, :2] ** 2).sum(axis=1), WIDE, read)
    assert np.isfinite(state.std).all()
    np.testing.assert_allclose(state.std[2], 1.0, rtol=0.2)


@pytest.mark.parametrize(("size", "group"), [(12, 4), (30, 3), (80, 10)])
def test_losses_that_say_nothing_leave_the_spread_alone_whatever_is_read(size, group):
    # Each sample reads one group of variables, six of seven the first, as those of the best kind of model.
    def after(seed):
        rng, reads = np.random.default_rng(seed), np.repeat(np.eye(size // group), group, axis=1)
        bounds = Bounds(*(np.full(size, value) for value in (-1e9, 1e9, 1e-9, 1e9)))
        state = first_covariance(np.zeros(size), np.ones(size))
        for _ in range(40):
            read = reads[np.where(rng.random(8) < 0.86, 0, rng.integers(0, size // group, 8))]
            state = moved(state, state.draw(rng.standard_normal((8, size))), rng.random(8), bounds, read)
        return np.log10(state.std)

    drift = np.median([after(seed) for seed in range(20)], axis=0)
    assert np.abs(drift).max() < 0.7  # it was up to 6.4


def test_what_all_samples_read_may_be_said_or_left_out():
    state = begun(updates=4)
    x, losses = state.draw(np.random.default_rng(2).standard_normal((6, 3))), np.arange(6) * 1.0
    told = moved(state, x, losses, WIDE, np.ones((6, 3)))
    np.testing.assert_array_equal(told.mean, moved(state, x, losses, WIDE).mean)


def test_memory_is_linear_where_variables_are_many():
    state = begun(size=MOST_FULL + 1, updates=3)
    assert state.C is None
    assert state.root is None
    assert begun(size=MOST_FULL).C.shape == (MOST_FULL, MOST_FULL)


def least(condition, *, turned, evaluations, seed, size=10):
    """Return the least loss of an ellipsoid whose optimum is anywhere."""
    rng = np.random.default_rng([seed, 7])
    turn = np.linalg.qr(rng.standard_normal((size, size)))[0] if turned else np.eye(size)
    shift, axes = rng.uniform(-4.0, 4.0, size), condition ** np.linspace(0.0, 1.0, size)
    opt, best = ASNG(Space({f"x{i}": Real(-5.0, 5.0) for i in range(size)}), seed=seed), math.inf
    for _ in range(evaluations // opt.lam):
        candidates = opt.ask()
        points = np.array([list(c.architecture.values()) for c in candidates])
        losses = (axes * ((points - shift) @ turn) ** 2).sum(axis=1)
        opt.tell(candidates, losses)
        best = min(best, float(losses.min()))
    return best


def test_reals_that_interact_arrive():
    # By the one rate of choices the loss was 18 after 10,000 evaluations; measured here 1e-13 to 1e-16.
    assert max(least(1e2, turned=True, evaluations=2000, seed=seed) for seed in range(3)) < 1e-3


def test_separable_ones_arrive_sooner_by_the_scales():
    # Measured 1e-14 to 1e-9; CMA-ES without scales comes to 14 to 50.
    assert max(least(1e6, turned=False, evaluations=2000, seed=seed) for seed in range(3)) < 1e-3


@pytest.mark.parametrize("optimum", [-1.0, -0.999, 0.0, 0.9, 1.0])
@pytest.mark.parametrize("size", [1, 3])
def test_an_optimum_anywhere_is_reached_also_at_a_bound(optimum, size):
    space = Space({f"x{i}": Real(-1.0, 1.0) for i in range(size)})
    opt, best = ASNG(space, seed=1), math.inf
    for _ in range(60):
        candidates = opt.ask()
        losses = [sum((v - optimum) ** 2 for v in c.architecture.values()) for c in candidates]
        opt.tell(candidates, losses)
        best = min(best, *losses)
    assert best < 1e-5


def test_choices_and_reals_of_one_space_are_both_found():
    space = Space({"c": Categorical(["a", "b", "c"]), **{f"x{i}": Real(0.0, 1.0) for i in range(4)}})
    found = 0
    for seed in range(5):
        opt = ASNG(space, seed=seed)
        for _ in range(60):
            candidates = opt.ask()
            opt.tell(
                candidates,
                [(c["c"] != "b") + sum((c[f"x{i}"] - 0.7) ** 2 for i in range(4)) for c in candidates],
            )
        found += opt.best["c"] == "b" and all(abs(opt.best[f"x{i}"] - 0.7) < 0.02 for i in range(4))
    assert found == 5


def test_the_usual_number_of_samples_grows_with_the_logarithm():
    assert [default_lam(size) for size in (1, 10, 100)] == [4, 10, 17]


def test_the_first_draws_of_a_range_lie_within_it_more_often():
    # Of a normal with half the range as its deviation 32 % lie beyond an end, with 0.29 of it 8.5 %.
    space = Space({"x": Real(0.0, 1.0)})
    draws = [ASNG(space, spread=spread, seed=0).ask(2000) for spread in (0.5, 0.29)]
    beyond = [np.mean([not 0 < c.x[0] < 1 for c in drawn]) for drawn in draws]
    assert abs(beyond[0] - 0.317) < 0.01
    assert abs(beyond[1] - 0.085) < 0.01
