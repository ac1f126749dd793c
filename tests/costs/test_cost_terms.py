"""Penalties and budgets: arithmetic and arguments."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import asng
from asng.costs import Budget, Penalty, budgets_of, latency
from asng.costs.terms import checked_costs, excess, measures_of, penalty
from asng.errors import InputError

positive = st.floats(1e-6, 1e12)


def test_both_are_public():
    assert (asng.Budget, asng.Penalty) == (Budget, Penalty)


@given(cost=positive, weight=positive, target=positive)
def test_a_penalty_is_its_weight_times_the_share_over_the_target(cost, weight, target):
    terms = [Penalty("parameters", weight=weight, target=target), Budget("parameters", limit=1.0)]
    got = penalty(terms, {"parameters": cost})
    assert got == pytest.approx(weight * max(0.0, (cost - target) / target), rel=1e-6, abs=weight * 1e-12)
    assert (got == 0.0) or cost > target


def test_penalties_add_up_and_twice_the_target_counts_the_weight():
    terms = [Penalty("latency", weight=3.0, target=0.5), Penalty("parameters", weight=2.0, target=10)]
    assert penalty(terms, {"latency": 1.0, "parameters": 15.0}) == 3.0 + 1.0
    assert excess(terms, {"latency": 1.0, "parameters": 15.0}) == 0.0


@given(cost=positive, limit=positive)
def test_excess_is_0_up_to_the_limit_and_positive_from_there(cost, limit):
    budget = [Budget("parameters", limit=limit)]
    over = excess(budget, {"parameters": cost})
    assert (over > 0.0) == (cost > limit)
    assert over == pytest.approx(max(0.0, cost / limit - 1.0))
    assert excess(budget, {"parameters": limit}) == 0.0
    assert excess(budget, {"parameters": math.nextafter(limit, math.inf)}) > 0.0


def test_excess_is_the_sum_over_all_budgets():
    budgets = [Budget("latency", limit=0.5), Budget("parameters", limit=10)]
    assert excess(budgets, {"latency": 1.0, "parameters": 5.0}) == 1.0
    assert excess(budgets, {"latency": 1.0, "parameters": 15.0}) == 1.5


def test_numbers_of_numpy_are_kept_as_plain_ones():
    term = Penalty("parameters", weight=np.float32(0.5), target=np.int64(3))
    assert [type(x) for x in (term.weight, term.target, Budget("latency", share=np.float64(0.5)).share)] == [
        float
    ] * 3
    assert term == Penalty("parameters", weight=0.5, target=3)


def one(child, inputs):
    return 1.0


def test_one_term_several_or_none_become_a_tuple():
    budget = Budget(one, limit=1.0)
    assert checked_costs(budget) == checked_costs([budget]) == checked_costs(iter([budget])) == (budget,)
    assert checked_costs(()) == ()
    both = checked_costs([budget, Penalty(one, weight=1.0, target=1.0)])
    assert measures_of(both) == {"one": one}


@pytest.mark.parametrize("bad", ["latency", 3, ["latency"], [Budget(one, limit=1.0), None], Budget, None])
def test_what_is_no_cost_is_named(bad):
    with pytest.raises(InputError, match=r"cost: expected asng\.Penalty or asng\.Budget, or a sequence"):
        checked_costs(bad)


def test_two_measures_of_one_name_are_refused():
    first, second = (Budget(lambda child, inputs, k=k: k, limit=1.0) for k in (1, 2))
    with pytest.raises(InputError, match=r"two measures named '<lambda>'\. Define them by `def`"):
        checked_costs([first, second])
    with pytest.raises(InputError, match="two measures named 'latency'"):
        checked_costs([Budget("latency", limit=1.0), Budget(partial(latency, repeats=3), limit=1.0)])


@pytest.mark.parametrize("number", [0.0, -1.0, math.nan, math.inf, "1", True, None])
def test_numbers_out_of_range_are_named(number):
    with pytest.raises(InputError, match="weight: expected a number"):
        Penalty("latency", weight=number, target=1.0)
    with pytest.raises(InputError, match="target: expected a number"):
        Penalty("latency", weight=1.0, target=number)
    with pytest.raises(InputError, match="limit: expected a number"):
        Budget("latency", limit=number)


@pytest.mark.parametrize("make", [partial(Budget, limit=1.0), partial(Penalty, weight=1.0, target=1.0)])
def test_an_unknown_measure_is_told_the_nearest(make):
    with pytest.raises(InputError, match="Did you mean 'multiply_adds'"):
        make("multiply_add")


# --- shares ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 1.5, 50, -0.5, math.nan, "half", True])
def test_a_share_out_of_range_is_named_and_what_a_share_is(share):
    words = (
        r"share: expected a number.*, got .*\. It is a share of what the whole network costs: 0\.5 for half"
    )
    with pytest.raises(InputError, match=words):
        Budget("parameters", share=share)
    with pytest.raises(InputError, match=words + r" of it\. To give an absolute cost, pass target="):
        Penalty("parameters", weight=1.0, share=share)


def test_either_a_limit_or_a_share_is_given():
    with pytest.raises(InputError, match=r"limit, share: expected one of them, got both, 3 and 0\.5"):
        Budget("parameters", limit=3, share=0.5)
    with pytest.raises(InputError, match=r"target, share: expected one of them, got both"):
        Penalty("parameters", weight=1.0, target=3, share=0.5)
    with pytest.raises(InputError, match=r"limit: expected a number.* got neither\. Give limit= or share="):
        Budget("parameters")


def test_plain_settings_become_budgets():
    given = {"parameters": 1000, "multiply_adds": "50%", "latency": "2e-3", "bytes": " 12.5 % "}
    assert budgets_of(given) == (
        Budget("parameters", limit=1000),
        Budget("multiply_adds", share=0.5),
        Budget("latency", limit=0.002),
        Budget("bytes", share=0.125),
    )


@pytest.mark.parametrize("limit", ["half", "150%", "%", "50%%", "0", "", -1, None, [1]])
def test_plain_settings_that_are_none_are_named_with_their_measure(limit):
    with pytest.raises(InputError, match="budget latency: expected a number, or a share such as 50%, got "):
        budgets_of({"latency": limit})


def test_a_plain_budget_of_an_unknown_measure_is_told_the_nearest():
    with pytest.raises(InputError, match=r"budget: expected one of .* Did you mean 'latency'"):
        budgets_of({"latncy": 1})


def test_plain_settings_that_have_no_names_are_refused():
    with pytest.raises(InputError, match="budget: expected limits by name of measure, got 'latency'"):
        budgets_of("latency")
