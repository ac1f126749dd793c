"""The plan of a final, and its candidates: different, within the budgets, and the promising ones first."""

import math
import random
from itertools import product
from statistics import median
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asng.optim import ASNG
from asng.search.finalists import (
    DRAWN,
    ENOUGH_STEPS,
    FEWEST,
    FEWEST_STEPS,
    LIKELY,
    NEIGHBOURS,
    Finalist,
    Pool,
    final_plan,
    plan_of,
)
from asng.search.settling import PROBES
from asng.space import Architecture, Categorical, Integer, Real, Space

# --- what it costs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 20, 100, 333, 1000, 12_345])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("finalists", [2, 12, 40])
@pytest.mark.parametrize(
    ("lam_x", "warmup", "lam_theta"), [(1, None, 2), (1, 0.5, 2), (2, 1.0, 8), (1, None, 999)]
)
def test_a_plan_costs_no_more_than_the_search_without_a_final(
    steps, share, finalists, lam_x, warmup, lam_theta
):
    for valid_batches in (1, 7, 200):
        rest = {"finalists": finalists, "valid_batches": valid_batches}
        plan = plan_of(steps, share=share, lam_x=lam_x, warmup=warmup, lam_theta=lam_theta, **rest)
        each = 3 * lam_x + (0.5 if warmup is None else 1.0 - warmup) * lam_theta
        assert plan.steps * each + 2 * PROBES * plan.looked + plan.cost <= steps * each * (1 + 1e-12)
        assert 0 <= plan.looked <= valid_batches
        if not plan.cost:
            assert (plan.steps, plan.looked) == (steps, 0)
            continue
        final = final_plan(plan.cost, **rest, compare=plan.steps > 0)
        assert cost_of(final) <= plan.cost
        assert cost_of(final) >= 0.7 * plan.cost - 6 * (finalists + 4)  # what rounding leaves
        assert final.finalists >= 2
        assert final.alone >= FEWEST_STEPS
        assert 1 <= final.last <= 2
        assert (final.compared > 0) == (plan.steps > 0)
        if plan.steps:  # only beside a final of all finalists, each trained for long enough
            assert final.finalists == finalists
            assert final.alone >= ENOUGH_STEPS or finalists <= FEWEST


def cost_of(final):
    """What a final costs at most: all candidates compared, and the found one scored on the shared weights."""
    rounds = -(-final.finalists // 4)
    comparing = final.compared * (DRAWN + 1 + LIKELY + NEIGHBOURS * (rounds - 1))
    short = final.finalists * (3 * final.alone + 2 * final.batches)
    longer = final.last * (3 * final.longer + final.batches)
    return comparing + short + longer + (final.batches if final.compared else 0)


# --- who is among the candidates -------------------------------------------------------------------------

SPACE = Space(
    {
        "op": Categorical(["conv", "skip", "pool"]),
        "width": Integer(1, 64, log=True),
        "rate": Real(1e-4, 1.0, log=True),
        "unread": Categorical([False, True]),
        "depth": Categorical([1, 2, 3]),
    }
)


def size_of(architecture):
    return float(architecture["width"] * architecture["depth"])


class Meter:
    """Knows sizes, and who is over the budget; `unread` is never read, and `rate` by "conv" alone."""

    def __init__(self, size=size_of, over=lambda a: False):
        self.size, self.over = size, over

    def of(self, architecture):
        return SimpleNamespace(excess=float(self.over(architecture)), values={})

    def sizes(self, architectures):
        return [(self.size(a), frozenset(a) - self._idle(a)) for a in architectures]

    @staticmethod
    def _idle(architecture):
        return {"unread"} if architecture.get("op", "conv") == "conv" else {"unread", "rate"}


def pool_of(seed=0, space=SPACE, moved=False, theta=None, **meter):
    pool = Pool(ASNG(space, seed=seed) if theta is None else theta, Meter(**meter), seed)
    pool.open(moved=moved)
    return pool


def moved_theta(space=SPACE, prior=None):
    """Theta that prefers some values by far."""
    prior = prior or {"op": "pool", "width": 3}
    theta = ASNG(space, seed=0)
    for _ in range(200):
        candidates = theta.ask()
        losses = [sum(c.architecture[name] != value for name, value in prior.items()) for c in candidates]
        theta.tell(candidates, [float(loss) for loss in losses])
    return theta


def child(candidate):
    return tuple(sorted(candidate.child.items()))


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), moved=st.booleans(), widest=st.sampled_from([64, 20, 2]))
def test_all_candidates_are_different_within_the_budget_and_of_the_space(seed, moved, widest):
    pool = pool_of(seed, moved=moved, over=lambda a: a["width"] > widest)
    for _ in range(3):
        pool.neighbours(pool.candidates[:2])
    assert len({child(candidate) for candidate in pool.candidates}) == len(pool.candidates)
    for candidate in pool.candidates:
        SPACE.check(candidate.architecture)
        assert candidate.architecture["width"] <= widest
        assert "unread" not in candidate.read
    roads = [candidate.road for candidate in pool.candidates]
    assert roads.count("neighbour") <= 3 * NEIGHBOURS
    assert ("theta" in roads) == moved


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_is_the_one_of_all(seed):
    """4,096 architectures, whose size is a sum, so that each variable is largest by itself."""
    rng = random.Random(seed)
    space = Space({f"v{k}": Categorical(list("abcd")) for k in range(6)})
    sizes = {name: dict(zip("abcd", rng.sample(range(100), 4), strict=True)) for name in space}

    def size(architecture):
        return float(sum(sizes[name][architecture[name]] for name in space))

    largest = max((dict(zip(space, values, strict=True)) for values in product("abcd", repeat=6)), key=size)
    pool = pool_of(seed, space, size=size)
    assert [c.architecture for c in pool.candidates if c.road == "largest"] == [Architecture(largest)]


@pytest.mark.parametrize("limit", [2, 7, 20])
def test_in_a_small_space_all_that_is_within_the_budget_comes_in_and_the_largest_first(limit):
    space = Space({"width": Integer(1, 8), "depth": Categorical([1, 2, 3])})
    pool = pool_of(space=space, over=lambda a: a["width"] * a["depth"] > limit)
    within = [(w, d) for w, d in product(range(1, 9), (1, 2, 3)) if w * d <= limit]
    assert sorted(tuple(c.architecture.values()) for c in pool.candidates) == within
    first = pool.candidates[pool.first(1)[0]].architecture
    assert first["width"] * first["depth"] == max(w * d for w, d in within)


def test_the_largest_is_looked_for_within_the_budget_and_among_ends_of_ordered_variables():
    pool = pool_of(over=lambda a: a["width"] > 60)
    largest = pool.candidates[pool.first(1)[0]].architecture
    assert largest["width"] <= 60
    assert largest["depth"] == 3
    largest = pool_of().candidates[pool_of().first(1)[0]].architecture
    assert (largest["width"], largest["depth"]) == (64, 3)


def test_nothing_within_the_budget_leaves_nobody():
    pool = pool_of(over=lambda a: True, moved=True)
    assert pool.candidates == []
    assert pool_of(over=lambda a: a["op"] != "conv" or a["width"] > 63 or a["depth"] > 1).candidates != []


def test_the_same_seed_draws_the_same_and_another_seed_others():
    def drawn(seed):
        pool = pool_of(seed)
        pool.neighbours(pool.candidates[:1])
        return [c.architecture for c in pool.candidates]

    assert drawn(1) == drawn(1)
    assert not set(drawn(1)[:DRAWN]) & set(drawn(2)[:DRAWN])
    assert not set(drawn(1)[-NEIGHBOURS:]) & set(drawn(2)[-NEIGHBOURS:])


@settings(max_examples=10)
@given(
    seed=st.integers(0, 1000), of=st.integers(0, 40), read=st.sets(st.sampled_from(sorted(SPACE)), min_size=1)
)
def test_neighbours_differ_in_one_variable_that_was_read(seed, of, read):
    pool = pool_of(seed)
    origin = Finalist(pool.candidates[of].architecture, "uniform", frozenset(read))
    before = len(pool.candidates)
    pool.neighbours([origin])
    neighbours = [c.architecture for c in pool.candidates[before:]]
    assert len(neighbours) <= NEIGHBOURS
    for neighbour in neighbours:
        differing = {name for name in SPACE if neighbour[name] != origin.architecture[name]}
        assert len(differing) == 1
        assert differing <= read
    if "width" in read:
        assert neighbours


def test_what_read_nothing_has_no_neighbours():
    pool = pool_of()
    before = list(pool.candidates)
    pool.neighbours([Finalist(before[0].architecture, "uniform", frozenset())])
    assert pool.candidates == before


# --- who is chosen ---------------------------------------------------------------------------------------


def losses_of(numbers, seed=0):
    rng = random.Random(seed)
    return [rng.random() for _ in numbers]


@pytest.mark.parametrize("prior", [{"op": "pool", "width": 3}, {"op": "conv", "width": 64, "depth": 3}])
def test_the_mode_of_theta_and_the_largest_are_the_first(prior):
    theta = moved_theta(prior=prior)
    pool = pool_of(theta=theta, moved=True)
    first = pool.first(4)
    assert len(set(first)) == 4
    architectures = [pool.candidates[k].architecture for k in first]
    unread = {"unread", "rate"} if theta.best["op"] != "conv" else {"unread"}
    assert all(architectures[0][name] == theta.best[name] for name in SPACE if name not in unread)
    assert (64, 3) in {(a["width"], a["depth"]) for a in architectures[:2]}


def test_the_mode_comes_first_though_it_was_drawn_uniformly():
    space = Space({"op": Categorical(["a", "b", "c"]), "width": Integer(1, 4)})
    theta = moved_theta(space, {"op": "b", "width": 2})
    pool = pool_of(space=space, theta=theta, moved=True, size=lambda a: float(a["width"]))
    assert {c.road for c in pool.candidates} == {"uniform"}  # all 12 were drawn
    assert pool.candidates[pool.first(4)[0]].architecture == theta.best


def test_larger_ones_are_preferred_at_first_and_none_if_all_are_of_one_size():
    chosen = [pool_of(seed).candidates[k] for seed in range(20) for k in pool_of(seed).first(4)[1:]]
    drawn = [c for seed in range(20) for c in pool_of(seed).candidates[:DRAWN]]
    middle = median(size_of(candidate.architecture) for candidate in drawn)
    larger = sum(size_of(candidate.architecture) > middle for candidate in chosen)
    assert larger / len(chosen) > 0.8  # each is the largest of four: 0.94 of them
    assert all(len(set(pool_of(seed).first(12))) == 12 for seed in range(10))
    equal = pool_of(size=lambda a: 0.0)  # as where nothing can be counted
    first = equal.first(4)
    following = equal.next(first, losses_of(first), 4, reliability=0.7)
    assert len({*first, *following}) == 8


@pytest.mark.parametrize("bad", [None, math.inf])
def test_the_next_ones_are_new_and_as_many_as_wanted_or_as_there_are(bad):
    pool = pool_of()
    pool.shared = losses_of(pool.candidates, seed=1)
    trained = pool.first(4)
    losses = losses_of(trained) if bad is None else [bad] * 4
    following = pool.next(trained, losses, 4, reliability=0.7)
    assert len(set(following) - set(trained)) == len(following) == 4
    rest = pool.next(trained, losses, 1000, reliability=0.7)
    assert sorted([*trained, *rest]) == list(range(len(pool.candidates)))


def test_who_comes_next_depends_neither_on_the_level_nor_on_the_scale_of_losses():
    pool = pool_of()
    trained = pool.first(4)
    losses = losses_of(trained)
    following = pool.next(trained, losses, 8, reliability=0.7)
    assert pool.next(trained, [100.0 + 10.0 * loss for loss in losses], 8, reliability=0.7) == following


def test_what_resembles_the_best_comes_next_if_size_tells_nothing():
    space = Space({f"v{k}": Categorical(list("abcd")) for k in range(3)})
    pool = pool_of(space=space, size=lambda a: 0.0)
    trained = list(range(12))
    best = pool.candidates[3].architecture
    differing = [
        sum(pool.candidates[k].architecture[n] != best[n] for n in space) for k in range(len(pool.candidates))
    ]
    following = pool.next(trained, [float(differing[k]) for k in trained], 4, reliability=0.7)
    others = [k for k in range(len(pool.candidates)) if k not in trained]
    assert sum(differing[k] for k in following) / 4 < sum(differing[k] for k in others) / len(others) - 0.5


def test_shared_weights_that_disagree_with_size_are_not_believed():
    def first(score):
        pool = pool_of()
        pool.shared = [score(c.architecture) for c in pool.candidates] if score else []
        return [size_of(pool.candidates[k].architecture) for k in pool.first(12)]

    assert first(size_of) == first(None)  # the larger the worse: by size, as if there were no scores
    assert sum(first(lambda a: -size_of(a))) >= sum(first(None))


def test_a_pool_from_a_checkpoint_goes_on_as_the_one_that_was_saved():
    def go_on(pool):
        pool.neighbours(pool.candidates[:2])
        shared = losses_of(pool.candidates, seed=2)[len(pool.shared) :]
        pool.compared(shared, shared)
        trained = pool.first(4)
        return pool.state_dict(), pool.next(trained, losses_of(trained), 5, reliability=0.7)

    pool = pool_of()
    shared = losses_of(pool.candidates)
    pool.compared([-value for value in shared], shared)
    again = Pool(ASNG(SPACE, seed=0), Meter(), 0)
    again.load_state_dict(pool.state_dict())
    assert again.candidates == pool.candidates
    assert [c.shared for c in again.candidates] == [-value for value in shared]
    assert go_on(again) == go_on(pool)


def test_a_child_is_what_was_read():
    one, other = (
        Architecture({"op": "conv", "width": 4, "rate": 0.1, "unread": unread, "depth": 1})
        for unread in (False, True)
    )
    children = {
        child(Finalist(a, "theta", frozenset(read))) for a in (one, other) for read in (("op",), SPACE)
    }
    assert len(children) == 3
