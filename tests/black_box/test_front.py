"""Several objectives: what is not dominated, what it is worth, and a search that spreads over it."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from black_boxes import Counted
from hypothesis import given
from hypothesis import strategies as st
from test_resume_black_box import same

from asng.black_box import Measured, MinimizeError, minimize
from asng.black_box.front import Front
from asng.black_box.result import Evaluation
from asng.errors import InputError, RunError
from asng.optim import RandomSearch
from asng.optim.pareto import hypervolume, undominated
from asng.space import Architecture, Categorical, Integer, Real, Space

SPACE = Space({f"x{i}": Real(0.0, 1.0) for i in range(6)} | {"op": Categorical(["a", "b", "c"])})
NAMES = ("error", "cost")


def two(a):
    """ZDT1 with a choice that adds to the cost; the front has x1 to x5 = 0 and op = b."""
    g = 1.0 + 9.0 * sum(a[f"x{i}"] for i in range(1, 6)) / 5
    return {"error": a["x0"], "cost": g * (1.0 - math.sqrt(a["x0"] / g)) + (a["op"] != "b")}


def evaluation(losses, constraints=None):
    names = "abcd"[: len(losses)]
    return Evaluation(
        Architecture({}), math.nan, 0, losses=dict(zip(names, losses, strict=True)), constraints=constraints
    )


points = st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=12)


def counted(found, dims, top=10):
    """The volume by counting unit cells."""
    grid = np.stack(np.meshgrid(*[np.arange(top)] * dims, indexing="ij"), axis=-1).reshape(-1, dims)
    return sum(any((point <= cell).all() for point in found) for cell in grid)


@given(points, st.integers(2, 3))
def test_the_hypervolume_counts_what_is_dominated(drawn, dims):
    found = undominated(np.array(drawn, dtype=float)[:, :dims])
    assert hypervolume(found, 10.0) == pytest.approx(counted(found, dims))


@given(points)
def test_the_front_is_what_nothing_dominates(drawn):
    front = Front("abc")
    for point in drawn:
        front.add(evaluation([float(value) for value in point]))
    kept = {tuple(one.losses.values()) for one in front.members}
    expected = {p for p in drawn if not any(all(np.less_equal(q, p)) and q != p for q in drawn)}
    assert kept == expected
    assert [tuple(one.losses.values()) for one in front.members] == sorted(expected)
    assert front.middle() in front.members


@given(points, st.tuples(*[st.floats(0, 9)] * 3))
def test_what_is_told_is_the_volume_that_a_point_adds(drawn, point):
    front = Front("abc")
    for one in drawn:
        front.add(evaluation([float(value) for value in one]))
    told, of = front.told([evaluation(list(point))])[0], front._front
    scaled, y = of.scaled(of.points), of.scaled(np.array([point]))[0]
    added = hypervolume(undominated(np.vstack((scaled, y)))) - hypervolume(scaled)
    assert told == pytest.approx(-added) if told < 0 else added == pytest.approx(0.0, abs=1e-12)


def test_further_behind_is_worse_and_who_breaks_a_constraint_or_fails_is_worst():
    front = Front("ab")
    for point in ([0.0, 1.0], [0.5, 0.5], [1.0, 0.0]):
        front.add(evaluation(point))
    gap, near, far, over = front.told(
        [
            evaluation([0.2, 0.6]),
            evaluation([0.6, 0.6]),
            evaluation([0.9, 0.9]),
            evaluation([0.0, 0.0], {"c": 1.0}),
        ]
    )
    assert gap < 0.0 < near < far < over
    assert math.isnan(front.told([evaluation([math.nan, 0.0])])[0])
    assert not front.add(evaluation([-1.0, -1.0], {"c": 0.1}))


def volume(result):
    found = [list(one.losses.values()) for one in result.front]
    return hypervolume(np.array(found) / [1.1, 10.0], 1.0)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_search_comes_nearer_to_the_front_than_chance_and_spreads(asynchronous):
    result = minimize(two, SPACE, 150, objectives=NAMES, asynchronous=asynchronous)
    chance = minimize(two, SPACE, 400, objectives=NAMES, optimizer=RandomSearch(SPACE, lam=8))
    assert volume(result) > volume(chance) + 0.05
    assert len(result.front) > 10
    assert result.front[0].losses["error"] < 0.1 < 0.6 < result.front[-1].losses["error"]
    assert result.architecture in [one.architecture for one in result.front]


def test_it_goes_on_to_the_same_bits_and_does_not_depend_on_workers(tmp_path):
    straight = minimize(two, SPACE, 60, objectives=NAMES)
    with pytest.raises(KeyboardInterrupt):
        minimize(Counted(two, dies_at=23), SPACE, 60, objectives=NAMES, run_dir=tmp_path)
    f = Counted(two)
    resumed = minimize(f, SPACE, 60, objectives=NAMES, run_dir=tmp_path, resume=True)
    assert len(f.calls) == 37
    assert [one.losses for one in resumed.history] == [one.losses for one in straight.history]
    assert resumed.front == straight.front
    with ThreadPoolExecutor(3) as threads:
        beside = minimize(two, SPACE, 60, objectives=NAMES, workers=threads)
    assert [one.losses for one in beside.history] == [one.losses for one in straight.history]
    with pytest.raises(RunError, match=r"expected a search with objectives=\[\]"):
        minimize(lambda a: 0.0, SPACE, 60, run_dir=tmp_path, resume=True)
    assert "The front" in resumed.report().read_text()


def test_processes_take_it_and_what_is_known_is_on_the_front():
    known = [({f"x{i}": 0.0 for i in range(6)} | {"op": "b"}, {"error": 0.0, "cost": 0.9})]
    result = minimize(two, SPACE, 8, objectives=NAMES, workers=2, known=known)
    assert result.front[0].architecture == Architecture(known[0][0])
    assert set(result.columns()) >= {"losses error", "losses cost"}


def test_constraints_bound_the_front():
    def f(a):
        return Measured(two(a), constraints={"x0": a["x0"] - 0.5})

    result = minimize(f, SPACE, 150, objectives=NAMES)
    assert result.front
    assert all(one.architecture["x0"] <= 0.5 for one in result.front)


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ("error", "objectives: expected two to four different names"),
        (["error"], "objectives: expected two to four"),
        (["a", "a"], "objectives: expected two to four"),
        (list("abcde"), "objectives: expected two to four"),
    ],
)
def test_unfit_objectives_are_refused(objectives, message):
    with pytest.raises(InputError, match=message):
        minimize(two, SPACE, 10, objectives=objectives)


def test_other_losses_than_the_objectives_fail_the_call():
    with pytest.raises(MinimizeError, match="expected losses error, time, got"):
        minimize(two, SPACE, 10, objectives=["error", "time"])
    with pytest.raises(InputError, match=r"known\[0\]: expected losses"):
        minimize(two, SPACE, 10, objectives=NAMES, known=[(SPACE.decode([0.0] * 7), 1.0)])


def test_a_function_of_one_loss_is_as_before():
    assert minimize(lambda a: a["x0"], SPACE, 20).front == ()
    with pytest.raises(MinimizeError, match="objectives"):
        minimize(two, SPACE, 20)


def test_repeated_runs_are_the_same():
    runs = [minimize(two, SPACE, 40, objectives=NAMES, seed=2) for _ in range(2)]
    assert runs[0].front == runs[1].front
    same(minimize(lambda a: a["x0"], SPACE, 20), minimize(lambda a: a["x0"], SPACE, 20))


def never_feasible(a):
    if a["x"] == 1:
        raise ValueError("no loss")
    return Measured({"error": a["x"], "cost": -a["x"]}, constraints={"size": 1 + a["x"], "time": -1})


@pytest.mark.parametrize("asynchronous", [False, True])
def test_where_nothing_is_feasible_the_least_violation_is_the_best_of_several_objectives(asynchronous):
    space = Space({"x": Integer(0, 999)})
    seen = []
    result = minimize(
        never_feasible,
        space,
        30,
        objectives=NAMES,
        on_error="worst",
        asynchronous=asynchronous,
        callbacks=[lambda progress: seen.append(progress.best)],
    )
    closest = min((one for one in result.history if not one.error), key=lambda one: one.constraints["size"])
    assert closest != result.history[0]
    assert (result.architecture, result.front) == (closest.architecture, ())
    assert seen[-1].constraints["size"] <= seen[0].constraints["size"]


def undominated_losses(history):
    """The losses that no others of a history dominate, one pair after the other."""
    pairs = [tuple(one.losses.values()) for one in history if one.losses]
    return sorted({p for p in pairs if not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in pairs)})


@pytest.mark.parametrize("budget", [3, 20, 29])
def test_the_front_has_the_calls_of_a_generation_that_the_budget_cuts(budget, tmp_path):
    result = minimize(two, SPACE, budget, objectives=NAMES, run_dir=tmp_path)
    assert result.evaluated == budget
    assert [tuple(one.losses.values()) for one in result.front] == undominated_losses(result.history)
    assert result.architecture in [one.architecture for one in result.front]
    same(minimize(two, SPACE, budget, objectives=NAMES, run_dir=tmp_path, resume=True), result)
    more = minimize(two, SPACE, 60, objectives=NAMES, run_dir=tmp_path, resume=True)
    same(more, minimize(two, SPACE, 60, objectives=NAMES))


def test_the_front_of_a_search_that_is_interrupted_has_all_calls():
    with pytest.raises(KeyboardInterrupt) as stop:
        minimize(Counted(two, dies_at=13, error=KeyboardInterrupt()), SPACE, 40, objectives=NAMES)
    result = stop.value.result
    assert [tuple(one.losses.values()) for one in result.front] == undominated_losses(result.history)
