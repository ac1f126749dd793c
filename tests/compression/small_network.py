"""A small residual network, and pictures of stripes that it tells apart."""

import torch
from torch import nn
from torch.utils.data import TensorDataset

import asng

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
