"""Two spaces small enough for every network to be trained alone, in which the choices interact.

Their networks begin with a fixed stem and end in a linear layer over the mean (or the maximum) of the last
features. The part in between is searched.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d

import asng
from asng.data import load_fashion_mnist_subset, normalise, normalise_series, read_ts

__all__ = ["Cell", "Layers", "fashion_data", "leaf_data", "vowel_data"]


# --- Fashion-MNIST at 14x14: four edges of a graph -------------------------------------------------------


class Cell(nn.Module):
    """Two nodes over the input and four edges: five operations on those from the input, four on the others.

    The second node adds the outputs of two edges, so an operation is good or bad depending on the operations
    beside and before it. 400 networks.
    """

    def __init__(self, channels: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2, padding=1), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.edge1 = asng.nn.Choice(_operations(channels), label="edge1")
        self.edge2 = asng.nn.Choice(_operations(channels), label="edge2")
        self.edge3 = asng.nn.Choice(_operations(channels, depthwise=False), label="edge3")
        self.edge4 = asng.nn.Choice(_operations(channels, depthwise=False), label="edge4")
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        first = self.edge1(x)
        second = self.edge2(x) + self.edge3(first)
        return self.head(self.edge4(second).mean(dim=(2, 3)))


def _operations(channels: int, *, depthwise: bool = True) -> dict[str, nn.Module]:
    def conv(kernel: int, groups: int = 1) -> nn.Module:
        layer = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=groups, bias=False)
        return nn.Sequential(layer, nn.BatchNorm2d(channels), nn.ReLU())

    operations = {"skip": nn.Identity(), "max3": nn.MaxPool2d(3, stride=1, padding=1)}
    if depthwise:
        operations["depthwise5"] = conv(5, groups=channels)
    return operations | {"conv3": conv(3), "conv5": conv(5)}


@cache
def fashion_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    train, test = normalise(load_fashion_mnist_subset())
    return (*train.tensors, *test.tensors)  # type: ignore[return-value]


# --- OSULeaf: outlines of leaves as series, three layers and what they share -----------------------------


class Layers(nn.Module):
    """Kernels of three layers, two of them optional; activation, pooling, read-out. 384 networks."""

    def __init__(self, channels: int = 8, classes: int = 6) -> None:
        super().__init__()
        kernels = (5, 11, 25)
        self.layer1 = asng.nn.Choice({f"conv{k}": _conv1d(1, channels, k) for k in kernels}, label="layer1")
        later = {"skip": nn.Identity} | {
            f"conv{k}": lambda k=k: _conv1d(channels, channels, k) for k in kernels
        }
        self.layer2 = asng.nn.Choice({name: make() for name, make in later.items()}, label="layer2")
        self.layer3 = asng.nn.Choice({name: make() for name, make in later.items()}, label="layer3")
        self.act = asng.nn.Choice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, label="activation")
        self.pool = asng.nn.Choice({"max": nn.MaxPool1d(4), "mean": nn.AvgPool1d(4)}, label="pool")
        self.read = asng.nn.Choice(
            {"max": nn.AdaptiveMaxPool1d(1), "mean": nn.AdaptiveAvgPool1d(1)}, label="read"
        )
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.act(self.layer1(x)))
        x = self.pool(self.act(self.layer2(x)))
        x = self.act(self.layer3(x))
        return self.head(self.read(x).flatten(1))


def _conv1d(inputs: int, outputs: int, kernel: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm1d(outputs)
    )


@cache
def leaf_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    train, train_labels, test, test_labels = _series("OSULeaf", "OSULeaf_{}.ts")
    return avg_pool1d(train, 2), train_labels, avg_pool1d(test, 2), test_labels


@cache
def vowel_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return JapaneseVowels, series of 12 channels and 25 steps, by nine speakers."""
    return _series("JapaneseVowels", "JapaneseVowels_eq_{}.ts")


def _series(folder: str, name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    spec = find_spec("aeon")
    if spec is None or spec.origin is None:
        raise SystemExit("The data come with aeon: pip install --no-deps aeon")
    path = Path(spec.origin).parent / "datasets" / "data" / folder
    parts = normalise_series(*(read_ts(path / name.format(part)) for part in ("TRAIN", "TEST")))
    train, test = ((torch.stack(part.series).mT, part.labels) for part in parts)
    return (*train, *test)
