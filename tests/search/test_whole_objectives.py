"""A metric over the validation data as the objective of a search, and batches without a value."""

import math
from dataclasses import replace

import pytest
import torch
from problems import data, fit, loader, mse, searcher, two_layers
from torch import nn
from torch.utils.data import DataLoader

from asng.errors import InputError
from asng.nn import Choice, Supernet
from asng.search.finalists import Finalist, final_plan
from asng.space import Architecture
from asng.training import MetricObjective, running


class Correlation:
    """As a metric of torchmetrics; notes how many updates each computation is of."""

    counts = []

    def reset(self):
        self.said, self.true = [], []

    def update(self, said, true):
        self.said.append(said)
        self.true.append(true)

    def compute(self):
        self.counts.append(len(self.said))
        return torch.corrcoef(torch.stack([torch.cat(self.said)[:, 0], torch.cat(self.true)[:, 0]]))[0, 1]


def good_or_bad():
    torch.manual_seed(0)
    good = nn.Linear(3, 1)
    with torch.no_grad():
        good.weight.fill_(1.0)
    bad = nn.Linear(3, 1)
    with torch.no_grad():
        bad.weight.fill_(-1.0)
    frozen = Choice({"good": good.requires_grad_(False), "bad": bad.requires_grad_(False)}, label="op")
    return Supernet(nn.Sequential(frozen, nn.Linear(1, 1)))


def still(parameters):
    return torch.optim.SGD(parameters, lr=0.0)


@pytest.mark.parametrize("window", [None, 1, 2])
def test_a_search_selects_by_a_metric_over_a_window_of_batches(window):
    Correlation.counts = []
    metric = Correlation() if window is None else MetricObjective(Correlation(), window=window)
    supernet = good_or_bad()
    with torch.no_grad():
        supernet.model[1].weight.fill_(1.0)
    result = fit(searcher(supernet, maximize=metric, optimizer=still, warmup=0.0), epochs=8)
    assert result.architecture["op"] == "good"
    assert set(Correlation.counts) == {window or 3}  # of three batches in all


@pytest.mark.parametrize("value", [{"f1": 0.5, "recall": 0.5}, torch.zeros(3), None])
def test_a_metric_of_several_numbers_is_told_before_step_one(value, tmp_path):
    class Several(Correlation):
        def compute(self):
            return value

    search = searcher(good_or_bad(), maximize=Several(), optimizer=still)
    with pytest.raises(InputError, match=r"^maximize: expected one number from .*Several"):
        fit(search, check=True, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_metric_that_a_batch_is_not_enough_for_passes_the_check():
    class Picky(Correlation):
        def compute(self):
            if len(self.said) < 3:
                raise ValueError("too few")
            return super().compute()

    metric = MetricObjective(Picky(), window=3)
    assert fit(searcher(good_or_bad(), maximize=metric, optimizer=still), check=True).steps


def test_finalists_are_scored_on_all_batches():
    Correlation.counts = []
    search = searcher(maximize=MetricObjective(Correlation(), window=1), final=0.7, finalists=2)
    valid = DataLoader(data(40), 8)
    result = search.fit(loader(), valid, epochs=40, progress=False, check=False)
    assert len(result.finalists) == 2
    assert all(-1.0 <= one.alone <= 1.0 for one in result.finalists)
    assert 5 in Correlation.counts


def test_a_final_by_a_metric_pays_for_its_passes_over_all_batches():
    part, whole = (final_plan(3360.0, finalists=12, valid_batches=60, whole=whole) for whole in (False, True))
    assert (part.batches < 60, whole.batches) == (True, 60)
    assert whole.alone < part.alone
    assert final_plan(600.0, finalists=12, valid_batches=1000, whole=True).batches < 1000


def test_a_run_by_a_metric_is_gone_on_with(tmp_path):
    from problems import stopping

    def weights(loss=mse, **settings):
        search = searcher(two_layers(), loss, maximize=Correlation(), warmup=0.0, checkpoint_seconds=0.0)
        fit(search, "own generator", epochs=2, **settings)
        return search.architecture_optimizer.state_dict()

    whole = weights(run_dir=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        weights(stopping(7), run_dir=tmp_path / "parts")
    assert weights(run_dir=tmp_path / "parts", resume=True) == whole


def undefined_at(numbers, value=math.nan):
    """An objective without a value on some validation batches, by their first number."""

    def objective(forward, batch):
        mean = mse(forward, batch).item()
        return value if float(batch[0][0, 0]) in numbers else mean

    return objective


def valid():
    return DataLoader(data(40), 8)


BATCHES = [float(data(40).tensors[0][8 * k, 0]) for k in range(5)]


class AsItIs(DataLoader):
    """Keeps its order: a plain loader is put into a random one."""


def test_batches_without_a_value_are_left_out_and_counted():
    ordered = AsItIs(data(40), 8)
    search = searcher(minimize=undefined_at(BATCHES[:2]), final=0.7, finalists=2)
    result = search.fit(loader(), ordered, epochs=60, progress=False, check=False)
    assert result.undefined_batches > 0
    assert all(math.isfinite(one.alone) for one in result.finalists)
    assert result.notes == ()


def test_a_step_passes_over_batches_on_which_nobody_has_a_value():
    search = searcher(minimize=undefined_at(BATCHES[:3]), warmup=0.0)
    result = search.fit(loader(), AsItIs(data(40), 8), epochs=1, progress=False, check=False)
    assert result.undefined_batches == 2 * 3 * 3  # two candidates, three passes over the data
    assert result.evaluated == 12


def test_finalists_that_tie_are_told():
    search = searcher(maximize=lambda forward, batch: len(forward(batch[0])) * 1.0, final=0.7, finalists=2)
    with pytest.warns(UserWarning, match="all of its 2 finalists have the same value of .*<lambda>, 8.0"):
        result = fit(search, epochs=60)
    assert len(result.notes) == 1


def test_finalists_that_all_fail_are_told():
    with searcher(minimize=mse).stepping(loader(), loader(24)) as loop:
        space = loop.theta.space
        draws = [Architecture({"a": "tanh", "b": b}) for b in space["b"].choices]
        loop.final.finalists = [Finalist(a, "uniform", frozenset(a), alone=math.nan) for a in draws]
        assert "none of its 2 finalists has a finite value of" in loop.notes()[0]
        loop.final.finalists[0] = replace(loop.final.finalists[0], alone=1.0)
        assert loop.notes() == ()


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.op = Choice({"twice": nn.Linear(3, 1), "zero": nn.Linear(3, 1)}, label="op")

    def forward(self, x):
        return self.op(x)

    def generate(self, x, length):
        return torch.cat([self.op(x + n) for n in range(length)], dim=1)


def test_an_objective_may_generate():
    def objective(forward, batch):
        with running(forward) as model:
            return (model.generate(batch[0], 4) - batch[1]).square().mean().item()

    search = searcher(Supernet(Generator()), minimize=objective, warmup=0.0)
    result = fit(search, epochs=1, check=True)
    assert result.evaluated == 12
    assert objective(result.child, next(iter(loader()))) > 0.0
