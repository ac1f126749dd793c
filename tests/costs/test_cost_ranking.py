"""A budget comes first, whatever the losses."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asng.costs.ranking import behind_budget
from asng.optim import ASNG
from asng.optim.ranking import utilities
from asng.space import Categorical, Space

losses = st.one_of(st.floats(-1e298, 1e298), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0]))
over = st.one_of(st.just(0.0), st.floats(5e-324, 1e9), st.sampled_from([0.5, 1.0, math.inf]))
candidates = st.lists(st.tuples(losses, over), min_size=2, max_size=12)


def told(pairs):
    return behind_budget([loss for loss, _ in pairs], [excess for _, excess in pairs])


@given(candidates)
def test_whatever_is_over_ranks_behind_whatever_is_within(pairs):
    values = told(pairs)
    within = [value for value, (_, excess) in zip(values, pairs, strict=True) if excess == 0.0]
    beyond = [value for value, (_, excess) in zip(values, pairs, strict=True) if excess > 0.0]
    assert all(math.isfinite(value) for value in values)
    assert max(within, default=-math.inf) < min(beyond, default=math.inf)


@given(candidates)
def test_within_the_budget_a_finite_loss_stays_and_what_is_none_comes_after_all_of_them(pairs):
    within = [(loss, value) for (loss, e), value in zip(pairs, told(pairs), strict=True) if e == 0.0]
    finite = [(loss, value) for loss, value in within if math.isfinite(loss)]
    useless = {value for loss, value in within if not math.isfinite(loss)}
    assert all(value == loss for loss, value in finite)
    assert len(useless) <= 1
    assert all(value < last for _, value in finite for last in useless)


@given(candidates)
def test_over_the_budget_the_excess_alone_counts_and_ties_share(pairs):
    beyond = sorted((e, value) for (_, e), value in zip(pairs, told(pairs), strict=True) if e > 0.0)
    for (less, value), (more, worse) in pairwise(beyond):
        assert value <= worse
        if less == more:
            assert value == worse
        elif more - less > 1e-6 * (1.0 + more) ** 2:
            assert value < worse


@given(st.lists(losses, min_size=2, max_size=12))
def test_where_all_are_within_the_utilities_are_those_of_no_budget(values):
    told_values = np.array(behind_budget(values, [0.0] * len(values)))
    np.testing.assert_array_equal(utilities(told_values), utilities(np.array(values)))


@given(candidates, st.randoms())
def test_the_order_of_the_candidates_does_not_matter(pairs, rng):
    order = list(range(len(pairs)))
    rng.shuffle(order)
    values = told(pairs)
    assert told([pairs[i] for i in order]) == [values[i] for i in order]


def test_losses_of_different_steps_can_be_compared():
    first, second = told([(0.2, 1.0), (0.3, 2.0)]), told([(0.9, 0.0), (0.8, 0.5)])
    assert second[0] < second[1] < first[0] < first[1]


def test_where_all_are_over_theta_moves_towards_the_cheaper():
    opt = ASNG(Space({"op": Categorical(["dear", "cheap", "dearest"])}), lam=4, seed=0)
    cost = {"dear": 1.0, "cheap": 0.5, "dearest": 2.0}
    for _ in range(40):
        asked = opt.ask()
        # The dearer, the better the loss would be.
        opt.tell(asked, told([(-cost[c["op"]], cost[c["op"]]) for c in asked]))
    assert opt.best["op"] == "cheap"
    assert opt.theta["op"][1] > 0.66  # 2/3 is the most that the margins allow


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        behind_budget([1.0, 2.0], [0.0])
