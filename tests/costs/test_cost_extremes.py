"""The largest architecture, and the one nearest to its budgets, are looked for with few looks."""

import itertools

from torch import nn

import asng
from asng.costs.extremes import TRIED, climbed, nearest
from asng.nn import Choice, Supernet
from asng.space import Architecture, Categorical, Integer


def supernet(variables=3, choices=4):
    layers = [Choice([nn.Linear(2, 2) for _ in range(choices)], label=f"op{n}") for n in range(variables)]
    return Supernet(nn.Sequential(*layers, asng.nn.Linear(2, Integer(1, 8, label="width"))))


def test_one_that_is_within_at_once_ends_the_look():
    seen = []

    def excess(architecture):
        seen.append(architecture)
        return 0.0

    found = nearest(supernet(), excess)
    assert seen == [found]
    assert found["width"] == 1


def test_where_costs_add_up_the_nearest_of_all_is_found():
    net = supernet()
    price = {name: dict(enumerate([5, 2, 7, 3])) for name in ("op0", "op1", "op2")}

    def excess(a):
        return 1.0 + sum(price[name][a[name]] for name in price) + a["width"]

    found = nearest(net, excess)
    everything = itertools.product(range(4), range(4), range(4), (1, 8))
    all_ = [
        Architecture(dict(zip(("op0", "op1", "op2", "width"), values, strict=True))) for values in everything
    ]
    assert excess(found) == min(map(excess, all_))


def test_a_valley_beside_the_smallest_is_found_by_a_draw():
    net = supernet(variables=1, choices=8)

    def excess(a):  # alone, neither variable makes it better
        return 0.0 if a["op0"] == 3 and a["width"] > 4 else 1.0 + a["width"] + a["op0"]

    assert excess(nearest(net, excess)) == 0.0


def test_of_a_large_space_no_more_are_looked_at_than_is_said():
    seen = []

    def excess(architecture):
        seen.append(architecture)
        return 1.0 + len(seen) % 7

    nearest(supernet(variables=60, choices=9), excess)
    assert len(seen) == len(set(seen)) == TRIED


def test_a_climb_stays_where_nothing_is_better():
    start = Architecture({"a": "x", "b": 2})
    variables = {"a": Categorical(["x", "y"]), "b": Integer(1, 3)}
    assert climbed(start, variables, lambda many: [0.0] * len(many), 1.0) == (start, 1.0)
