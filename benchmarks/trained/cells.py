"""What compression is measured on: a network, trained on a part of its data, with other data for validation.

There are 3,000 training images, 500 validation images, and the test images of the data set: Fashion-MNIST at
14x14 (1,000) or CIFAR-10 (JPEG) at 16x16 (2,500). `benchmarks.trained.networks.trained` learns from all
training images, which leaves none for validation, so the same networks are trained here by the same recipe.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention
from torch.utils.data import DataLoader, TensorDataset

from asng.training import train
from benchmarks.trained.networks import CACHE, DATA, LOSS, NETWORKS

__all__ = ["CHOICE", "ITEMS", "MAKERS", "TRAINING", "Cell", "adam", "cell", "fresh"]

ITEMS, CHOICE, BATCH = 3000, 500, 64
TRAINING = {"fashion": 8, "cifar": 12}
"""Epochs of training, by data."""

adam = partial(torch.optim.AdamW, lr=3e-3, weight_decay=0.01)
"""The optimiser by which networks are trained."""


class _Layer(nn.Module):
    """Attention and a feed-forward part, each normalised after its residual sum, as in BERT."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = (layer(x).view(b, n, -1, 8).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, -1)
        x = self.norm1(x + self.o(y))
        return self.norm2(x + self.outer(gelu(self.inner(x))))


class RowEncoder(nn.Module):
    """A small BERT in which each row of an image is a token: width 64, eight heads, three layers."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.tokens = nn.Linear(channels * (14 if channels == 1 else 16), 64)
        self.places, self.norm = nn.Embedding(16, 64), nn.LayerNorm(64)
        self.layers = nn.Sequential(*(_Layer(64) for _ in range(3)))
        self.pooler, self.head = nn.Linear(64, 64), nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tokens(x.transpose(1, 2).flatten(2))
        x = self.layers(self.norm(x + self.places(torch.arange(x.shape[1], device=x.device))))
        return self.head(torch.tanh(self.pooler(x.mean(1))))


MAKERS: dict[str, Any] = {
    "residual": NETWORKS["residual"],
    "mobile": NETWORKS["mobile"],
    "encoder": NETWORKS["encoder"],
    "bert": RowEncoder,
}


@dataclass(frozen=True)
class Cell:
    """A trained network and its data.

    Attributes:
        model: The network, in eval mode.
        train: Data that it was trained on.
        valid: Data to select by.
        test: Data for the reported scores.
        example: One item, on which costs are counted.
    """

    network: str
    data: str
    seed: int
    model: nn.Module
    train: DataLoader[Any]
    valid: DataLoader[Any]
    test: DataLoader[Any]
    example: Tensor


@cache
def cell(network: str, data: str, seed: int) -> Cell:
    """Return a cell; its weights are cached in the folder of temporary files."""
    x, y, x_test, y_test = DATA[data]()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    known, choice = order[:ITEMS], order[ITEMS : ITEMS + CHOICE]
    draws = torch.Generator().manual_seed(seed)
    return Cell(
        network,
        data,
        seed,
        _trained(network, data, seed, x[known], y[known]),
        DataLoader(TensorDataset(x[known], y[known]), BATCH, shuffle=True, drop_last=True, generator=draws),
        DataLoader(TensorDataset(x[choice], y[choice]), 500),
        DataLoader(TensorDataset(x_test, y_test), 500),
        x[:1],
    )


def fresh(network: str, channels: int, seed: int) -> nn.Module:
    """Return an untrained network."""
    torch.manual_seed(seed)
    model: nn.Module = MAKERS[network](channels, 10)
    return model


def _trained(network: str, data: str, seed: int, x: Tensor, y: Tensor) -> nn.Module:
    model = fresh(network, x.shape[1], seed)
    path = CACHE / f"cell-{network}-{data}-{seed}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as weights:
            model.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights})
        return model.eval()
    draws = torch.Generator().manual_seed(seed)
    loader = DataLoader(TensorDataset(x, y), BATCH, shuffle=True, drop_last=True, generator=draws)
    train(model, loader, loss=LOSS, epochs=TRAINING[data], optimizer=adam)
    CACHE.mkdir(exist_ok=True)
    np.savez(path, **{name: tensor.numpy() for name, tensor in model.state_dict().items()})
    return model.eval()
