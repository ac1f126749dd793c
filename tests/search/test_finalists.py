"""Candidates for a final: different, within the budgets, and neighbours in one variable that was read."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from asng.optim import ASNG
from asng.search.finalists import Candidates, Finalist
from asng.space import Architecture, Categorical, Integer, Real, Space

SPACE = Space(
    {
        "op": Categorical(["conv", "skip", "pool"]),
        "width": Integer(1, 64, log=True),
        "rate": Real(1e-4, 1.0, log=True),
        "unread": Categorical([False, True]),
    }
)


class Costs:
    """Knows what is over: nothing, or all architectures of which `over` is true."""

    def __init__(self, over=lambda architecture: False):
        self.over = over

    def of(self, architecture):
        return SimpleNamespace(excess=float(self.over(architecture)), values={})


def candidates(seed=0, over=lambda architecture: False):
    return Candidates(ASNG(SPACE, seed=seed), Costs(over), seed)


def finalist(seed, read):
    some = candidates(seed).anywhere(1, [])[0]
    return Finalist(some, "uniform", frozenset(read), shared=1.0)


@given(
    seed=st.integers(0, 1000), n=st.integers(1, 12), read=st.sets(st.sampled_from(sorted(SPACE)), min_size=1)
)
def test_neighbours_differ_in_one_variable_that_was_read(seed, n, read):
    of = finalist(seed, read)
    neighbours = candidates(seed).neighbours(of, n, [of.architecture])
    assert len(set(neighbours)) == len(neighbours) <= n
    for neighbour in neighbours:
        SPACE.check(neighbour)
        differing = [name for name in SPACE if neighbour[name] != of.architecture[name]]
        assert len(differing) == 1
        assert set(differing) <= read
    if read & {"width", "rate"}:  # enough to be found
        assert len(neighbours) == n


@given(seed=st.integers(0, 1000), n=st.integers(1, 40))
def test_all_candidates_are_different_within_the_budget_and_none_of_the_known(seed, n):
    narrow = candidates(seed, over=lambda architecture: architecture["width"] > 20)
    likely = narrow.likely(n)
    anywhere = narrow.anywhere(n, likely)
    of = Finalist(likely[0], "theta", frozenset(SPACE), shared=1.0)
    neighbours = narrow.neighbours(of, n, likely)
    assert len(likely) == len(anywhere) == n
    for some in (likely, anywhere, neighbours):
        assert len(set(some)) == len(some) <= n
        assert all(architecture["width"] <= 20 for architecture in some)
    assert not set(likely) & set(anywhere)
    assert not set(likely) & set(neighbours)


def test_nothing_within_the_budget_leaves_nobody():
    nobody = candidates(over=lambda architecture: True)
    assert nobody.likely(4) == nobody.anywhere(4, []) == nobody.neighbours(finalist(0, SPACE), 4, []) == []


def test_the_same_seed_draws_the_same_and_another_seed_others():
    of = finalist(0, SPACE)
    for draw in (lambda c: c.anywhere(4, []), lambda c: c.neighbours(of, 4, [])):
        assert draw(candidates(1)) == draw(candidates(1))
        assert draw(candidates(1)) != draw(candidates(2))


def test_what_read_nothing_has_no_neighbours():
    assert candidates().neighbours(finalist(0, ()), 4, []) == []


def test_a_child_is_what_was_read():
    one, other = ({"op": "conv", "width": 4, "rate": 0.1, "unread": unread} for unread in (False, True))
    children = {
        Finalist(Architecture(a), "theta", frozenset(read), 1.0).child
        for a in (one, other)
        for read in (("op",), SPACE)
    }
    assert len(children) == 3
