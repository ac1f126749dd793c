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
from asng.optim.staged_front import Improvement, chosen, targets
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


@pytest.mark.parametrize("seed", range(2))
def test_eighty_points_dominate_more_than_four_hundred_at_random(seed):
    ours = volume(searched(StagedFront(REALS, budget=100, seed=seed), concave, 80))
    rng = np.random.default_rng(seed)
    chance = volume([(*concave(REALS.sample(rng)), 0.0) for _ in range(400)])
    assert ours > chance + 0.02


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


def test_what_violates_constraints_is_left_early():
    limit = lambda a: max(0.0, 0.4 - a["r0"])  # noqa: E731
    rows = searched(StagedFront(REALS, budget=100, seed=0), concave, 60, limit)
    late = [row[-1] > 0.0 for row in rows[20:]]
    assert sum(late) < len(late) / 2  # 0.4 at random, more where the front of all points begins
    assert volume(rows) > 0.3


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
    rng = np.random.default_rng(0)
    losses = np.column_stack((rng.random((MOST + 50, 2)) + 1.0, np.zeros(MOST + 50)))
    losses[3, :2], losses[7, :2] = [0.0, 3.0], [3.0, 0.0]
    some = chosen(Archive(rng.random((MOST + 50, 2)), losses, np.ones((MOST + 50, 2))))
    assert len(some) == MOST
    assert {(0.0, 3.0), (3.0, 0.0)} <= {tuple(row[:2]) for row in some.losses}
    assert (some.losses[-1] == losses[-1]).all()


def test_who_violates_is_dominated_by_all_who_do_not():
    rng = np.random.default_rng(1)
    losses = np.column_stack((rng.normal(size=(30, 3)), np.maximum(rng.normal(size=30), 0.0)))
    modelled, over = targets(losses), losses[:, -1]
    good = over == 0.0
    assert (modelled[good] == losses[good, :-1]).all()
    assert (modelled[~good].min(axis=0) > modelled[good].max(axis=0)).all()
    order = np.argsort(over[~good])
    assert (np.diff(modelled[~good][order], axis=0) > 0.0).all()


def test_who_violates_is_behind_the_only_one_who_does_not():
    modelled = targets(np.array([[1.0, 2.0, 0.0], [0.5, 1.0, 0.1], [0.5, 1.0, 9.0]]))
    assert (modelled[0] < modelled[1]).all()
    assert (modelled[1] < modelled[2]).all()
    alone = targets(np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 0.1]]))
    assert (alone[0] < alone[1]).all()


def test_an_improvement_is_the_mean_over_draws():
    front = np.array([[0.0, 1.0], [0.3, 0.4], [1.0, 0.0]])
    improvement = Improvement(np.random.default_rng(0), front)
    inside, on, behind, further = improvement(
        np.array([[0.1, 0.1], [0.3, 0.4], [0.6, 0.7], [2.0, 2.0]]), np.full((4, 2), 1e-9)
    )
    assert inside > on == pytest.approx(0.0, abs=1e-8)
    assert 0.0 > behind > further
    assert inside == pytest.approx(
        improvement.along(front).min() - improvement.along(np.array([[0.1, 0.1]]))[0], rel=1e-6
    )
    unsure = improvement(np.array([[0.6, 0.7]]), np.array([[1.0, 1.0]]))[0]
    assert unsure > 0.0


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
