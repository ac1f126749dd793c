"""`running(forward)` gives the model itself wherever a loss or an objective is called."""

from dataclasses import replace

import pytest
import torch
from small_tasks import SMALL
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng import nn as snn
from asng.nn.conversion.importance import run_on
from asng.pipeline import Loaders, Task
from asng.pipeline.prepare import prepare
from asng.testing import check_task
from asng.training import accuracy, distilled, running
from asng.training.inputs import plain_calls

X, Y = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2


def net():
    return nn.Sequential(snn.Linear(3, asng.Integer(2, 4, label="width")), nn.Tanh(), snn.Linear(4, 2))


def within(forward, batch):
    """A loss that reads the weights, calls forward, and calls a method of the model."""
    with running(forward) as model:
        weights = sum(p.square().sum() for p in model.parameters())
    return nn.functional.cross_entropy(forward(batch[0]), batch[1]) + 1e-4 * weights


def only_within(forward, batch):
    with running(forward) as model:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])


def loader(_=0):
    return DataLoader(TensorDataset(X, Y), 4)


TASK = Task(
    name="user",
    data="noise",
    settings={},
    build=net,
    child=lambda architecture: net(),
    loaders=lambda seed: Loaders(loader(), loader(), loader(), loader()),
    loss=within,
    metric="inner",
    score=only_within,
)


@pytest.mark.parametrize("loss", [within, only_within])
def test_the_calls_of_a_plain_network_are_recorded(loss):
    model = nn.Linear(3, 2)
    [call] = plain_calls(model, loss, (X, Y))
    assert torch.equal(call[0], X)
    assert not model._forward_pre_hooks


@pytest.mark.parametrize("loss", [within, only_within])
def test_importance_sees_the_outputs(loss):
    model = nn.Linear(3, 2)
    outputs, value = run_on(snn.Importance("outputs", [(X, Y)], loss), model, (X, Y))
    assert torch.equal(outputs[0], model(X))
    assert torch.equal(value, loss(model, (X, Y)))
    assert not model._forward_hooks


def test_a_run_tries_its_loss_and_its_score():
    assert prepare(TASK, SMALL, 0).supernet.space.keys() == {"width"}
    prepare(replace(TASK, baseline=lambda: nn.Linear(3, 2)), SMALL, 0)


def test_the_claims_of_a_task_hold():
    check_task(lambda: TASK)


@pytest.mark.parametrize("model", [nn.Linear(3, 2), snn.Supernet(net()).extract({"width": 2}, example=X)])
def test_a_taught_plain_network_gives_itself(model):
    taught = distilled(nn.Linear(3, 2), within, 0.0)
    assert torch.equal(taught(model, (X, Y)), within(model, (X, Y)))


def test_what_is_distilled_twice_gives_the_network():
    teacher = nn.Linear(3, 2)
    taught = distilled(teacher, distilled(teacher, within, 0.0), 0.0)
    assert torch.equal(taught(teacher, (X, Y)), within(teacher, (X, Y)))


def test_a_found_network_is_trained_from_scratch():
    search = asng.OneShotSearch(snn.Supernet(net()), within, maximize=accuracy)
    result = search.fit(loader(), loader(), epochs=1, progress=False, check=False)
    alone = result.retrain(loader(), loader(), epochs=1, peers=1, progress=False)
    assert len(alone.peers) == 1


def test_a_search_with_an_example_is_trained_from_scratch_though_its_loss_never_calls_forward():
    search = asng.OneShotSearch(snn.Supernet(net()), only_within, maximize=accuracy, example=X[:1])
    result = search.fit(loader(), loader(), epochs=1, progress=False, check=False)
    alone = result.retrain(loader(), loader(), epochs=1, peers=1, progress=False)
    assert alone.child(X).shape == (8, 2)


def test_a_model_is_made_smaller():
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    quick = {"epochs": 1, "evaluations": 2, "finalists": 1, "progress": False}
    made = asng.compress(model, loader(), loader(), loss=within, budget=0.7, **quick)
    assert not made.notes
