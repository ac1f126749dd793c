"""The search of `asng.minimize`: its stages, its restarts, and what it must not do."""

import json
import math

import numpy as np
import pytest

from asng.black_box import minimize
from asng.errors import InputError
from asng.optim import ASNG, Staged
from asng.optim.staged import BATCH, FIRST, MODEL_CALLS
from asng.space import Categorical, Integer, Real, Space

REALS = Space({"x": Real(-1.0, 1.0), "y": Real(-1.0, 1.0)})
CHOICES = Space({f"c{i}": Categorical(range(4)) for i in range(5)})


def bowl(a):
    return (a["x"] - 0.31) ** 2 + (a["y"] + 0.62) ** 2


def searched(opt, f, evaluations):
    losses = []
    while len(losses) < evaluations:
        candidates = opt.ask()
        told = [f(c.architecture) for c in candidates]
        opt.tell(candidates, told)
        losses += told
    return losses


def test_stages_ask_for_as_many_points_as_suits_them():
    opt = Staged(REALS, budget=500)
    assert len(opt.ask()) == FIRST
    searched(opt, bowl, FIRST)
    assert len(opt.ask()) == BATCH
    searched(opt, bowl, MODEL_CALLS)
    assert len(opt.ask()) >= 8
    assert opt.runs == 1


def test_as_many_points_as_wanted_are_asked_for_where_that_is_given():
    opt = Staged(REALS, budget=500, lam=5)
    assert len(opt.ask()) == 5
    searched(opt, bowl, 10)
    assert len(opt.ask()) == 5


def test_the_model_finds_a_smooth_optimum_in_forty_evaluations():
    # The best of 40 uniform points is at 0.01 in the median.
    assert max(min(searched(Staged(REALS, budget=100, seed=seed), bowl, 40)) for seed in range(3)) < 1e-3


def test_the_model_proposes_no_point_twice():
    opt, seen = Staged(CHOICES), []
    for _ in range(40):
        candidates = opt.ask()
        seen += [c.architecture for c in candidates]
        opt.tell(candidates, [sum(c.architecture.values()) for c in candidates])
    assert len(set(seen[FIRST:])) == len(seen) - FIRST


def test_many_reals_and_evaluations_begin_without_a_model():
    assert Staged(REALS, budget=2000).runs == 1
    assert Staged(REALS, budget=1000).runs == 0
    assert Staged(CHOICES, budget=2000).runs == 0
    assert Staged(Space({f"c{i}": Categorical([0, 1]) for i in range(65)})).runs == 1


@pytest.mark.parametrize("evaluations", [0, 10, 40, 210])
def test_a_search_goes_on_to_the_same_bits_in_every_stage(evaluations):
    straight = Staged(REALS, budget=500, seed=1)
    if evaluations:
        searched(straight, bowl, evaluations)
    other = Staged(REALS, budget=500, seed=2)
    other.load_state_dict(json.loads(json.dumps(straight.state_dict(), allow_nan=False)))
    assert searched(straight, bowl, 20) == searched(other, bowl, 20)


def test_a_search_that_has_settled_begins_anew_and_keeps_the_best():
    opt = Staged(CHOICES, budget=5000)
    searched(opt, lambda a: sum(v != 2 for v in a.values()), 800)
    assert opt.runs > 1
    assert set(opt.best.values()) == {2}


def test_a_search_begins_anew_although_it_does_not_read_every_variable():
    space = Space({"kind": Categorical(["a", "b"]), "x": Integer(0, 9), "unread": Real(0.0, 1.0)})
    opt = Staged(space, budget=300)
    minimize(lambda a: abs(a["x"] - 3) if a["kind"] == "a" else 5.0 + a["unread"], space, 300, optimizer=opt)
    assert opt.runs > 1


def deep(a):
    return abs(a["depth"] - 2) + sum(abs(math.log2(a[f"w{k}"]) - 5.0) for k in range(a["depth"]))


def test_what_is_remembered_counts_as_no_call_of_the_model():
    space = Space({"depth": Integer(1, 6)} | {f"w{k}": Integer(8, 64) for k in range(6)})
    opt = Staged(space, budget=90)
    result = minimize(deep, space, 90, optimizer=opt)
    assert any(one.cached for one in result.history)
    told = [one for one in result.history if one.generation < opt.generation]  # the last may be incomplete
    assert len(told) > len(result.history) - opt.lam
    assert opt.state_dict()["calls"] == sum(not one.cached for one in told)


def test_a_budget_as_large_as_a_space_is_not_given_up():
    losses = np.random.default_rng(1).random((6, 7, 9)).tolist()
    space = Space({"a": Categorical(range(6)), "b": Integer(0, 6), "c": Integer(1, 9, log=True)})
    result = minimize(lambda a: losses[a["a"]][a["b"]][a["c"] - 1], space, 378, seed=1)
    assert result.evaluated >= 370  # it was 314


def test_a_noisy_search_does_not_begin_anew():
    rng = np.random.default_rng(0)
    opt = Staged(CHOICES, budget=5000, noisy=True)
    searched(opt, lambda a: sum(v != 2 for v in a.values()) + rng.normal(), 900)
    assert opt.runs == 1
    assert set(opt.best.values()) == {2}


def gears(a):
    return (1.0 / 6.931 - a["a"] * a["b"] / (a["c"] * a["d"])) ** 2


def test_the_whole_budget_is_used_where_there_is_something_left_to_find():
    space = Space({n: Integer(12, 60) for n in "abcd"})
    result = minimize(gears, space, 280)
    assert result.evaluated == 280
    assert result.loss < 1e-8


def test_one_of_very_many_choices_is_found_no_later_than_at_random():
    # The best of 120 different ones: 150 or more of the 5,000 are better with chance 0.03 a seed.
    space, found = Space({"c": Categorical(range(5000))}), []
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(5000)
        result = minimize(lambda a, order=order: float(order[a["c"]]), space, 120, seed=seed)
        assert len({e.architecture for e in result.history}) == 120
        found.append(result.loss)
    assert max(found) < 150


def pipeline(a):
    """Linear is good at once; a polynomial is better, but only where its own variables are right."""
    if a["kernel"] == "linear":
        return 0.2 + 0.01 * abs(math.log10(a["C"]))
    own = abs(a["degree"] - 4) + abs(a["coef"] - 0.8)
    return 0.1 + 0.15 * own + 0.01 * abs(math.log10(a["C"]) - 1.0)


def test_a_choice_whose_own_variables_need_time_is_not_given_up():
    space = Space(
        {
            "kernel": Categorical(["linear", "poly"]),
            "C": Real(1e-3, 1e3, log=True),
            "degree": Integer(1, 9),
            "coef": Real(-1.0, 1.0),
        }
    )
    chosen = [minimize(pipeline, space, 90, seed=seed).architecture["kernel"] for seed in range(3)]
    assert chosen.count("poly") >= 2


def test_no_call_is_spent_on_what_repeats_all_that_a_call_has_read():
    # Only three constants are to be told apart; what else is drawn is read by none of them.
    space = Space({"kind": Categorical(["a", "b", "c", "d"]), "x": Real(0.0, 1.0), "y": Real(0.0, 1.0)})
    seen = []

    def f(a):
        own = {"a": 0.3, "b": 0.2, "c": 0.1}.get(a["kind"])
        seen.append((a["kind"], None if own is not None else a["x"]))
        return 0.5 + (a["x"] - 0.7) ** 2 if own is None else own

    minimize(f, space, 60)
    assert sum(kind != "d" for kind, _ in seen) <= FIRST + 6


def test_failed_and_infinite_losses_do_not_stop_the_model():
    def loss(a):
        return math.nan if a["x"] < 0 else math.inf if a["y"] > 0.5 else bowl(a)

    losses = [v for v in searched(Staged(REALS, budget=100), loss, 60) if math.isfinite(v)]
    assert min(losses) < 0.02


def test_losses_that_never_differ_or_always_fail_end_nothing():
    for value in (1.0, math.nan):
        assert len(searched(Staged(REALS, budget=100), lambda a, value=value: value, 40)) >= 40


def test_a_space_of_one_point_is_searched_too():
    result = minimize(lambda a: 1.0, Space({"c": Categorical(["only"]), "k": Integer(3, 3)}), 5)
    assert result.evaluated == 1


def test_a_larger_budget_goes_on_with_the_search_that_there_was(tmp_path):
    short = minimize(bowl, REALS, 40, run_dir=tmp_path / "a")
    longer = minimize(bowl, REALS, 80, run_dir=tmp_path / "a", resume=True)
    assert longer.history[: len(short.history)] == short.history
    assert longer.evaluated == 80


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match="budget: expected an integer >= 1, got 0"):
        Staged(REALS, budget=0)
    with pytest.raises(InputError, match="noisy: expected True or False, got 1"):
        Staged(REALS, noisy=1)
    with pytest.raises(InputError, match="covariance"):
        ASNG(REALS, rules="paper", covariance=True)
