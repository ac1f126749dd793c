"""A loss is called in training mode only, where a network computes something else in evaluation."""

import pytest
import torch
from problems import data, fit, loader, mse, searcher
from torch import nn
from torch.utils.data import DataLoader

from asng import nn as snn
from asng.costs import Penalty
from asng.nn import Supernet
from asng.space import Architecture, Integer
from asng.training.inputs import evaluates_alike

A = {"w": 2}


class Net(nn.Module):
    """Computes in evaluation what its kind says."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.body = kind, snn.Linear(3, Integer(2, 6, label="w"))
        self.norm, self.drop, self.out = snn.BatchNorm1d(6), nn.Dropout(0.5), snn.Linear(6, 1)

    def forward(self, x, y=None):
        out = self.out(self.drop(self.norm(self.body(x))))
        match self.kind, self.training:
            case "detector", True:
                return {"loss": nn.functional.mse_loss(out, y)}
            case "detector", False:
                return [{"boxes": row} for row in out]
            case "probabilities", False:
                return out.sigmoid()
            case "targets in training", False if y is not None:
                raise ValueError("no targets in evaluation")
            case "noise", True:
                return out + torch.randn_like(out)
        return out


def loss_of(kind, model, modes):
    def loss(forward, batch):
        modes.append(model.training)
        x, y = batch
        if kind == "detector":
            return sum(forward(x, y).values())
        if kind == "targets in training":
            return nn.functional.mse_loss(forward(x, y), y)
        return mse(forward, batch)

    return loss


KINDS = ["detector", "probabilities", "targets in training", "noise", "plain"]


@pytest.mark.parametrize("kind", KINDS)
def test_whether_evaluation_computes_the_same_is_seen(kind):
    supernet = Supernet(Net(kind))
    alike = evaluates_alike(supernet, A, loss_of(kind, supernet.model, []), next(iter(loader())))
    assert alike == (kind in ("noise", "plain"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["loss", "minimize"])
def test_the_loss_is_never_called_in_evaluation_where_that_is_something_else(kind, rule):
    torch.manual_seed(0)
    model, modes = Net(kind), []
    loss = loss_of(kind, model, modes)
    score = {} if rule == "loss" else {rule: lambda forward, batch: len(forward(batch[0])) * 1.0}
    costs = () if kind == "targets in training" else Penalty("multiply_adds", weight=0.1, target=100)
    result = fit(searcher(Supernet(model), loss, warmup=0.0, cost=costs, **score), epochs=1, check=True)
    child = result.child
    assert not child.training
    assert child.norm.num_batches_tracked == 6
    assert len(modes) > 6
    if rule == "minimize" or kind not in ("noise", "plain"):
        assert all(modes)


def test_scores_of_a_loss_in_training_mode_are_without_dropout():
    torch.manual_seed(0)
    supernet = Supernet(Net("detector"))
    search = searcher(supernet, loss_of("detector", supernet.model, []), warmup=0.0)
    ordered = DataLoader(data(24), 8)
    with search.stepping(loader(), ordered) as loop:
        architectures = [Architecture(A)]
        once, twice = (loop.scorer.means(architectures, 3)[0].value for _ in range(2))
    assert once == twice
