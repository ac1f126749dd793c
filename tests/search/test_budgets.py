"""Searches under a budget or a penalty."""

import json
import math
import random
from itertools import pairwise

import pytest
import torch
from problems import Zero, data, events_without_clocks, fit, loader, mse, searcher, stopping
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng.costs import Budget, Penalty, parameters
from asng.costs.measures import MEASURES
from asng.data import load_fashion_mnist_subset
from asng.errors import InputError, RunError
from asng.nn import Choice, Supernet
from asng.search import OneShotSearch
from asng.search.found import likely as likely_ones
from asng.space import Architecture
from asng.training import supervised

WIDTHS = (6, 41, 161)


def three_widths():
    """A nonlinear target wants the widest; parameters are 6, 41 and 161."""
    torch.manual_seed(3)
    widths = {f"w{n}": nn.Sequential(nn.Linear(3, n), nn.Tanh(), nn.Linear(n, 1)) for n in (1, 8, 32)}
    return Supernet(Choice(widths, label="width"))


def likely(search, name="width"):
    return dict(
        zip(search.supernet.space[name].choices, search.architecture_optimizer.theta[name], strict=True)
    )


def wide_is_better(forward, batch):
    """As an objective, apart from noise: the wider the better."""
    return 1.0 / forward(batch[0]).numel() + {"w1": 3.0, "w8": 2.0, "w32": 1.0}[forward.architecture["width"]]


# --- a small real problem ------------------------------------------------------------------------------


def fashion():
    images = load_fashion_mnist_subset()
    return TensorDataset(images.train_images.float().flatten(1) / 255 - 0.5, images.train_labels)


def fashion_search(**settings):
    torch.manual_seed(0)
    body = {f"h{n}": nn.Sequential(nn.Linear(196, n), nn.ReLU(), nn.Linear(n, 10)) for n in (2, 8, 64)}
    supernet = Supernet(Choice(body, label="body"))
    settings = {"final": 0.0, "warmup": 0.5} | settings
    search = OneShotSearch(supernet, supervised(nn.functional.cross_entropy), seed=0, **settings)
    batches = DataLoader(fashion(), batch_size=50, shuffle=True)
    return search.fit(batches, epochs=4, progress=False)


def test_on_images_a_budget_is_kept_which_the_search_without_it_breaks():
    free, held = fashion_search(), fashion_search(cost=Budget("parameters", limit=2000))
    assert parameters(free.child) > 2000
    assert parameters(held.child) == held.cost["parameters"] <= 2000
    assert held.architecture["body"] == "h8"  # and not the smallest
    assert (free.cost, free.over_budget, free.evaluated) == ({}, 0, held.evaluated)
    assert 0 < held.over_budget < held.evaluated == 2 * held.steps / 2


# --- what a budget does --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_under_a_budget_the_best_within_it_is_found(seed):
    cost = Budget("parameters", limit=100)
    search = searcher(three_widths(), minimize=wide_is_better, cost=cost, warmup=0.0, seed=seed)
    result = fit(search, epochs=20)
    assert result.architecture["width"] == "w8"
    assert result.cost == {"parameters": 41.0}
    assert likely(search)["w8"] > 0.6


def test_candidates_over_the_budget_are_not_run():
    ran = []

    def objective(forward, batch):
        ran.append(forward.architecture["width"])
        return wide_is_better(forward, batch)

    cost = Budget("parameters", limit=100)
    result = fit(searcher(three_widths(), minimize=objective, cost=cost, warmup=0.0))
    assert set(ran) == {"w1", "w8"}
    assert len(ran) == result.evaluated - result.over_budget
    assert result.evaluated == 2 * 24


def test_where_all_candidates_are_over_theta_moves_towards_the_cheaper():
    search = searcher(three_widths(), minimize=wide_is_better, cost=Budget("parameters", limit=5), warmup=0.0)
    with search.stepping(loader(), loader(24), epochs=20) as loop:
        for _ in range(loop.state.steps):
            loop.one_step()
    assert likely(search)["w1"] > 0.6


def rare(limit):
    """A search one of whose 256 architectures has no layer but the last, which draws hardly ever hit."""
    torch.manual_seed(0)
    ops = [Choice({"dear": nn.Linear(3, 3), "free": nn.Identity()}, label=f"op{n}") for n in range(8)]
    supernet = Supernet(nn.Sequential(*ops, nn.Linear(3, 1)))
    return searcher(supernet, warmup=1.0, cost=Budget("parameters", limit=limit))


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr("asng.search.found.likely", lambda space, theta: likely_ones(space, theta, 20))


@pytest.mark.usefixtures("few_draws")
def test_what_is_within_but_far_from_theta_is_not_found_and_the_nearest_is_named():
    with pytest.raises(RunError, match=r"\(parameters <= 4\), got none .* the nearest has parameters \d+\."):
        fit(rare(limit=4), epochs=1)


# --- before the search ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cost", [Budget("parameters", limit=5), Budget("parameters", share=0.03)])
def test_a_budget_below_the_smallest_is_told_before_anything_is_trained(cost, tmp_path):
    trained = []

    def loss(forward, batch):
        trained.append(1)
        return mse(forward, batch)

    search = searcher(three_widths(), loss=loss, cost=cost)
    with pytest.raises(InputError, match=r"got none among the 3 .* The least found is parameters 6\. R"):
        fit(search, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert len(trained) <= 1  # the example's


def test_a_measure_that_gives_no_number_is_named_before_anything_is_trained(tmp_path):
    def broken(child, inputs):
        return math.nan

    for check in (False, True):
        with pytest.raises(InputError, match="cost 'broken': expected a finite number"):
            fit(searcher(cost=Budget(broken, limit=1.0)), run_dir=tmp_path / "run", check=check)
    assert not (tmp_path / "run").exists()


def test_a_share_is_a_limit_in_log_result_and_report(tmp_path):
    cost = [Budget("parameters", share=0.3), Penalty("bytes", weight=0.1, target=100)]
    result = fit(searcher(three_widths(), minimize=wide_is_better, cost=cost, warmup=0.0), run_dir=tmp_path)
    assert result.cost["parameters"] <= 0.3 * 161
    start = _events(tmp_path)[0]
    assert start["costs"] == [
        {"measure": "parameters", "kind": "budget", "limit": 0.3 * 161, "share": 0.3, "whole": 161.0},
        {"measure": "bytes", "kind": "penalty", "limit": 100.0, "share": None, "whole": None},
    ]
    assert [limit.limit for limit in result.limits] == [0.3 * 161, 100.0]
    html = result.report().read_text()
    assert "parameters &lt;= 48.3, 0.3 of 161" in html


def test_a_latency_that_is_over_when_it_is_measured_again_gives_way_to_the_next(monkeypatch):
    asked = []

    def latency(child, inputs):
        width = child[0].out_features
        asked.append(width)
        return 0.5 if asked.count(width) == 1 or width < 8 else 2.0

    monkeypatch.setitem(MEASURES, "latency", latency)
    monkeypatch.setattr("asng.costs.measures._TIMED", (latency,))
    search = searcher(three_widths(), minimize=wide_is_better, cost=Budget("latency", limit=1.0), warmup=0.0)
    result = fit(search, epochs=10)
    assert result.architecture["width"] == "w1"
    assert result.cost == {"latency": 0.5}
    assert asked.count(32) == 2  # it is the likeliest


@pytest.mark.parametrize("rule", ["minimize", "maximize"])
def test_a_nan_within_the_budget_ranks_before_what_is_over(rule):
    once_finite = iter([1.0])  # or the search would be given up
    cost = Budget("parameters", limit=10)
    search = searcher(
        three_widths(), cost=cost, warmup=0.0, **{rule: lambda forward, batch: next(once_finite, math.nan)}
    )
    assert fit(search, epochs=12).architecture["width"] == "w1"
    assert likely(search)["w1"] > 0.6


def test_a_mode_over_the_budget_gives_way_to_the_likeliest_within():
    # Through the warm-up theta stays uniform, so that the mode is the first choice, here the dearest.
    torch.manual_seed(0)
    ops = {"dear": nn.Linear(3, 1), "cheap": Zero(), "free": Zero()}
    supernet = Supernet(nn.Sequential(Choice(ops, label="a"), nn.Linear(1, 1)))
    search = searcher(supernet, warmup=1.0, cost=Budget("parameters", limit=2))
    result = fit(search, epochs=1)
    assert search.architecture_optimizer.best["a"] == "dear"
    assert result.architecture["a"] in ("cheap", "free")
    assert (result.cost, result.evaluated) == ({"parameters": 2.0}, 0)
    assert parameters(result.child) == 2


def test_several_budgets_hold_at_once():
    def width(child, inputs):
        return float(child[0].out_features)

    costs = [Budget("parameters", limit=100), Budget(width, limit=7)]
    result = fit(searcher(three_widths(), minimize=wide_is_better, cost=costs, warmup=0.0), epochs=12)
    assert result.architecture["width"] == "w1"
    assert result.cost == {"parameters": 6.0, "width": 1.0}


def test_a_budget_that_nothing_breaks_changes_nothing():
    runs = [searcher(), searcher(cost=Budget("parameters", limit=1e9))]
    results = [fit(search) for search in runs]
    states = [search.architecture_optimizer.state_dict() for search in runs]
    assert states[0] == states[1]
    weights = [search.supernet.state_dict() for search in runs]
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())
    assert results[0].architecture == results[1].architecture


def test_costs_leave_the_loaders_generators_alone():
    weights = []
    for cost in ((), Penalty("latency", weight=1e-9, target=1e9)):
        search = searcher(cost=cost)
        fit(search, "own generator")
        weights.append(search.supernet.state_dict())
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())


def test_a_finalist_that_is_over_when_it_is_measured_again_is_not_trained_for_longer(monkeypatch):
    asked = []

    def latency(child, inputs):
        width = child[0].out_features
        asked.append(width)
        return 2.0 if width == 32 and asked.count(32) > 1 else 0.5

    monkeypatch.setitem(MEASURES, "latency", latency)
    monkeypatch.setattr("asng.costs.measures._TIMED", (latency,))
    cost = Budget("latency", limit=1.0)
    search = searcher(three_widths(), minimize=wide_is_better, cost=cost, warmup=None, final=0.7)
    result = fit(search, epochs=30)
    longer = {one.architecture["width"]: one.longer is not None for one in result.finalists}
    assert longer == {"w1": False, "w8": True, "w32": False}  # w32 would be the best
    assert result.architecture["width"] == "w8"
    assert result.cost == {"latency": 0.5}


def test_what_cannot_be_exported_is_told_before_anything_is_trained(tmp_path):
    pytest.importorskip("onnxruntime")

    class Data(nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 1e9 else -x

    supernet = Supernet(
        nn.Sequential(Data(), Choice({"a": nn.Linear(3, 1), "b": nn.Linear(3, 1)}, label="op"))
    )
    for check in (True, False):
        search = searcher(supernet, cost=Budget("onnx_latency", limit=1.0))
        with pytest.raises(InputError, match="onnx_latency: expected a network that runs as ONNX"):
            fit(search, run_dir=tmp_path / "run", check=check)
    assert not (tmp_path / "run").exists()


# --- what a penalty does -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rule", ["minimize", "maximize"])
def test_of_equals_a_penalty_prefers_the_cheaper(rule, seed):
    search = searcher(
        three_widths(),
        **{rule: lambda forward, batch: 0.0},
        cost=Penalty("parameters", weight=0.1, target=1),
        warmup=0.0,
        seed=seed,
    )
    result = fit(search, epochs=12)
    assert result.architecture["width"] == "w1"
    assert likely(search)["w1"] > 0.6
    assert result.over_budget == 0


@pytest.mark.parametrize("seed", range(3))
def test_up_to_the_target_a_penalty_says_nothing(seed):
    search = searcher(
        three_widths(),
        minimize=wide_is_better,
        cost=Penalty("parameters", weight=10.0, target=41),
        warmup=0.0,
        seed=seed,
    )
    assert fit(search, epochs=12).architecture["width"] == "w8"


@pytest.mark.parametrize(("weight", "width"), [(0.01, "w32"), (10.0, "w1")])
def test_the_weight_of_a_penalty_decides_what_it_is_worth(weight, width):
    cost = Penalty("parameters", weight=weight, target=6)
    search = searcher(three_widths(), maximize=lambda f, b: -wide_is_better(f, b), cost=cost, warmup=0.0)
    assert fit(search, epochs=12).architecture["width"] == width


# --- what is measured, and when ------------------------------------------------------------------------


def test_each_distinct_architecture_is_measured_once_and_only_after_the_warm_up():
    measured, generations = [], []

    def seconds(child, inputs):
        measured.append(child[0].out_features)
        generations.append(search.architecture_optimizer.generation)
        return 0.1

    search = searcher(three_widths(), cost=Penalty(seconds, weight=1.0, target=1.0))
    fit(search, epochs=10)
    assert sorted(measured) == [1, 8, 32]
    assert generations[0] == 0


def test_variables_that_only_the_costs_read_are_credited():
    told = []

    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = (Choice([nn.Linear(3, 1), Zero()], label=name) for name in "ab")

        def forward(self, x, which="ab"):
            return sum(getattr(self, name)(x) for name in which)

    supernet = Supernet(Half())
    search = searcher(
        supernet,
        minimize=lambda forward, batch: float(forward(batch[0], "a").mean()),
        cost=Budget("parameters", limit=4),
        warmup=0.0,
    )
    tell = search.architecture_optimizer.tell

    def spy(candidates, losses):
        told.extend((candidate.architecture, candidate.active) for candidate in candidates)
        tell(candidates, losses)

    search.architecture_optimizer.tell = spy
    result = fit(search, epochs=2)
    assert all(active == {"a", "b"} for _, active in told)
    over = [architecture for architecture, _ in told if architecture["a"] == architecture["b"] == 0]
    assert len(over) == result.over_budget > 0


@pytest.mark.parametrize("bad", ["latency", [Budget("latency", limit=1.0), 3]])
def test_a_cost_that_is_none_is_named(bad):
    with pytest.raises(InputError, match=r"cost: expected asng\.Penalty or asng\.Budget"):
        searcher(cost=bad)


# --- the run folder ------------------------------------------------------------------------------------


def _events(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_log_counts_and_the_folder_holds_what_is_within(tmp_path):
    search = searcher(
        three_widths(), minimize=wide_is_better, cost=Budget("parameters", limit=10), warmup=0.25
    )
    result = fit(search, run_dir=tmp_path)
    steps = [event for event in _events(tmp_path) if event["event"] == "step"]
    end = _events(tmp_path)[-1]
    counts = [(step["evaluated"], step["over_budget"]) for step in steps]
    assert [evaluated for evaluated, _ in counts] == [max(0, 2 * (n - 6)) for n in range(1, 25)]
    assert all(0 <= b - a <= 2 for (_, a), (_, b) in pairwise(counts))
    assert (end["evaluated"], end["over_budget"]) == counts[-1] == (result.evaluated, result.over_budget)
    assert steps[0]["cost"] == {}
    assert {step["cost"]["parameters"] for step in steps[6:]} <= {(a + b) / 2 for a in WIDTHS for b in WIDTHS}
    # No candidate of the step was run where both were over.
    assert all((step["objective"] is None) == (step["cost"]["parameters"] > 83.5) for step in steps[6:])
    assert end["cost"] == result.cost == {"parameters": 6.0}
    assert Architecture.from_json((tmp_path / "architecture.json").read_text()) == result.architecture


def test_without_costs_the_log_says_nothing_of_them(tmp_path):
    fit(searcher(), run_dir=tmp_path)
    assert not any(event.keys() & {"cost", "evaluated", "over_budget"} for event in _events(tmp_path))


class Drifting:
    """A measure that never gives the same twice, like a clock."""

    __name__ = "drifting"

    def __init__(self):
        self.rng = random.Random(0)
        self.calls = 0

    def __call__(self, child, inputs):
        self.calls += 1
        return self.rng.uniform(0.5, 1.5)


@pytest.mark.parametrize("step", [3, 14, 17, 23, 24])
def test_a_resumed_run_takes_the_costs_that_were_measured(step, tmp_path):
    def run(loss, measure, folder, **settings):
        costs = [Budget(measure, limit=1.0), Penalty(measure, weight=0.1, target=0.7)]
        search = searcher(loss=loss, cost=costs)
        return search, fit(search, "own generator", run_dir=folder, **settings)

    whole, expected = run(mse, Drifting(), tmp_path / "whole")
    measure = Drifting()
    with pytest.raises(KeyboardInterrupt):
        run(stopping(step), measure, tmp_path / "parts")
    search, result = run(mse, measure, tmp_path / "parts", resume=True)
    assert (result.cost, result.architecture) == (expected.cost, expected.architecture)
    assert (result.evaluated, result.over_budget) == (expected.evaluated, expected.over_budget)
    assert search.architecture_optimizer.state_dict() == whole.architecture_optimizer.state_dict()
    weights = search.supernet.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in whole.supernet.state_dict().items())
    assert events_without_clocks(tmp_path / "parts") == events_without_clocks(tmp_path / "whole")
    assert 0 < result.over_budget < result.evaluated


def test_a_resumed_run_measures_on_the_same_inputs(tmp_path):
    def run(folder, loss=mse, seed=5, **settings):
        own = torch.Generator().manual_seed(seed)
        batches = DataLoader(data(), batch_size=8, shuffle=True, generator=own)
        seen = []

        def total(child, inputs):
            seen.append(inputs[0].sum().item())
            return 1.0

        search = searcher(loss=loss, cost=Budget(total, limit=2.0))
        search.fit(batches, loader(), epochs=4, progress=False, run_dir=folder, **settings)
        return seen

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", stopping(3))
    assert set(run(tmp_path / "parts", seed=99, resume=True)) == set(run(tmp_path / "whole"))


@pytest.mark.usefixtures("few_draws")
def test_a_search_that_found_nothing_within_is_ended_by_a_larger_limit(tmp_path):
    search = rare(limit=4)
    with pytest.raises(RunError, match="resume=True then repeats no step"):
        fit(search, run_dir=tmp_path)
    assert not (tmp_path / "architecture.json").exists()
    weights = {name: value.clone() for name, value in search.supernet.state_dict().items()}
    larger = rare(limit=100)
    result = fit(larger, run_dir=tmp_path, resume=True)
    assert 4 < result.cost["parameters"] <= 100
    assert all(torch.equal(weights[name], value) for name, value in larger.supernet.state_dict().items())
    assert (tmp_path / "architecture.json").exists()


def test_a_finished_run_under_a_budget_is_only_read(tmp_path):
    measure = Drifting()
    first = fit(searcher(cost=Budget(measure, limit=1.4)), run_dir=tmp_path)
    before, calls = {path.name: path.read_bytes() for path in tmp_path.iterdir()}, measure.calls
    again = fit(searcher(cost=Budget(measure, limit=1.4)), run_dir=tmp_path, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert (again.architecture, again.cost, measure.calls) == (first.architecture, first.cost, calls)


def test_the_report_says_how_many_were_over(tmp_path):
    pytest.importorskip("matplotlib")
    result = fit(searcher(three_widths(), cost=Budget("parameters", limit=100)), run_dir=tmp_path)
    sentence = f"{result.over_budget} of {result.evaluated} candidates were over the budget"
    assert sentence in result.report().read_text()
