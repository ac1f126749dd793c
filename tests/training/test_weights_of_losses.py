"""Weights of a loss are not trained, and a warning says so before the training; a teacher's are frozen."""

import warnings
from functools import partial

import pytest
import torch
from problems import data, fit, loader, mse, searcher
from torch import nn

from asng.training import distilled, running, supervised, train


class Learned(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_var = nn.Parameter(torch.zeros(()))

    def forward(self, output, target):
        return nn.functional.mse_loss(output, target) * torch.exp(-self.log_var) + self.log_var


class AsLoss(Learned):
    def forward(self, forward, batch):
        return super().forward(forward(batch[0]), batch[1])


class Holder:
    def __init__(self, criterion):
        self.criterion = criterion

    def __call__(self, forward, batch):
        return self.criterion(forward(batch[0]), batch[1])

    def loss(self, forward, batch):
        return self(forward, batch)


def closed(criterion):
    return lambda forward, batch: criterion(forward(batch[0]), batch[1])


def summed(criteria, forward, batch):
    return sum(criterion(forward(batch[0]), batch[1]) for criterion in criteria)


def bare():
    log_var = torch.zeros((), requires_grad=True)
    return lambda forward, batch: mse(forward, batch) * torch.exp(-log_var)


GLOBAL = Learned()


def of_the_module(forward, batch):
    return GLOBAL(forward(batch[0]), batch[1])


LOSSES = {
    "the loss itself": AsLoss,
    "in supervised": lambda: supervised(Learned()),
    "in a partial": lambda: partial(summed, [Learned(), nn.L1Loss()]),
    "in a partial criterion": lambda: supervised(partial(Learned())),
    "in an object": lambda: Holder(Learned()),
    "in a bound method": lambda: Holder(Learned()).loss,
    "in the method of a module": lambda: supervised(Learned().forward),
    "in a closure": lambda: closed(Learned()),
    "in the loss of a teacher": lambda: distilled(nn.Linear(3, 1), closed(Learned())),
    "a tensor": bare,
    "in the globals of a function": lambda: of_the_module,
}
SAID = r"loss: expected weights of the model only, got \S*log_var\b.* of its own.*Make them part of the model"


@pytest.mark.parametrize("kind", LOSSES)
def test_weights_of_a_loss_are_named_before_a_training(kind):
    model, loss = nn.Linear(3, 1), LOSSES[kind]()
    with pytest.warns(UserWarning, match=SAID) as said:
        train(model, loader(), loss=loss, epochs=1)
    assert len(said) == 1


def test_weights_of_a_loss_are_named_before_a_search_and_before_its_first_step():
    calls = []

    def loss(forward, batch, criterion=None):
        calls.append(1)
        return mse(forward, batch)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=SAID):
            fit(searcher(loss=partial(loss, criterion=Learned())))
    assert not calls


def _silent():
    model, frozen = nn.Sequential(nn.Linear(3, 1)), Learned().requires_grad_(False)
    model.criterion = Learned()

    def of_the_model(forward, batch):
        with running(forward) as network:
            return network[0](batch[0]).square().mean() + network.criterion.log_var

    return model, [
        mse,
        supervised(frozen),
        supervised(nn.CrossEntropyLoss(weight=torch.ones(2))),
        distilled(nn.Linear(3, 1), mse),
        closed(model.criterion),
        closed(model),
        of_the_model,
    ]


@pytest.mark.parametrize("number", range(7))
def test_frozen_weights_and_those_of_the_model_are_no_reason_to_warn(number):
    from asng.training.objective import warn_of_untrained

    model, losses = _silent()
    warn_of_untrained(losses[number], model)  # warnings are errors
    assert len(data()) == 48
