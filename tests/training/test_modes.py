"""Switching modes without walking over the modules."""

import pytest
import torch
from torch import nn

from asng.training.modes import Modes


class Stubborn(nn.Module):
    """Stays in evaluation."""

    def train(self, mode=True):
        return super().train(False)


class MadeLate(nn.Module):
    """Makes a part in its first pass."""

    def forward(self, x):
        if not hasattr(self, "part"):
            self.part = nn.Dropout()
        return self.part(x)


def network(*more):
    return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)), *more)


@pytest.mark.parametrize("more", [[], [Stubborn]], ids=["plain", "a train of its own"])
def test_modes_are_those_that_train_sets(more):
    ours, torchs = (network(*(make() for make in more)) for _ in range(2))
    modes = Modes(ours)
    for training in (False, True, True, False, True, False, False):
        modes.set(training=training)
        torchs.train(training)
        assert [m.training for m in ours.modules()] == [m.training for m in torchs.modules()]


def test_norms_stay_in_training_mode():
    model = network()
    modes = Modes(model, norms=[model[1][1]])
    for training in (False, True, False):
        modes.set(training=training)
        assert model[1][1].training
        assert model[1][0].training is training


def test_a_module_made_in_the_first_pass_is_switched_too():
    model = network(MadeLate())
    modes = Modes(model)
    modes.set(training=True)
    model(torch.ones(3, 2))
    for training in (False, True, False, True, False):
        modes.set(training=training)
        assert model[2].part.training is training
