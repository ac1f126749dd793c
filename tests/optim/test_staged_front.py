"""The search of `asng.minimize` for several objectives."""

import json
import math

import numpy as np
import pytest

from asng.errors import InputError, RunError
from asng.optim import StagedFront
from asng.optim.model import MOST, Archive
from asng.optim.pareto import hypervolume, undominated
from asng.optim.staged import BATCH, FIRST
from asng.optim.staged_front import Improvement
from asng.space import Categorical, Integer, Real, Space

REALS = Space({f"r{i}": Real(0.0, 1.0) for i in range(5)})
MIXED = Space({"k": Integer(0, 9), "op": Categorical(["a", "b", "c"]), "r": Real(-1.0, 1.0)})


def concave(a):
    """No weighted sum of the two has its minimum inside the front."""
    x = list(a.values())
    g = 1.0 + sum(abs(v - 0.3) for v in x[1:])
    return x[0], g * (1.0 - (x[0] / g) ** 2)


def mixed(a):
    away = abs(a["r"] - 0.2) + (a["op"] != "b")
    return a["k"] + away, 9 - a["k"] + away


def searched(opt, f, evaluations, over=lambda a: 0.0):
    found = []
    while len(found) < evaluations:
        candidates = opt.ask()
        rows = [(*f(c.architecture), over(c.architecture)) for c in candidates]
        opt.tell(candidates, rows)
        found += rows
    return found[:evaluations]


def volume(rows):
    found = undominated(np.array([row[:-1] for row in rows if row[-1] <= 0.0]))
    return hypervolume(found / 2.0, 1.0)


@pytest.mark.parametrize("seed", range(8))
def test_eighty_points_dominate_more_than_four_hundred_at_random(seed):
    ours = volume(searched(StagedFront(REALS, budget=100, seed=seed), concave, 80))
    rng = np.random.default_rng(seed)
    chance = volume([(*concave(REALS.sample(rng)), 0.0) for _ in range(400)])
    assert ours > chance + 0.05


def test_the_whole_of_a_mixed_front_is_found():
    rows = searched(StagedFront(MIXED, budget=500, seed=1), mixed, 100)
    ends = {round(row[0]) for row in rows if row[0] + row[1] < 9.2}
    assert ends == set(range(10))


@pytest.mark.parametrize("evaluations", [0, 10, 30, 60])
def test_a_search_goes_on_to_the_same_bits_in_every_stage(evaluations, monkeypatch):
    monkeypatch.setattr(StagedFront, "_model_calls", 40)
    straight = StagedFront(MIXED, budget=500, seed=1)
    if evaluations:
        searched(straight, mixed, evaluations)
    other = StagedFront(MIXED, budget=500, seed=2)
    other.load_state_dict(json.loads(json.dumps(straight.state_dict(), allow_nan=False)))
    assert other.runs == (evaluations >= 40)
    assert searched(straight, mixed, 12) == searched(other, mixed, 12)


def test_stages_ask_for_as_many_points_as_suits_them():
    opt = StagedFront(MIXED, budget=500)
    assert len(opt.ask()) == FIRST
    searched(opt, mixed, FIRST)
    assert (len(opt.ask()), opt.runs) == (BATCH, 0)
    assert StagedFront(REALS, budget=5000).runs == 1


def test_a_front_at_a_limit_is_found():
    rows = searched(StagedFront(MIXED, budget=100, seed=0), mixed, 60, lambda a: 0.4 - a["r"])
    late = [row[-1] > 0.0 for row in rows[20:]]
    assert sum(late) < len(late) / 2  # 0.7 at random; the best points violate it
    ends = {round(row[0] - 0.2) for row in rows if row[-1] <= 0.0 and row[0] + row[1] < 9.5}
    assert len(ends) > 7


def test_where_all_violate_the_violation_falls():
    rows = searched(StagedFront(REALS, budget=100, seed=0), concave, 40, lambda a: 0.5 + abs(a["r1"] - 0.9))
    assert min(row[-1] for row in rows) < 0.51


def test_failed_points_are_passed_over():
    def f(a):
        return (math.nan, 1.0) if a["op"] == "a" else mixed(a)

    opt = StagedFront(MIXED, budget=500, seed=0)
    rows = searched(opt, f, 60)
    assert sum(math.isnan(row[0]) for row in rows[FIRST:]) < 20
    assert opt.best["op"] == "b"


def test_the_points_of_a_model_are_the_front_and_the_newest():
    rng, n = np.random.default_rng(0), MOST + 50
    losses = np.column_stack((rng.random((n, 2)) + 1.0, np.full(n, -1.0)))
    losses[3, :2], losses[7, :2] = [0.0, 3.0], [3.0, 0.0]
    losses[9] = [-1.0, -1.0, 0.1]  # violates the constraint
    some = StagedFront(REALS)._kept(Archive(rng.random((n, 5)), losses, np.ones((n, 5))))
    assert len(some) == MOST
    assert {(0.0, 3.0), (3.0, 0.0)} <= {tuple(row[:2]) for row in some.losses}
    assert (some.losses[-1] == losses[-1]).all()
    assert some.losses[:, -1].max() < 0.0


def test_an_improvement_is_the_mean_over_draws():
    front = np.array([[0.0, 1.0], [0.3, 0.4], [1.0, 0.0]])
    improvement = Improvement(np.random.default_rng(0), front, front)
    inside, on, behind, further = improvement(
        np.array([[0.1, 0.1], [0.3, 0.4], [0.6, 0.7], [2.0, 2.0]]), np.full((4, 2), 1e-9)
    )
    assert inside > on > behind > further
    gain = improvement.along(front).min() - improvement.along(np.array([[0.1, 0.1]]))[0]
    assert inside == pytest.approx(math.log(gain), rel=1e-6)
    assert improvement(np.array([[0.6, 0.7]]), np.array([[1.0, 1.0]]))[0] > on


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([1.0, 2.0], "losses: expected 2 lists of 3 numbers"),
        ([[1.0, 2.0], [1.0, 2.0]], r"losses: expected 2 lists of 3 numbers.*shape \(2, 2\)"),
        ([[1.0, 2.0, 0.0]], r"losses: expected 2 lists of 3 numbers.*shape \(1, 3\)"),
    ],
)
def test_rows_of_another_length_are_refused(rows, match):
    opt = StagedFront(MIXED, budget=500)
    with pytest.raises(InputError, match=match):
        opt.tell(opt.ask(2), rows)


def test_unfit_objectives_and_states_are_refused():
    with pytest.raises(InputError, match="objectives: expected an integer >= 2"):
        StagedFront(MIXED, objectives=1)
    opt = StagedFront(MIXED, budget=500)
    searched(opt, mixed, 20)
    good = opt.state_dict()
    for bad in (
        {"models": good["models"][:1]},
        {"front": {"points": [[1.0]], "low": [0.0], "high": [0.0]}},
        {"front": None},
    ):
        with pytest.raises(RunError, match="state"):
            opt.load_state_dict(good | bad)
    assert opt.state_dict() == good
    with pytest.raises(RunError):
        StagedFront(MIXED, objectives=3).load_state_dict(good)
