"""Small plain networks for pictures, trained once, which are narrowed later."""

import tempfile
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention
from torch.utils.data import DataLoader, TensorDataset

from asng.training import supervised, train
from benchmarks.truth.public import cifar_data
from benchmarks.truth.spaces import fashion_data, vowel_data

__all__ = ["DATA", "LOSS", "NETWORKS", "loaders", "trained"]

LOSS = supervised(cross_entropy)
CACHE = Path(tempfile.gettempdir()) / "asng-trained"


def _conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first, self.second = _conv_norm(inputs, outputs, 3, stride), _conv_norm(outputs, outputs)
        same = stride == 1 and inputs == outputs
        self.short = nn.Identity() if same else _conv_norm(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.short(x))


class Residual(nn.Module):
    """Four residual blocks of 16 and 32 channels."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = _conv_norm(channels, 16)
        self.blocks = nn.Sequential(_Block(16, 16), _Block(16, 16), _Block(16, 32, 2), _Block(32, 32))
        self.head = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(torch.relu(self.stem(x))).mean((2, 3)))


class Dense(nn.Module):
    """Each layer reads the concatenated outputs of all before it: two groups of three, 16 channels each."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, padding=1)
        self.first = nn.ModuleList(self._layer(16 * (i + 1)) for i in range(3))
        self.between = _conv_norm(64, 32, 1)
        self.second = nn.ModuleList(self._layer(32 + 16 * i) for i in range(3))
        self.norm, self.head = nn.BatchNorm2d(80), nn.Linear(80, classes)

    @staticmethod
    def _layer(inputs: int) -> nn.Sequential:
        return nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 16, 3, padding=1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.first:
            x = torch.cat([x, layer(x)], dim=1)
        x = nn.functional.avg_pool2d(self.between(x), 2)
        for layer in self.second:
            x = torch.cat([x, layer(x)], dim=1)
        return self.head(torch.relu(self.norm(x)).mean((2, 3)))


class _EncoderLayer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        y = self.norm1(x)
        q, k, v = (layer(y).view(b, n, -1, 6).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, -1)
        x = x + self.o(y)
        return x + self.outer(torch.nn.functional.gelu(self.inner(self.norm2(x))))


class Encoder(nn.Module):
    """A vision transformer: patches of 2x2, width 48, eight heads, three layers."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.patches, self.places = nn.Conv2d(channels, 48, 2, 2), nn.Embedding(80, 48)
        self.layers = nn.Sequential(*(_EncoderLayer(48) for _ in range(3)))
        self.norm, self.head = nn.LayerNorm(48), nn.Linear(48, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).mT
        x = self.layers(x + self.places(torch.arange(x.shape[1], device=x.device)))
        return self.head(self.norm(x).mean(1))


class _Inverted(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        wide = 4 * inputs
        self.parts = nn.Sequential(
            _conv_norm(inputs, wide, 1),
            nn.ReLU6(),
            _conv_norm(wide, wide, 3, stride, groups=wide),
            nn.ReLU6(),
            _conv_norm(wide, outputs, 1),
        )
        self.same = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.parts(x) if self.same else self.parts(x)


class Mobile(nn.Module):
    """Inverted residuals with depthwise convolutions, as MobileNetV2."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = _conv_norm(channels, 16)
        self.blocks = nn.Sequential(
            _Inverted(16, 16), _Inverted(16, 24, 2), _Inverted(24, 24), _Inverted(24, 32), _Inverted(32, 32)
        )
        self.last, self.head = _conv_norm(32, 96, 1), nn.Linear(96, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(torch.relu(self.stem(x)))
        return self.head(torch.relu(self.last(x)).mean((2, 3)))


NETWORKS = {"residual": Residual, "dense": Dense, "encoder": Encoder, "mobile": Mobile}


def _digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    found: Any = import_module("sklearn.datasets").load_digits()
    x, y = torch.tensor(found.images, dtype=torch.float32)[:, None] / 8 - 1, torch.tensor(found.target)
    return x[:1200], y[:1200], x[1200:], y[1200:]


def _vowels() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, y, x_test, y_test = vowel_data()
    return x[:, None, :, :24], y, x_test[:, None, :, :24], y_test


DATA = {"digits": _digits, "vowels": _vowels, "fashion": fashion_data, "cifar": cifar_data}
"""Training inputs and labels, test inputs and labels. Pictures of one or three channels."""

EPOCHS = {"digits": 15, "vowels": 40, "fashion": 6, "cifar": 5}


def loaders(data: str, seed: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return the training data, shuffled by a seed, and the test data."""
    x, y, x_test, y_test = DATA[data]()
    order = torch.Generator().manual_seed(seed)
    train_loader = DataLoader(TensorDataset(x, y), 64, shuffle=True, drop_last=True, generator=order)
    return train_loader, DataLoader(TensorDataset(x_test, y_test), 500)


def trained(network: str, data: str, seed: int) -> nn.Module:
    """Return a trained network; its weights are cached in the folder of temporary files."""
    x, y, *_ = DATA[data]()
    torch.manual_seed(seed)
    model = NETWORKS[network](x.shape[1], int(y.max()) + 1)
    path = CACHE / f"{network}-{data}-{seed}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as weights:
            model.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights})
        return model.eval()
    adam = partial(torch.optim.AdamW, lr=3e-3, weight_decay=0.01)
    train(model, loaders(data, seed)[0], loss=LOSS, epochs=EPOCHS[data], optimizer=adam)
    CACHE.mkdir(exist_ok=True)
    np.savez(path, **{name: tensor.numpy() for name, tensor in model.state_dict().items()})
    return model.eval()
