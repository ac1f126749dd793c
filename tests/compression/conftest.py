"""A trained network and its data, small enough to be compressed in seconds."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.training import train

LOSS = asng.supervised(nn.functional.cross_entropy)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(x + self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x))))))


def stripes(n, seed):
    """Return images whose class is the direction and the period of their stripes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(4, (n,), generator=generator)
    row, column = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    along = torch.where((y % 2 == 0)[:, None, None], row, column)
    x = torch.sin(along * (1.0 + (y // 2)[:, None, None]) + torch.rand(n, 1, 1, generator=generator) * 6)
    return TensorDataset((x + torch.randn(n, 8, 8, generator=generator))[:, None], y)


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
