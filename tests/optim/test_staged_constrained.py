"""The search of `asng.minimize` under constraints."""

import json
import math

import numpy as np
import pytest

from asng.black_box import Measured, minimize
from asng.distributions import Product
from asng.errors import InputError
from asng.optim import Staged, StagedConstrained, StagedFront
from asng.optim.limit import Limit
from asng.optim.model import Archive
from asng.optim.staged_constrained import feasible
from asng.optim.surrogate import Coordinates
from asng.space import Categorical, Integer, Real, Space

REALS = Space({f"x{i}": Real(0.0, 1.0) for i in range(4)})
MIXED = Space({"w": Integer(1, 200, log=True), "d": Integer(1, 8), "op": Categorical(["a", "b"])})


def network(a):
    """The best networks are as large as they may be: 2 % of the space is within."""
    size = a["w"] * a["d"] * (1.5 if a["op"] == "b" else 1.0)
    return 1.0 / math.log(1.0 + size) + 0.02 * abs(a["d"] - 5) - 0.03 * (a["op"] == "b"), size / 15.0 - 1.0


def corner(a):
    """The sum of four reals, whose product must not be small."""
    return sum(a.values()), 0.2 - math.prod(a.values())


def searched(opt, f, evaluations):
    found = []
    while len(found) < evaluations:
        candidates = opt.ask()
        rows = [f(c.architecture) for c in candidates]
        opt.tell(candidates, rows)
        found += rows
    return found[:evaluations]


def least(rows):
    return min((loss for loss, worst in rows if worst <= 0.0), default=math.inf)


@pytest.mark.parametrize("seed", range(3))
def test_an_optimum_at_the_limit_is_found_in_forty_calls(seed):
    assert least(searched(StagedConstrained(REALS, budget=60, seed=seed), corner, 40)) < 4 * 0.2**0.25 + 0.05
    best = min(network(a)[0] for a in every_network() if network(a)[1] <= 0.0)
    assert least(searched(StagedConstrained(MIXED, budget=60, seed=seed), network, 40)) < best + 0.01


def every_network():
    return [{"w": w, "d": d, "op": op} for w in range(1, 201) for d in range(1, 9) for op in "ab"]


def test_points_that_keep_the_constraints_are_sought_until_one_does():
    def f(a):
        return -a["x0"], 0.05 + sum((a[f"x{i}"] - 0.77) ** 2 for i in range(4))  # never feasible

    rows = searched(StagedConstrained(REALS, budget=60, seed=0), f, 40)
    assert min(worst for _, worst in rows) < 0.08  # 0.2 at random


@pytest.mark.parametrize("noisy", [False, True])
def test_without_constraints_it_is_the_search_without_them(noisy):
    def loss(a):
        return (a["x0"] - 0.3) ** 2 + abs(a["x1"] - a["x2"]) if a["x3"] < 0.9 else math.nan

    plain, other = (kind(REALS, budget=300, seed=3, noisy=noisy) for kind in (Staged, StagedConstrained))
    for _ in range(60):
        drawn, same = plain.ask(), other.ask()
        assert [c.architecture for c in drawn] == [c.architecture for c in same]
        plain.tell(drawn, [loss(c) for c in drawn])
        other.tell(same, [(loss(c), -1.0) for c in same])


@pytest.mark.parametrize("evaluations", [0, 10, 40, 210])
def test_a_search_goes_on_to_the_same_bits_in_every_stage(evaluations):
    straight = StagedConstrained(MIXED, budget=500, seed=1)
    if evaluations:
        searched(straight, network, evaluations)
    other = StagedConstrained(MIXED, budget=500, seed=2)
    other.load_state_dict(json.loads(json.dumps(straight.state_dict(), allow_nan=False)))
    assert searched(straight, network, 12) == searched(other, network, 12)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_minimize_tells_of_constraints(asynchronous):
    def f(a):
        loss, worst = corner(a)
        return Measured(loss, constraints={"product": worst, "slack": -1.0})

    result = minimize(f, REALS, 50, asynchronous=asynchronous)
    assert result.loss < 4 * 0.2**0.25 + 0.05


@pytest.mark.parametrize("objectives", [(), ("a", "b")])
def test_a_constraint_that_holds_by_any_margin_holds(objectives):
    def f(a):
        loss = {"a": a["x0"], "b": 1.0 - a["x0"]} if objectives else a["x0"]
        return Measured(loss, constraints={"c": -math.inf if a["x1"] < 0.5 else 1.0})

    result = minimize(f, REALS, 20, objectives=objectives)
    optimizer = (StagedFront if objectives else StagedConstrained)(REALS, budget=20)
    minimize(f, REALS, 20, objectives=objectives, optimizer=optimizer)
    kept = [one.feasible for one in result.history]
    assert feasible(optimizer._state.archive.losses).tolist() == kept
    assert sum(kept) > 5


def known(worst):
    x = np.linspace(0.0, 1.0, len(worst))[:, None]
    return Archive(x, np.array(worst), np.ones_like(x))


LINE = Product(Space({"x": Real(0.0, 1.0)}))


def test_the_probability_falls_from_one_side_of_the_limit_to_the_other():
    points = known([x - 0.6 for x in np.linspace(0.0, 1.0, 12)])
    kept = Limit.first(1).learnt(LINE, points).kept(LINE, points)
    p = np.exp(kept(Coordinates.of(LINE, np.linspace(0.0, 1.0, 41)[:, None])))
    assert (p >= 0.0).all()
    assert (p <= 1.0).all()
    assert p[:20].min() > 0.9
    assert p[28:].max() < 0.1


@pytest.mark.parametrize(
    "worst", [[-1.0] * 5, [0.0] * 5, [1.0] * 5, [math.inf] * 5, [-math.inf, -1.0, 0.0, 1.0, math.inf]]
)
def test_any_values_have_a_probability(worst):
    points = known(worst)
    log_p = Limit.first(1).learnt(LINE, points).kept(LINE, points)(Coordinates.of(LINE, points.x))
    assert (log_p <= 0.0).all()
    assert np.isfinite(log_p).all()


def test_an_optimiser_of_other_objectives_is_refused():
    with pytest.raises(
        InputError, match=r"expected one for one loss, .*is told 2\. Leave it out, .*Constrained"
    ):
        minimize(lambda a: 0.0, REALS, 10, optimizer=StagedFront(REALS))
    with pytest.raises(
        InputError, match=r"expected one for 2 losses, .*is told 1\..*StagedFront with objectives=2\."
    ):
        minimize(lambda a: 0.0, REALS, 10, objectives=["a", "b"], optimizer=StagedConstrained(REALS))
