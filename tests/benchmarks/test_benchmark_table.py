"""The tables of docs/benchmark.md are what the results say; `asng.minimize` pays for different points."""

import math

import pytest

import asng
from asng.black_box import MinimizeStopRule
from asng.experiments.benchmark.problems import PROBLEMS
from asng.experiments.benchmark.report.table import Group
from asng.experiments.benchmark.trial import BenchmarkCell, Trial, _Labels, run_trial
from benchmarks.peers import benchmark, benchmark_table


def group(method, hits, budget):
    cells = [BenchmarkCell("p", method, i, budget, hit, 7, (), 1.0) for i, hit in enumerate(hits)]
    return Group(method, tuple(cells))


def test_the_page_says_what_the_results_say():
    _, begin, rest = benchmark_table.PAGE.read_text().partition(benchmark_table.BEGIN)
    said, end, _ = rest.partition(benchmark_table.END)
    assert begin
    assert end
    assert said == benchmark_table.tables(benchmark_table.read())


def test_the_results_have_every_problem_and_no_run_twice():
    found = benchmark_table.read()
    assert list(found) == list(PROBLEMS)
    for groups in found.values():
        for one in groups.values():
            assert len({cell.seed for cell in one.cells}) == len(one.cells)
            assert len({cell.budget for cell in one.cells}) == 1


def test_the_table_has_medians_failures_the_best_and_what_had_less():
    found = {
        "onemax": {
            "ASNG": group("ASNG", [50.0] * 19 + [math.inf], 10_000),
            "TPE": group("TPE", [40.0, math.inf, math.inf], 300),
        }
    }
    lines = benchmark_table.tables(found).splitlines()
    assert "| `onemax` | **50** (1) | > 300 (2 of 3) |" in lines
    assert "| seeds, ASNG wins : loses |  | 2 : 1 |" in lines
    assert "| `onemax` | **7** (1) | > 300 (2 of 3) |" in lines
    assert "- `TPE` had 3 seeds and 300 evaluations on `onemax`." in lines


@pytest.mark.parametrize("name", ["onemax", "leadingones"])
def test_minimize_pays_for_the_different_points_of_a_run(name):
    row, problem = run_trial(Trial(name, "ASNG", 1, 10_000)), PROBLEMS[name]()
    labels = _Labels(problem.space, 1)
    result = asng.minimize(
        lambda a: problem.loss(labels.true(tuple(a.values()))),
        problem.space,
        10_000,
        optimizer=asng.ASNG(problem.space, seed=1),
        stop=MinimizeStopRule(target=problem.target),
    )
    hit = next(place for place, one in enumerate(result.history, start=1) if one.loss == problem.target)
    paid = sum(not one.cached for one in result.history[:hit])
    assert (hit, paid) == (row.hit, row.distinct)
    assert paid < hit or name == "onemax"  # which may repeat no point


def test_resumed_what_this_commit_measured_is_left_alone(monkeypatch):
    monkeypatch.setattr(benchmark, "_COMMIT", "abc")
    earlier = {
        "runs": [{"method": "ASNG", "seed": seed} for seed in range(3)],
        "by_method": {"ASNG": {"commit": "abc"}},
    }
    assert benchmark.measured(earlier, "ASNG", range(3))
    assert not benchmark.measured(earlier, "ASNG", range(4))
    assert not benchmark.measured(earlier, "random", range(3))
    monkeypatch.setattr(benchmark, "_COMMIT", "abd")
    assert not benchmark.measured(earlier, "ASNG", range(3))
