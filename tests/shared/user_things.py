"""What a user may bring: models and loaders, named by their import paths in this module."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.nn import Choice


class Net(nn.Module):
    """A line with a choice behind it."""

    def __init__(self, width: int = 4):
        super().__init__()
        ops = {"deep": nn.Linear(width, width), "relu": nn.ReLU(), "skip": nn.Identity()}
        self.layers = nn.Sequential(nn.Linear(2, width), Choice(ops, label="op"), nn.Linear(width, 2))

    def forward(self, x):
        return self.layers(x)


class WideNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = asng.nn.BatchNorm1d(8)
        self.wide = asng.nn.Linear(8, asng.Integer(2, 8, label="width"), bias=False)

    def forward(self, x):
        return self.norm(self.wide(x))[:, :2]


class Volumes(nn.Module):
    """Weights of two to five dimensions."""

    def __init__(self):
        super().__init__()
        self.volume, self.line = nn.Conv3d(1, 2, 1), nn.Conv1d(2, 2, 1)
        self.image = Choice({"conv": nn.Conv2d(2, 2, 1), "skip": nn.Identity()}, label="op")
        self.last = nn.Linear(2, 2)

    def forward(self, x):
        x = self.volume(x[:, None, None, None]).flatten(2)
        return self.last(self.image(self.line(x)[..., None]).mean(dim=(2, 3)))


class Ragged(nn.Module):
    """Takes a list of sequences of unequal lengths."""

    def __init__(self):
        super().__init__()
        self.op = Choice({"tanh": nn.Tanh(), "relu": nn.ReLU()}, label="op")
        self.last = nn.Linear(2, 2)

    def forward(self, sequences):
        return self.last(torch.stack([self.op(sequence).mean(dim=0) for sequence in sequences]))


class Lazy(nn.Module):
    """Has a layer whose size is not yet known."""

    def __init__(self):
        super().__init__()
        self.op = Choice({"tanh": nn.Tanh(), "relu": nn.ReLU()}, label="op")
        self.layer = nn.LazyLinear(2)

    def forward(self, x):
        return self.layer(self.op(x))


class Weightless(nn.Module):
    """Has nothing to train."""

    def __init__(self):
        super().__init__()
        self.op = Choice({"tanh": nn.Tanh(), "relu": nn.ReLU()}, label="op")


class Plain(nn.Sequential):
    """A network with nothing to search in it."""

    def __init__(self, width: int = 3):
        super().__init__(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2))


def plain(width: int = 3):
    return Plain(width)


def wide():
    return nn.Linear(7, 2)


def number():
    return 3


def points(n=32, seed=0):
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(x, (x.sum(dim=1) > 0).long())


def loaders(batch_size: int = 8):
    return DataLoader(points(), batch_size, shuffle=True), DataLoader(points(16, 1), 16)


def with_generator():
    """Loaders that shuffle by a generator of their own."""
    data = points()
    train, valid = (
        DataLoader(data, 8, shuffle=True, generator=torch.Generator().manual_seed(n)) for n in (1, 2)
    )
    return train, valid, DataLoader(points(16, 1), 16)


def ragged():
    items = [(x.repeat(1 + i % 3, 1), label) for i, (x, label) in enumerate(points())]
    return tuple(DataLoader(items, 8, collate_fn=_listed) for _ in range(2))


def _listed(items):
    return [x for x, _ in items], torch.stack([label for _, label in items])


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Options:
    rate: float = 0.5
    steps: int = 3


class Odd:
    """A signature with arguments of many kinds."""

    def __init__(
        self,
        bare,
        path: Path = Path("here"),
        colour: Colour = Colour.RED,
        options: Options = Options(),  # noqa: B008
        pair: tuple[int, int] = (1, 2),
        items: dict[str, int] | None = None,
        inner: type[nn.Module] = nn.ReLU,
        tensor: torch.Tensor = torch.zeros(2),  # noqa: B008
        module=nn.ReLU(),  # noqa: B008
        function=torch.relu,
        typed: Callable[[torch.Tensor], torch.Tensor] = torch.tanh,
    ):
        self.got = {k: v for k, v in locals().items() if k != "self"}
