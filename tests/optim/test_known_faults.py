"""Every fault found in the code of the paper's authors, and that it is not here."""

import math

import numpy as np
import pytest

from asng.distributions import Gaussians, Product, Tangent, Theta
from asng.errors import InputError
from asng.optim import ASNG
from asng.optim.ranking import utilities
from asng.optim.step import Settings, State, first_state, step
from asng.space import Categorical, Integer, Real, Space


def choices(*counts):
    return Space({f"c{i}": Categorical(range(k)) for i, k in enumerate(counts)})


def run(opt, loss, updates):
    for _ in range(updates):
        candidates = opt.ask()
        opt.tell(candidates, [loss(c) for c in candidates])
    return opt


def probabilities(opt):
    return np.concatenate([np.asarray(p) for p in opt.theta.values()])


MAKERS = [ASNG, ASNG.paper]


@pytest.mark.parametrize("loss", [-1.0, 0.0, 1.0, math.inf, -math.inf, math.nan, -1e300])
@pytest.mark.parametrize("make", MAKERS)
def test_a_constant_loss_moves_nothing(make, loss):
    opt = make(choices(3, 4), lam=4)
    before = probabilities(opt)
    run(opt, lambda c: loss, 50)
    np.testing.assert_array_equal(probabilities(opt), before)
    assert opt.delta == 1.0


@pytest.mark.parametrize("scale", [-1.0, 1.0, 0.0])
def test_tied_losses_share_their_utilities_whatever_their_sign(scale):
    np.testing.assert_allclose(utilities(np.array([scale, scale, 5.0, 5.0])), [0.5, 0.5, -0.5, -0.5])


@pytest.mark.parametrize("counts", [(2,), (2, 2), (2, 3), (5, 2), (5,), (2, 1), (3, 1, 1)])
@pytest.mark.parametrize("make", MAKERS)
def test_small_spaces_have_feasible_margins(make, counts):
    opt = run(make(choices(*counts), seed=3), lambda c: -sum(c.x), 100)
    for name, k in zip(opt.space, counts, strict=True):
        p = opt.theta[name]
        assert p.sum() == pytest.approx(1)
        assert p.min() > 0
        assert k == 1 or p.argmax() == k - 1


def share_of_growing_spreads(opt):
    """Return how often a std grows in an update whose loss is noise, wherever the mean stays inside."""
    rng, grown, all_of_them = np.random.default_rng(0), 0, 0
    for _ in range(50):
        before = np.array(list(opt.theta.values()))
        run(opt, lambda c: rng.random(), 1)
        mean, std = np.array(list(opt.theta.values())).T
        inside = (mean > 0) & (mean < 1000) & (before[:, 1] < 500)
        grown += np.sum(std[inside] > before[inside, 1] * (1 + 1e-12))
        all_of_them += inside.sum()
    return grown / all_of_them


WIDE = Space({f"i{i}": Integer(0, 1000) for i in range(20)})


def test_mirrored_pairs_can_only_shrink_the_variance():
    assert share_of_growing_spreads(ASNG.paper(WIDE, mirrored=True)) == 0.0


def test_mirrored_pairs_are_for_the_papers_rules_alone():
    with pytest.raises(InputError, match=r"got 'mirrored', with which the variance collapses.*ASNG\.paper"):
        ASNG(WIDE, sampling="mirrored")


def test_mirrored_pairs_say_nothing_of_the_spread():
    opt = ASNG.paper(WIDE, mirrored=True)
    x = np.array([c.x for c in opt.ask()])
    family, theta = Gaussians(list(WIDE.values())), Product(WIDE).initial()
    _, g2 = family.natural_gradient(theta.mean, theta.std, x, np.array([[1.0], [-1.0]]))
    np.testing.assert_allclose(g2, 0, atol=1e-9)


def test_independent_draws_let_the_variance_grow_as_well():
    assert share_of_growing_spreads(ASNG.paper(WIDE)) > 0.25


def test_stratified_draws_let_the_variance_grow_as_well():
    assert share_of_growing_spreads(ASNG(WIDE, lam=2)) > 0.25


@pytest.mark.parametrize("variable", [Integer(0, 10), Real(0.0, 1.0), Integer(16, 256, log=True)])
def test_one_step_of_full_length_does_not_end_a_search_of_one_variable(variable):
    opt = ASNG(Space({"v": variable}), lam=2)
    std = opt.theta["v"][1]
    run(opt, lambda c: c.x[0], 1)
    assert opt.theta["v"][1] > 0.4 * std


@pytest.mark.parametrize("delta_init", [1e-6, 1e-3, 0.1, 10.0, 1e3])
@pytest.mark.parametrize("make", MAKERS)
def test_any_delta_init_on_a_tiny_space_stays_finite(make, delta_init):
    opt = run(make(choices(2), delta_init=delta_init), lambda c: c.x[0], 500)
    assert np.isfinite(probabilities(opt)).all()
    assert math.isfinite(opt.delta)
    assert 0.0 <= opt.gamma <= 1.0


def test_beta_is_at_most_1():
    product = Product(choices(2))
    state = State(product.initial(), np.array([1.0, 1.0]), 0.5, 1e-3)
    new = step(product, Settings(), state, np.array([[0.0], [1.0]]), np.array([0.0, 1.0]))
    assert new.gamma == 1.0
    assert new.s @ new.s == pytest.approx(1.0)


def moved(rules, mean, std, g1, g2, eps):
    family = Gaussians([Integer(0, 10)], rules=rules)
    return [float(v[0]) for v in family.move(*map(np.atleast_1d, (mean, std, g1, g2)), eps)]


def test_a_step_past_a_bound_does_not_become_variance():
    assert moved("default", 10.0, 1.0, 1.0, 0.0, 0.9) == pytest.approx([10.0, math.exp(-0.405)])


def test_the_papers_rules_turn_a_step_past_a_bound_into_variance():
    assert moved("paper", 10.0, 1.0, 1.0, 0.0, 0.9) == pytest.approx([10.0, 19.0**0.5])


@pytest.mark.parametrize("rules", ["default", "paper"])
@pytest.mark.parametrize("mean", [0.0, 1e-12, -1e-9])
def test_a_mean_of_zero_is_no_special_case_of_the_fisher_root(rules, mean):
    family = Gaussians([Integer(-50, 50)], rules=rules)
    std, g1, g2 = np.array([2.0]), np.array([0.3]), np.array([-0.4])
    there = family.fisher_root(np.array([mean]), std, g1, g2)
    near = family.fisher_root(np.array([1e-6]), std, g1, g2)
    np.testing.assert_allclose(there, near, atol=1e-5)


@pytest.mark.parametrize("rules", ["default", "paper"])
def test_the_fisher_root_does_not_cancel_at_large_means(rules):
    family = Gaussians([Integer(100_000, 100_020)], rules=rules)
    g1, g2 = np.array([0.3]), np.array([-0.4])
    for mean in (100_000.0, 1e9, -1e9):
        root = family.fisher_root(np.array([mean]), np.array([0.25]), g1, g2)
        assert root @ root == pytest.approx(0.3**2 + 0.4**2 / 2, rel=1e-12)


@pytest.mark.parametrize("make", MAKERS)
def test_a_narrow_range_far_from_zero_is_solved(make):
    space = Space({f"i{i}": Integer(100_000, 100_020) for i in range(4)})
    opt = run(make(space, lam=4), lambda c: sum((v - 100_007) ** 2 for v in c.architecture.values()), 500)
    assert set(opt.best.values()) == {100_007}


def test_Delta_max_is_respected():
    rng = np.random.default_rng(0)
    opt = ASNG(choices(3, 3, 3), Delta_max=1.5)
    deltas = [run(opt, lambda c: rng.random(), 1).delta for _ in range(200)]
    assert min(deltas) == 1 / 1.5


@pytest.mark.parametrize(("settings", "longest"), [({}, 2.0), ({"delta_max": 3.0}, 3.0)])
def test_delta_max_is_respected(settings, longest):
    opt = ASNG(choices(*[3] * 9), delta_init=100.0, **settings)
    deltas = [run(opt, lambda c: sum(c.architecture.values()), 1).delta for _ in range(50)]
    assert max(deltas) == longest
    assert min(deltas) < longest


@pytest.mark.parametrize("lam", [3, 5, 7])
def test_an_odd_lambda_draws_every_sample(lam):
    space = Space({"i": Integer(0, 10), "c": Categorical([0, 1])})
    for opt in (ASNG(space, lam=lam), ASNG.paper(space, lam=lam, mirrored=True)):
        x = np.array([c.x for c in opt.ask()])
        assert x.shape == (lam, 2)
        assert len(set(x[:, 0])) == lam
        assert np.isfinite(x).all()
        run(opt, lambda c: c.x[0], 10)


@pytest.mark.parametrize("constant", [Integer(7, 7), Real(0.5, 0.5, log=True), Categorical(["only"])])
@pytest.mark.parametrize("make", MAKERS)
def test_a_single_value_range_is_a_constant(make, constant):
    opt = make(Space({"k": constant, "c": Categorical([0, 1])}))
    run(opt, lambda c: c["c"], 20)
    value = constant.decode(
        constant.encode(constant.choices[0] if hasattr(constant, "choices") else constant.low)
    )
    assert {c["k"] for c in opt.ask(5)} == {value}
    assert opt.n_theta == 1


@pytest.mark.parametrize("make", MAKERS)
def test_a_space_of_constants_only_has_nothing_to_learn(make):
    opt = make(Space({"k": Integer(7, 7), "c": Categorical(["only"])}))
    run(opt, lambda c: np.random.default_rng(0).random(), 5)
    assert (opt.n_theta, opt.entropy, dict(opt.best)) == (0, 0.0, {"k": 7, "c": "only"})


@pytest.mark.parametrize("space", [choices(3, 2), Space({"i": Integer(0, 5)}), Space({"r": Real(0, 1)})])
@pytest.mark.parametrize("make", MAKERS)
def test_a_set_of_one_kind_may_be_empty(make, space):
    opt = run(make(space), lambda c: sum(c.x), 20)
    assert space.contains(opt.best)


def relabelled(rules):
    """Return by how much theta differs where category labels are turned around before every step."""
    space, rng = choices(4, 3, 5), np.random.default_rng(0)
    counts = np.array([4, 3, 5])
    product = Product(space, rules=rules)
    a = b = first_state(product)
    for _ in range(50):
        x = product.sample(a.theta, rng.random((4, 3)))
        losses = rng.random(4)
        a = step(product, Settings(), a, x, losses)
        b = step(product, Settings(), b, counts - 1 - x, losses)
    turned = np.concatenate([part[::-1] for part in np.split(b.theta.p, [4, 7])])
    return np.abs(a.theta.p - turned).max()


def test_relabelling_the_categories_does_not_change_the_trajectory():
    assert relabelled("default") < 1e-12


def test_the_papers_coordinates_depend_on_the_labels():
    assert relabelled("paper") > 1e-6


def test_a_step_of_the_paper_never_makes_the_variance_nan():
    family = Gaussians([Integer(0, 10)], rules="paper")
    one = np.ones(1)
    assert family.move(5 * one, one, one, -one, 5.0)[1] == pytest.approx(0.25)


def test_theta_of_the_product_survives_an_absurd_hand_made_point():
    space = Space({"i": Integer(0, 10), "r": Real(-1e300, 1e300)})
    product = Product(space)
    x = np.array([[1e308, -1e308], [-1e308, 1e308]])
    state = step(product, Settings(), first_state(product), x, np.array([0.0, 1.0]))
    assert all(np.isfinite(part).all() for part in state.theta)
    assert isinstance(state.theta, Theta)
    assert Tangent._fields == ("p", "g1", "g2")
