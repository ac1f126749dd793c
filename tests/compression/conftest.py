"""A trained network and its data, small enough to be compressed in seconds."""

import pytest
import torch
from small_network import LOSS, Block, stripes
from torch import nn
from torch.utils.data import DataLoader

from asng.training import train


@pytest.fixture(autouse=True)
def without_programs(request, monkeypatch):
    """Have no ONNX program be written, which takes seconds, but where a test is about that."""
    if "programs" not in request.fixturenames:
        monkeypatch.setattr("asng.compression.stored.save_onnx", lambda *_: None)


@pytest.fixture
def programs():
    """Have ONNX programs be written."""


@pytest.fixture(scope="session")
def loaders():
    """Return loaders to train on and to validate on."""
    return (
        DataLoader(stripes(320, 0), batch_size=32, shuffle=True),
        DataLoader(stripes(160, 1), batch_size=80),
    )


@pytest.fixture(scope="session")
def trained(loaders):
    """Return a small residual network that was trained on the stripes."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), Block(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)
    )
    return train(model, loaders[0], loss=LOSS, epochs=4)
