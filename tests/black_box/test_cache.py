"""Paid once for what was read: outcomes are found again by the values that a call looked up."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from black_boxes import GATED, SMALL, Counted, gated, small
from hypothesis import given, settings
from hypothesis import strategies as st

from asng.black_box import minimize
from asng.black_box.cache import Cache
from asng.black_box.calling import CallOutcome, Watched
from asng.optim import RandomSearch
from asng.space import Categorical, Integer, Real, Space

SPACE = Space({f"v{i}": Integer(0, 2) for i in range(4)})


class Tree:
    """A function that reads its variables in an order that depends on what it has read, as seeded."""

    def __init__(self, seed, stop=0.3, shuffled=False):
        self.seed, self.stop, self.shuffled, self.read = seed, stop, shuffled, []

    def __call__(self, a):
        path = []
        while len(path) < len(SPACE):
            rng = random.Random(hash((self.seed, *sorted(path))))
            left = sorted(set(SPACE) - {f"v{i}" for i, _ in path})
            if path and rng.random() < self.stop:
                break
            names = rng.sample(left, min(2, len(left)))
            if self.shuffled:
                random.shuffle(names)
            path += [(int(name[1:]), a[name]) for name in names]
        self.read.append(tuple(sorted(path)))
        return float(hash((self.seed, *sorted(path))) % 1009)


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_what_was_read_is_never_paid_for_twice(seed, budget):
    f = Tree(seed)
    result = minimize(f, SPACE, budget, seed=seed)
    assert len(set(f.read)) == len(f.read) == result.evaluated
    for one in result.history:
        assert one.loss == Tree(seed)(one.architecture)


@settings(max_examples=3)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_neither_by_many_workers_nor_otherwise_than_by_one(seed, workers):
    f = Tree(seed)
    alone = minimize(Tree(seed), SPACE, 40)
    with ThreadPoolExecutor(workers) as threads:
        beside = minimize(f, SPACE, 40, workers=threads)
    assert beside.history == alone.history
    assert len(set(f.read)) == len(f.read)


@settings(max_examples=3)
@given(st.integers(0, 10_000))
@pytest.mark.slow
def test_reads_in_no_fixed_order_are_remembered_all_the_same(seed):
    result = minimize(Tree(seed, shuffled=True), SPACE, 60, seed=seed)
    for one in result.history:
        assert one.loss == Tree(seed)(one.architecture)


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_a_space_is_exhausted_by_its_last_leaf_and_not_before(seed):
    leaves = {}
    for x in range(3**4):
        watched = Watched(SPACE.decode([x // 3**i % 3 for i in range(4)]))
        Tree(seed)(watched)
        leaves[tuple(sorted((name, watched[name]) for name in watched.reads))] = watched
    result = minimize(Tree(seed), SPACE, 10_000, optimizer=RandomSearch(SPACE, lam=8))
    assert (result.reason, result.evaluated) == ("exhausted", len(leaves))


def test_reals_that_are_never_read_do_not_keep_a_search_going():
    space = Space({"op": Categorical(["a", "b", "c"]), "rate": Real(0.0, 1.0)})
    result = minimize(lambda a: float(a["op"] != "b"), space, 100)
    assert (result.reason, result.evaluated) == ("exhausted", 3)
    assert minimize(lambda a: a["rate"] if a["op"] == "c" else 1.0, space, 30).reason == "budget"


def test_a_failure_counts_for_its_own_architecture_only():
    f = Counted(small)

    def fails_at_first(a):
        if a["op"] and len(f.calls) == 0:
            f.calls.append({})
            raise OSError("no network for a moment")
        return f(a)

    result = minimize(fails_at_first, SMALL, 30, on_error="worst")
    assert len({one.architecture for one in result.history if one.error}) == 1
    assert result.loss == 0.0


def test_who_reads_nothing_is_called_for_every_architecture():
    f = Counted(lambda a: 1.0)
    assert minimize(f, SMALL, 12).evaluated == 12 == len({tuple(call.items()) for call in f.calls})


def test_who_reads_everything_is_called_side_by_side():
    cache = Cache(SMALL, noisy=False)
    drawn = list(dict.fromkeys(SMALL.sample(random.Random(seed)) for seed in range(30)))[:12]
    for architecture in drawn[:8]:
        cache.keep(architecture, CallOutcome(1.0, tuple(SMALL), 0.1))
    assert cache.new(drawn) == [8, 9, 10, 11]
    cache.keep(drawn[8], CallOutcome(1.0, ("op",), 0.1))
    assert {drawn[place]["op"] for place in cache.new(drawn)}.isdisjoint({drawn[8]["op"]})


@pytest.mark.parametrize("budget", [5, 9, 20])
def test_a_resumed_search_remembers_what_was_read(budget, tmp_path):
    minimize(gated, GATED, budget, run_dir=tmp_path)
    f = Counted(gated)
    again = minimize(f, GATED, 40, run_dir=tmp_path, resume=True)
    assert again.history == minimize(gated, GATED, 40).history
    assert len(f.calls) == 40 - budget
