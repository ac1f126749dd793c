"""The model of losses: its likelihood, its predictions, what it does with values, and what it proposes."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from asng.distributions import Product
from asng.optim.linear import inverse, times
from asng.optim.model import INFEASIBLE, POWERS, Archive, Model, bent, learnt_model, surrogate_of
from asng.optim.proposals import log_improvement, proposed
from asng.optim.reading import Reading
from asng.optim.surrogate import Coordinates, Surrogate, evidence, first_hyper, fitted, surprise
from asng.space import Categorical, Integer, Real, Space

SPACE = Space(
    {
        "c": Categorical(["a", "b", "c"]),
        "i": Integer(1, 64, log=True),
        "x": Real(-1.0, 3.0),
        "y": Real(1e-3, 1.0, log=True),
    }
)
PRODUCT = Product(SPACE)


def points(n, seed=0):
    return PRODUCT.snapped(PRODUCT.uniform(np.random.default_rng(seed).random((n, 4))))


def smooth(x):
    return (x[:, 2] - 1.0) ** 2 + 0.3 * (x[:, 0] != 1.0) + 0.1 * x[:, 1]


def known(n, seed=0):
    x = points(n, seed)
    return Archive.empty(4).joined(x, smooth(x), None)


@pytest.mark.parametrize("n", [1, 5, 48, 49, 97, 150])
def test_inverses_and_determinants_are_those_of_numpy(n):
    half = np.random.default_rng(n).standard_normal((n, n))
    a = half @ half.T + np.eye(n)
    inverted, log_det = inverse(a)
    np.testing.assert_allclose(inverted @ a, np.eye(n), atol=1e-9)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(a)[1], rtol=1e-10)


@given(st.integers(1, 90), st.integers(1, 200), st.integers(1, 700))
def test_products_in_pieces_are_products(m, k, n):
    rng = np.random.default_rng(m)
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    np.testing.assert_allclose(times(a, b), np.einsum("ik,kj->ij", a, b), atol=1e-10)


@pytest.mark.slow
def test_the_number_of_threads_changes_no_bit():
    code = (
        "import asng, hashlib; s = asng.Space({f'x{i}': asng.Real(0.0, 1.0) for i in range(20)});"
        "r = asng.minimize(lambda a: sum((v - 0.3) ** 2 for v in a.values()), s, 160);"
        "print(hashlib.md5(repr([e.loss for e in r.history]).encode()).hexdigest())"
    )
    found = set()
    for threads in ("1", "4"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        found.add(ran.stdout)
    assert len(found) == 1


def test_the_slope_of_the_likelihood_is_its_slope():
    x = points(30)
    pairs = Coordinates.of(PRODUCT, x).pairs()
    y, values = bent(smooth(x), 1.0)[0], first_hyper(4).values + 0.3
    _, slope = evidence(pairs, y, values)
    around = [[evidence(pairs, y, values + h * one)[0] for h in (1e-5, -1e-5)] for one in np.eye(6)]
    np.testing.assert_allclose(slope, [(up - down) / 2e-5 for up, down in around], rtol=1e-3)


def test_a_fit_makes_hyper_parameters_likelier_and_never_less_likely():
    x = points(30)
    pairs = Coordinates.of(PRODUCT, x).pairs()
    y, hyper = bent(smooth(x), 1.0)[0], first_hyper(4)
    found = [surprise(pairs, y, hyper)]
    for _ in range(10):
        hyper = fitted(pairs, y, hyper, 6)
        found.append(surprise(pairs, y, hyper))
    assert (np.diff(found) <= 0.0).all()
    assert found[-1] < found[0] - 50.0


def test_where_losses_are_known_they_are_foreseen_and_elsewhere_nearly():
    archive = known(60)
    model = Model.first(4)
    for _ in range(12):
        model = learnt_model(PRODUCT, archive, model)
    surrogate = surrogate_of(PRODUCT, archive, model)
    mean, variance, _, _ = surrogate.predicted(Coordinates.of(PRODUCT, archive.x))
    y, _ = bent(archive.losses, POWERS[model.bend])
    assert np.abs(mean - y).max() < 0.2
    others = points(200, seed=1)
    foreseen, unsure, _, _ = surrogate.predicted(Coordinates.of(PRODUCT, others))
    assert np.corrcoef(np.argsort(np.argsort(foreseen)), np.argsort(np.argsort(smooth(others))))[0, 1] > 0.97
    assert unsure.mean() > variance.mean()


def test_what_was_not_read_tells_the_model_nothing():
    x, y = points(6), np.arange(6) * 1.0
    read = np.ones((6, 4))
    read[:, 3] = 0.0
    changed = x.copy()
    changed[:, 3] = -1.0
    there = [Coordinates.of(PRODUCT, one, read) for one in (x, changed)]
    means = [Surrogate(own, y, first_hyper(4)).mean(there[0]) for own in there]
    np.testing.assert_array_equal(*means)


def test_a_variable_that_was_not_read_is_far_from_one_that_was():
    x, read = points(2), np.ones((2, 4))
    x[1] = x[0]
    read[1, [0, 2]] = 0.0
    own = Coordinates.of(PRODUCT, x, read)
    apart = own.pairs()[:, 0]
    assert apart[0] == 1.0
    assert apart[2] > 0.2
    assert apart[[1, 3]].max() == 0.0


LOSSES = st.lists(st.integers(-(10**6), 10**6), min_size=3, max_size=20, unique=True)


@given(LOSSES, st.floats(1e-3, 1e3), st.floats(-9, 9))
def test_bent_losses_keep_their_order_and_know_no_unit(losses, by, more):
    losses = np.array(losses, dtype=float)
    for power in POWERS:
        y, _ = bent(losses, power)
        assert (np.diff(y[np.argsort(losses, kind="stable")]) >= 0.0).all()
        np.testing.assert_allclose(bent(by * losses + more, power)[0], y, atol=1e-4)


def test_losses_that_are_all_equal_or_all_failed_are_bent_to_nothing():
    for losses in (np.full(4, 3.0), np.full(4, math.nan), np.full(4, math.inf)):
        y, slopes = bent(losses, 0.0)
        assert not y.any()
        assert slopes == 0.0
        archive = Archive.empty(4).joined(points(4), losses, None)
        assert learnt_model(PRODUCT, archive, Model.first(4)).turn == 0


@pytest.mark.parametrize(("gain", "spread"), [(0.0, 1.0), (2.0, 0.5), (-1.0, 1.0), (-4.0, 1.0), (-3.0, 0.2)])
def test_the_expected_improvement_is_its_integral(gain, spread):
    def density(v):
        return v * math.exp(-0.5 * ((v - gain) / spread) ** 2) / (spread * math.sqrt(2 * math.pi))

    value, _ = quad(density, 0.0, max(gain, 0.0) + 12.0 * spread, epsabs=0.0, epsrel=1e-9, limit=500)
    found = log_improvement(np.array([gain]), np.array([spread]))[0]
    assert found == pytest.approx(math.log(value), abs=1e-4)


def test_the_expected_improvement_falls_as_far_as_floats_go():
    values = log_improvement(-np.logspace(-3, 5, 400), np.ones(400))
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0.0).all()


def test_proposals_are_new_different_and_of_the_space():
    archive, model = known(20), Model.first(4)
    seen = {row.tobytes() for row in archive.x}
    x = proposed(
        PRODUCT,
        np.random.default_rng(0),
        surrogate_of(PRODUCT, archive, model),
        archive.x[archive.order()[:8]],
        6,
        reads=lambda x: None,
        known=lambda x: np.array([row.tobytes() in seen for row in x], dtype=bool),
    )
    assert len({row.tobytes() for row in x} - seen) == 6
    assert all(SPACE.contains(SPACE.decode(row)) for row in x)
    np.testing.assert_array_equal(PRODUCT.snapped(x), x)


def test_a_point_near_the_best_is_new_and_differs_from_those_of_the_model():
    archive, model = known(20), Model.first(4)
    seen, best = {row.tobytes() for row in archive.x}, archive.x[archive.order()[:8]]
    for seed in range(20):
        x = proposed(
            PRODUCT,
            np.random.default_rng(seed),
            surrogate_of(PRODUCT, archive, model),
            best,
            2,
            nearby=True,
            reads=lambda x: None,
            known=lambda x: np.array([row.tobytes() in seen for row in x], dtype=bool),
        )
        assert len({row.tobytes() for row in x} - seen) == 2
        assert SPACE.contains(SPACE.decode(x[1]))


def test_where_all_points_are_known_some_are_proposed_all_the_same():
    space = Space({"c": Categorical(["a", "b"])})
    product = Product(space)
    archive = Archive.empty(1).joined(np.array([[0.0], [1.0]]), np.array([1.0, 2.0]), None)
    surrogate = surrogate_of(product, archive, Model.first(1))
    everything = lambda x: np.ones(len(x), dtype=bool)  # noqa: E731
    x = proposed(
        product, np.random.default_rng(0), surrogate, archive.x, 2, reads=lambda x: None, known=everything
    )
    assert x.shape == (2, 1)


def test_points_are_the_same_where_their_architectures_are():
    x = PRODUCT.uniform(np.random.default_rng(0).random((300, 4))) + 0.3
    snapped = PRODUCT.snapped(x)
    for raw, own in zip(x, snapped, strict=True):
        architecture = SPACE.decode(np.where([True, False, False, False], np.floor(raw) % 3, raw))
        for name, column in (("i", 1), ("x", 2), ("y", 3)):
            assert SPACE[name].decode(own[column]) == pytest.approx(architecture[name], rel=1e-12)


def test_nested_conditions_are_found_from_what_calls_read():
    space = Space(
        {
            "model": Categorical(["tree", "svm"]),
            "kernel": Categorical(["rbf", "poly"]),
            "degree": Integer(1, 5),
        }
    )
    product, rng = Product(space), np.random.default_rng(0)
    x = product.snapped(product.uniform(rng.random((40, 3))))
    svm, poly = x[:, 0] == 1.0, x[:, 1] == 1.0
    active = np.column_stack((np.ones(40), svm, svm & poly)).astype(float)
    np.testing.assert_array_equal(Reading(product, x[:20], active[:20])(x[20:]), active[20:])


def test_where_all_was_read_nothing_is_said_of_reading():
    assert Reading(PRODUCT, points(5), np.ones((5, 4)))(points(3)) is None


def test_points_that_keep_constraints_differ_for_the_model_where_most_do_not():
    losses = np.array([1.0, 2.0, 4.0] + [INFEASIBLE * (1.0 + share) for share in np.linspace(0.1, 0.9, 20)])
    points = np.arange(23.0)[:, None]
    known = Archive(points, losses, np.ones((23, 1))).chosen()
    assert (np.diff(known.losses) > 0.0).all()
    for power in POWERS:
        y, _ = bent(known.losses, power)
        assert min(y[1] - y[0], y[2] - y[1], y[-1] - y[3]) > 0.1, power
