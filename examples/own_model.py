"""Search the blocks of a small convolutional network on real images, and use the child by itself."""

import torch
from torch import nn
from torch.utils.data import DataLoader

import asng
from asng.data import load_fashion_mnist_subset, normalise
from asng.training import accuracy, score


class Block(nn.Module):
    """A residual block whose operation is searched."""

    def __init__(self, channels: int, label: str) -> None:
        super().__init__()
        self.op = asng.nn.Choice(
            {
                "conv3": nn.Conv2d(channels, channels, 3, padding=1),
                "conv5": nn.Conv2d(channels, channels, 5, padding=2),
                "pointwise": nn.Conv2d(channels, channels, 1),
                "skip": nn.Identity(),
            },
            label=label,
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.norm(self.op(x)))


def main() -> None:
    torch.manual_seed(0)
    train, test = normalise(load_fashion_mnist_subset())
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10)]
    model = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), Block(8, "first"), Block(8, "second"), *head)

    search = asng.OneShotSearch(
        asng.nn.Supernet(model), loss=asng.supervised(nn.functional.cross_entropy), maximize=accuracy
    )
    result = search.fit(DataLoader(train, batch_size=64, shuffle=True), epochs=3, progress=False)
    value = score(result.child, DataLoader(test, batch_size=250), accuracy)
    print(f"{dict(result.architecture)} with inherited weights: accuracy {value:.3f}")


if __name__ == "__main__":
    main()
