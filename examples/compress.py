"""Halve a trained residual network for small pictures of clothes, and quarter it, in one run."""

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, random_split

import asng
from asng.data import load_fashion_mnist_subset, normalise
from asng.training import accuracy, adamw, train

LOSS = asng.supervised(cross_entropy)
RUN = Path("runs/compress")


class Block(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(self, inputs: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.short = nn.Conv2d(inputs, channels, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.short(x))


class Net(nn.Module):
    """A stem, four blocks, and a linear layer on the mean over the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.blocks = nn.Sequential(Block(16, 16), Block(16, 32, 2), Block(32, 32), Block(32, 64, 2))
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(torch.relu(self.stem(x))).mean((2, 3)))


def loaders() -> dict[str, DataLoader]:
    """Return training, validation and test data."""
    known, test = normalise(load_fashion_mnist_subset())
    known, valid = random_split(known, [0.8, 0.2], torch.Generator().manual_seed(0))
    return {
        "train": DataLoader(known, batch_size=64, shuffle=True),
        "valid": DataLoader(valid, batch_size=250),
        "test": DataLoader(test, batch_size=250),
    }


def load() -> nn.Module:
    """Return a trained network; yours would come from a file."""
    torch.manual_seed(0)
    return train(Net(), loaders()["train"], loss=LOSS, epochs=6, optimizer=adamw)


def main() -> None:
    data, model = loaders(), load()
    made = asng.compress(
        model,
        data["train"],
        data["valid"],
        test=data["test"],
        loss=LOSS,
        maximize=accuracy,
        budgets=[0.5, 0.25],  # shares of the multiply-adds
        epochs=4,
        evaluations=120,
        run_dir=RUN,
        overwrite=True,
    )
    print(made)
    print(f"wrote {made.report()}")


if __name__ == "__main__":
    main()
