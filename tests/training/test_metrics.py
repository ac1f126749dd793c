"""Objectives over all of the data, batches without a value, and other methods of a model."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng import nn as snn
from asng.errors import InputError
from asng.space import Architecture
from asng.training import MetricObjective, running, score
from asng.training.forward import ArchitectureForward
from asng.training.metric import as_objective, is_metric


class F1:
    """A metric as torchmetrics has them, of the second column as the class."""

    def reset(self):
        self.hits = self.said = self.true = 0

    def update(self, output, target):
        said = output.argmax(dim=1).bool()
        self.hits += int((said & target).sum())
        self.said += int(said.sum())
        self.true += int(target.sum())

    def compute(self):
        return torch.tensor(2 * self.hits / max(1, self.said + self.true))


X = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
Y = X[:, 0] > 1.0
DATA = DataLoader(TensorDataset(X, Y), batch_size=7)


def test_a_metric_is_computed_once_over_all_batches():
    whole = F1()
    whole.reset()
    whole.update(X, Y)
    assert score(nn.Identity(), DATA, F1()) == pytest.approx(whole.compute().item())
    parts = [MetricObjective(F1())(nn.Identity(), batch) for batch in DATA]
    assert sum(map(float, parts)) / len(parts) != pytest.approx(whole.compute().item(), rel=0.05)


def test_the_metric_that_was_given_stays_as_it_is():
    metric = F1()
    score(nn.Identity(), DATA, metric)
    assert vars(metric) == {}


@pytest.mark.parametrize("as_mapping", [True, False])
def test_a_feed_of_ones_own_says_what_the_metric_takes(as_mapping):
    def feed(forward, batch):
        output, target = forward(batch["x"]), batch["y"]
        return {"output": output, "target": target} if as_mapping else (output, target)

    loader = [{"x": x, "y": y} for x, y in DATA]
    assert score(nn.Identity(), loader, MetricObjective(F1(), feed)) == score(nn.Identity(), DATA, F1())


def test_a_metric_of_torchmetrics_will_do():
    torchmetrics = pytest.importorskip("torchmetrics")
    metric = torchmetrics.MeanSquaredError(squared=False)
    loader = DataLoader(TensorDataset(X, X + 2), batch_size=7)
    assert score(nn.Identity(), loader, metric) == pytest.approx(2.0)


def test_what_is_no_metric_is_refused():
    assert is_metric(F1())
    assert as_objective(max) is max
    for wrong in (max, F1, 3):
        with pytest.raises(InputError, match="metric: expected an object with update, compute and reset"):
            MetricObjective(wrong)
    with pytest.raises(InputError, match="window: expected"):
        MetricObjective(F1(), window=0)


def test_batches_that_are_no_pairs_ask_for_a_feed():
    with pytest.raises(InputError, match=r"expected an \(input, target\) pair for the metric, got dict"):
        score(nn.Identity(), [{"x": X}], F1())
    with pytest.raises(InputError, match=r"feed: expected a tuple or a mapping for .*F1\.update, got Tensor"):
        score(nn.Identity(), DATA, MetricObjective(F1(), lambda forward, batch: batch[0]))


def test_several_numbers_of_a_metric_are_told():
    class Two(F1):
        def compute(self):
            return {"b": 1.0, "a": 2.0}

    with pytest.raises(InputError, match=r"expected one number from .*Two, got those of \['a', 'b'\]"):
        score(nn.Identity(), DATA, Two())


# --- batches that an objective is not defined on -------------------------------------------------------


def share_of_true(forward, batch):
    """Of the items of class one, how many are said to be: NaN where there are none."""
    said, target = forward(batch[0])[:, 0] > 0.5, batch[1]
    return (said & target).sum().float().div(target.sum()).item()


def test_batches_without_a_value_are_left_out():
    x, y = torch.tensor([[1.0], [0.0], [1.0], [1.0], [1.0], [0.0]]), torch.tensor([1, 0, 0, 0, 1, 1]).bool()
    loader = DataLoader(TensorDataset(x, y), batch_size=2)
    assert [share_of_true(nn.Identity(), batch) for batch in loader][0::2] == [1.0, 0.5]
    assert score(nn.Identity(), loader, share_of_true) == 0.75


def test_a_network_that_gives_nan_is_not_let_off():
    class Sometimes(nn.Module):
        def forward(self, x):
            return x / (x[0] > 0)

    x = torch.tensor([[1.0], [1.0], [-0.0], [1.0]])
    loader = DataLoader(TensorDataset(x), batch_size=2)
    assert math.isnan(score(Sometimes(), loader, lambda forward, batch: forward(batch[0]).mean().item()))


def test_nothing_but_undefined_batches_is_nan():
    loader = DataLoader(TensorDataset(torch.ones(4, 1), torch.zeros(4).bool()), batch_size=2)
    assert math.isnan(score(nn.Identity(), loader, share_of_true))


def test_scores_are_weighted_as_they_are_told():
    x = torch.tensor([1.0, 3.0, 5.0, 7.0])
    mean = lambda forward, batch: forward(batch).mean()  # noqa: E731
    loader = DataLoader(x, batch_size=2)
    assert score(nn.Identity(), loader, mean, items=lambda batch: batch.sum()) == (4 * 2 + 12 * 6) / 16
    assert score(nn.Identity(), loader, mean, items=lambda batch: float(batch[0] > 2)) == 6.0


def test_a_list_of_images_counts_by_images():
    loader = [[torch.zeros(3, 2, 2)] * 5 + [torch.zeros(3, 4, 2)], [torch.ones(3, 2, 2)] * 2]
    loader = [(images, [{"label": 1}] * len(images)) for images in loader]
    mean = lambda forward, batch: sum(x.mean() for x in batch[0]) / len(batch[0])  # noqa: E731
    assert score(nn.Identity(), loader, mean) == 0.25


# --- other methods than forward ------------------------------------------------------------------------


class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.op = snn.Choice({"twice": nn.Linear(2, 2), "skip": nn.Identity()}, label="op")

    def forward(self, x):
        return self.op(x)

    def encode(self, x):
        return self.op(x) + 1


@pytest.mark.parametrize("op", ["twice", "skip"])
def test_a_method_of_the_model_follows_the_architecture(op):
    supernet, a = snn.Supernet(Coder()), Architecture({"op": op})
    forward = ArchitectureForward(supernet, a)
    with running(forward) as model:
        got = model.encode(X)
    assert forward.read == {"op"}
    with running(supernet.extract(a, example=X)) as child:
        assert torch.equal(got, child.encode(X))


def test_what_runs_nothing_is_refused():
    with (
        pytest.raises(
            InputError, match="forward: expected the forward that a loss or an objective is given, got int"
        ),
        running(3),
    ):
        pass
