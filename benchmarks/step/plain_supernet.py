"""The paper's supernet, written plainly: all operations as modules, in the default memory layout.

Each step does what the authors' code does: every cell runs, both inputs of a cell are adapted, batch norms
keep averages, and losses are summed before one backward pass. Gradients are clipped and stepped over all
weights, which have the names of those of `EnasCellNetwork`, so that both can hold the same ones.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from asng.space import Value

OPERATIONS = ("identity", "avg_pool_3x3", "max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5")


def relu_conv_bn(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs, affine=False)
    )


class FactorizedReduce(nn.Module):
    """Halves the image by two 1 x 1 convolutions of stride 2, one of them shifted by a pixel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, n, m) to (batch, outputs, n / 2, m / 2)."""
        x = self.relu(x)
        return self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], dim=1))


def separable(channels: int, kernel: int, stride: int) -> nn.Module:
    layers: list[nn.Module] = []
    for step in (stride, 1):
        layers += [
            nn.ReLU(),
            nn.Conv2d(
                channels, channels, kernel, stride=step, padding=kernel // 2, groups=channels, bias=False
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels, affine=False),
        ]
    return nn.Sequential(*layers)


def operations(channels: int, stride: int) -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            "identity": nn.Identity() if stride == 1 else FactorizedReduce(channels, channels),
            "avg_pool_3x3": nn.AvgPool2d(3, stride=stride, padding=1),
            "max_pool_3x3": nn.MaxPool2d(3, stride=stride, padding=1),
            "sep_conv_3x3": separable(channels, 3, stride),
            "sep_conv_5x5": separable(channels, 5, stride),
        }
    )


class Node(nn.Module):
    """All operations on all inputs that a node can read."""

    def __init__(self, number: int, channels: int, reducing: bool) -> None:
        super().__init__()
        sources = ["cell-2", "cell-1", *(f"node{earlier}" for earlier in range(1, number))]
        self.edges = nn.ModuleDict(
            {
                source: operations(channels, 2 if reducing and source.startswith("cell") else 1)
                for source in sources
            }
        )


class Conv(nn.Module):
    """The weights of the 1 x 1 convolution over all nodes."""

    def __init__(self, channels: int, nodes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, nodes * channels, 1, 1))


class Cell(nn.Module):
    """A cell of the search."""

    def __init__(
        self, older: int, newer: int, channels: int, nodes: int, *, reducing: bool, after: bool
    ) -> None:
        super().__init__()
        self.kind, self.channels = "reduction" if reducing else "normal", channels
        self.older = FactorizedReduce(older, channels) if after else relu_conv_bn(older, channels)
        self.newer = relu_conv_bn(newer, channels)
        self.nodes = nn.ModuleList(Node(number, channels, reducing) for number in range(1, nodes + 1))
        self.relu = nn.ReLU()
        self.conv = Conv(channels, nodes)
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, older: Tensor, newer: Tensor, architecture: Mapping[str, Value]) -> Tensor:
        """Return the output of the cell under an architecture."""
        outputs = {"cell-2": self.older(older), "cell-1": self.newer(newer)}
        read = set()
        for number, node in enumerate(self.nodes, start=1):
            name = f"{self.kind}.node{number}"
            sides = []
            for side in (1, 2):
                source, operation = architecture[f"{name}.input{side}"], architecture[f"{name}.op{side}"]
                sides.append(node.edges[source][operation](outputs[source]))
                read.add(source)
            outputs[f"node{number}"] = sides[0] + sides[1]
        unused = [number for number in range(len(self.nodes)) if f"node{number + 1}" not in read]
        index = torch.tensor([self.channels * number + k for number in unused for k in range(self.channels)])
        joined = torch.cat([outputs[f"node{number + 1}"] for number in unused], dim=1)
        weight = torch.index_select(self.conv.weight, 1, index)
        return self.norm(nn.functional.conv2d(self.relu(joined), weight))


class PlainSupernet(nn.Module):
    """The network of the search, by default of the paper's sizes."""

    def __init__(
        self, *, cells: int = 8, nodes: int = 5, channels: int = 16, inputs: int = 3, classes: int = 10
    ) -> None:
        super().__init__()
        older = newer = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(inputs, newer, 3, padding=1, bias=False), nn.BatchNorm2d(newer))
        self.cells, after = nn.ModuleList(), False
        for index in range(cells):
            reducing = index in (cells // 3, 2 * cells // 3)
            channels *= 2 if reducing else 1
            self.cells.append(Cell(older, newer, channels, nodes, reducing=reducing, after=after))
            older, newer, after = newer, channels, reducing
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor, architecture: Mapping[str, Value]) -> Tensor:
        """Map images to logits under an architecture."""
        older = newer = self.stem(x)
        for cell in self.cells:
            older, newer = newer, cell(older, newer, architecture)
        return self.head(newer.mean((2, 3)))


def plain_step(
    model: PlainSupernet,
    optimizer: torch.optim.Optimizer,
    train: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor],
    trained: Sequence[Mapping[str, Value]],
    scored: Sequence[Mapping[str, Value]],
) -> tuple[float, list[float]]:
    """Train the weights of some architectures and score others; return the mean loss, and the scores."""
    images, labels = train
    optimizer.zero_grad()
    loss = torch.zeros(())
    for architecture in trained:
        loss = loss + nn.functional.cross_entropy(model(images, architecture), labels) / len(trained)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    images, labels = valid
    with torch.no_grad():
        scores = [
            nn.functional.cross_entropy(model(images, architecture), labels).item() for architecture in scored
        ]
    return loss.item(), scores
