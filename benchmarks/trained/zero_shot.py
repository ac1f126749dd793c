"""What is left of a trained network that is narrowed, before any further training?

    python -m benchmarks.trained.zero_shot [--seeds 5]

Two small networks are trained on Fashion-MNIST: a residual one, and one whose convolutions read what others
made side by side (`torch.cat`). Each is converted by `asng.nn.searchable`, and children of three quarters and
of half of every width are scored on the test pictures, with averages of their own for their batch norms and
no training: with the channels ordered by what they give to their readers, and as they were.
"""

import argparse
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy
from torch.utils.data import DataLoader

import asng
from asng.data import load_fashion_mnist_subset, normalise
from asng.nn import Supernet, searchable
from asng.training import accuracy, recalibrate, score, train
from benchmarks.record import write

LOSS = asng.supervised(cross_entropy)
SHARES = (0.75, 0.5)
EPOCHS = 8


class Residual(nn.Module):
    """Three residual blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _norm(1, 16)
        self.inner = nn.ModuleList(_norm(16, 32) for _ in range(3))
        self.outer = nn.ModuleList(_norm(32, 16) for _ in range(3))
        self.head = nn.Linear(16 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.stem(x)), 2)
        for inner, outer in zip(self.inner, self.outer, strict=True):
            x = torch.relu(x + outer(torch.relu(inner(x))))
        out: Tensor = self.head(adaptive_avg_pool2d(x, 2).flatten(1))
        return out


class SideBySide(nn.Module):
    """Each convolution reads all that those before it made."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_norm(1, 16), _norm(16, 16), _norm(32, 16), _norm(48, 16)])
        self.head = nn.Linear(64 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        made = [nn.functional.max_pool2d(torch.relu(self.layers[0](x)), 2)]
        for layer in list(self.layers)[1:]:
            made.append(torch.relu(layer(torch.cat(made, dim=1))))
        out: Tensor = self.head(adaptive_avg_pool2d(torch.cat(made, dim=1), 2).flatten(1))
        return out


def _norm(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, out, 3, padding=1, bias=False), nn.BatchNorm2d(out))


NETWORKS = {"residual": Residual, "side by side": SideBySide}


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.003)


def at(supernet: Supernet, share: float) -> dict[str, int]:
    """Return the architecture of a share of every width."""
    return {
        name: max(v.low, round(share * v.high / v.step) * v.step)  # type: ignore[union-attr]
        for name, v in supernet.space.items()
    }


def rows_of(name: str, seed: int) -> list[dict[str, Any]]:
    """Train a network, narrow it in several ways, and score what comes out."""
    torch.manual_seed(seed)
    train_set, test_set = normalise(load_fashion_mnist_subset())
    loader, test = DataLoader(train_set, batch_size=64, shuffle=True), DataLoader(test_set, batch_size=250)
    model = NETWORKS[name]()
    train(model, loader, loss=LOSS, epochs=EPOCHS, optimizer=adam)
    whole, size = score(model.eval(), test, accuracy), sum(p.numel() for p in model.parameters())
    x, rows = next(iter(loader))[0], []
    for order in ("ordered", "as it was"):
        begun = time.process_time()
        supernet = searchable(model, x, ordered=order == "ordered")
        seconds = time.process_time() - begun
        for share in SHARES:
            child = supernet.extract(at(supernet, share), example=x)
            recalibrate(child, loader, loss=LOSS)
            rows.append(
                {
                    "network": name,
                    "seed": seed,
                    "channels": order,
                    "share": share,
                    "parameters": round(sum(p.numel() for p in child.parameters()) / size, 3),
                    "whole": round(whole, 4),
                    "accuracy": round(score(child, test, accuracy), 4),
                    "seconds": round(seconds, 2),
                }
            )
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Run all seeds; rows are written as they end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for name in NETWORKS:
            rows += rows_of(name, seed)
            write("zero_shot", {"epochs": EPOCHS}, rows)


if __name__ == "__main__":
    main()
