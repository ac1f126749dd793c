"""Several goals: one stream of samples that teaches a distribution each."""

import numpy as np
import pytest

from asng.errors import InputError
from asng.optim import ASNG, SeveralGoals
from asng.space import Categorical, Integer, Real, Space

SPACE = Space({"op": Categorical(["a", "b", "c"]), "width": Integer(1, 30), "rate": Real(0.0, 1.0)})


def far_from(goal):
    return lambda c: abs(c["width"] - goal) / 30 + (c["op"] != "b") + abs(c["rate"] - goal / 30)


def test_one_goal_is_plain_ask_and_tell():
    plain, family = ASNG(SPACE, seed=3), SeveralGoals([ASNG(SPACE, seed=3)])
    loss = far_from(20)
    for _ in range(20):
        own, shared = plain.ask(), family.ask(plain.lam)
        assert [c.architecture for c in own] == [c.architecture for c in shared]
        plain.tell(own, [loss(c) for c in own])
        family.tell(shared, [[loss(c) for c in shared]])
    assert plain.state_dict() == family.optimizers[0].state_dict()


def test_goals_alike_are_taught_by_all_samples_in_full():
    """With equal distributions the mixture is each of them, and every weight is 1."""
    family, alone = SeveralGoals([ASNG(SPACE, seed=0), ASNG(SPACE, seed=1)]), ASNG(SPACE, seed=0)
    candidates = family.ask(8)
    loss = far_from(5)
    losses = [loss(c) for c in candidates]
    family.tell(candidates, [losses, losses])
    alone.tell([SPACE.candidate(c.x) for c in candidates], losses)  # of nobody: all count in full
    for optimizer in family.optimizers:
        assert np.allclose(optimizer.theta["op"], alone.theta["op"])
        assert np.allclose(optimizer.theta["width"], alone.theta["width"])


def test_a_sample_that_a_distribution_would_never_draw_teaches_it_nothing():
    here = {"width": (3.0, 0.5), "op": [1.0, 0.0, 0.0]}
    there = {"width": (28.0, 0.5), "op": [0.0, 1.0, 0.0]}
    own = range(4)
    # The samples of the other may lose or win: this one weighs them with next to nothing.
    outcomes = []
    for bad in (-1e9, 1e9):
        one, other = (ASNG(SPACE, seed=k, prior=p, trust=1.0) for k, p in enumerate((here, there)))
        family = SeveralGoals([one, other])
        candidates = family.ask(8)
        losses = [candidates[k]["rate"] if k in own else bad for k in range(8)]
        family.tell(candidates, [losses, losses])
        outcomes.append(one.theta["rate"][0])
    assert outcomes[0] == outcomes[1] != 0.5


def test_each_goal_is_reached_by_samples_that_all_share():
    goals, distances = (4, 15, 27), []
    for seed in range(4):
        family = SeveralGoals([ASNG(SPACE, seed=10 * seed + k) for k in range(3)])
        for _ in range(80):
            candidates = family.ask(12)
            family.tell(candidates, [[far_from(goal)(c) for c in candidates] for goal in goals])
        assert [optimizer.best["op"] for optimizer in family.optimizers] == ["b"] * 3
        distances += [abs(o.best["width"] - g) for o, g in zip(family.optimizers, goals, strict=True)]
    assert sorted(distances)[9] <= 1  # of 12, as three searches apart with as many samples each


def best_within(budgets, evaluations, lam, seed):
    """Return the least loss within each budget: eight widths that help and cost by different amounts."""
    rng = np.random.default_rng(seed)
    help_, cost = rng.lognormal(0, 1, 8), rng.lognormal(0, 1, 8)
    space = Space({f"w{i}": Integer(2, 16) for i in range(8)})
    family = SeveralGoals([ASNG(space, seed=100 * seed + k) for k in range(len(budgets))])
    best = np.full(len(budgets), np.inf)
    for _ in range(evaluations // lam):
        candidates = family.ask(lam)
        widths = np.array([[c[name] for name in space] for c in candidates])
        losses, costs = (help_ / widths).sum(axis=1), widths @ cost / (16 * cost.sum())
        over = np.maximum(costs / np.array(budgets)[:, None] - 1.0, 0.0)
        best = np.minimum(best, np.where(over > 0, np.inf, losses).min(axis=1))
        family.tell(candidates, [np.where(o > 0, 1e3 + o, losses).tolist() for o in over])
    return best


def test_three_budgets_from_one_search_are_nearly_as_good_as_from_three_of_twice_the_samples_in_all():
    budgets = (0.3, 0.5, 0.75)
    together = np.array([best_within(budgets, 300, 12, seed) for seed in range(6)])
    apart = np.array([[best_within((b,), 200, 8, seed)[0] for b in budgets] for seed in range(6)])
    assert np.log(together / apart).mean() < 0.05


@pytest.mark.parametrize(
    ("optimizers", "words"),
    [
        (list, "expected one per goal, got none"),
        (lambda: [ASNG(SPACE, seed=0), ASNG(SPACE, seed=0)], "a different seed for each"),
        (lambda: [ASNG(SPACE), ASNG(Space({"a": Integer(0, 3)}), seed=1)], "one space"),
    ],
)
def test_what_cannot_be_several_goals_is_refused(optimizers, words):
    with pytest.raises(InputError, match=words):
        SeveralGoals(optimizers())


def test_a_list_of_losses_a_goal_is_wanted():
    family = SeveralGoals([ASNG(SPACE, seed=0), ASNG(SPACE, seed=1)])
    candidates = family.ask(4)
    with pytest.raises(InputError, match="a list for each of 2 goals, got 1"):
        family.tell(candidates, [[0.0] * 4])
    family.tell(candidates, [[0.0, 1.0, 2.0, 3.0]] * 2)  # nothing was taken in before
