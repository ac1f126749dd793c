"""Search a multilayer perceptron that predicts the progression of diabetes from ten measurements."""

import random
import statistics
import sys

import torch
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.data import split_half
from asng.supernets import TabularMLP
from asng.training import recalibrate, score, train

PEERS = 4
LOSS = asng.supervised(mse_loss)


def load() -> tuple[TensorDataset, TensorDataset, float]:
    """Return training and test rows, standardised by the training rows, and the target's deviation."""
    try:
        from sklearn.datasets import load_diabetes
    except ImportError:
        sys.exit("The data come with scikit-learn: pip install scikit-learn")
    x, y = (torch.from_numpy(array).float() for array in load_diabetes(return_X_y=True))
    fitted, held = split_half(len(x), share=0.75)
    x = (x - x[fitted].mean(0)) / x[fitted].std(0)
    mean, std = y[fitted].mean(), y[fitted].std()
    target = ((y - mean) / std)[:, None]
    return TensorDataset(x[fitted], target[fitted]), TensorDataset(x[held], target[held]), float(std)


def adam(parameters):
    return torch.optim.AdamW(parameters, lr=2e-3)


def error_from_scratch(
    architecture: asng.Architecture, loader: DataLoader, test: DataLoader, seed: int
) -> float:
    """Train one architecture alone; return its root mean squared error in units of the deviation."""
    torch.manual_seed(seed)
    rows, _ = next(iter(loader))
    child = asng.nn.Supernet(TabularMLP(features=10, outputs=1)).extract(
        architecture, example=rows, fresh=True
    )
    train(child, loader, loss=LOSS, epochs=30, optimizer=adam)
    recalibrate(child, loader, loss=LOSS)  # averages for its batch norms, if it has any
    return score(child, test, LOSS) ** 0.5


def main() -> None:
    torch.manual_seed(0)
    train_set, test_set, deviation = load()
    fitted, held = split_half(train_set)
    loader = DataLoader(fitted, batch_size=16, shuffle=True, drop_last=True)
    scored = DataLoader(held, batch_size=len(held))  # few: all in each step

    supernet = asng.nn.Supernet(TabularMLP(features=10, outputs=1))
    # No objective is given: the search minimises the loss itself.
    result = asng.OneShotSearch(supernet, LOSS, optimizer=adam).fit(loader, scored, epochs=60, progress=False)
    print("found:", dict(result.architecture))

    loader = DataLoader(train_set, batch_size=16, shuffle=True, drop_last=True)
    test = DataLoader(test_set, batch_size=200)
    found = deviation * error_from_scratch(result.architecture, loader, test, seed=0)
    print(f"root mean squared error from scratch: {found:.1f}, of a target with deviation {deviation:.1f}")

    draw = random.Random(0)
    peers = [
        deviation * error_from_scratch(supernet.space.sample(draw), loader, test, seed)
        for seed in range(1, PEERS + 1)
    ]
    print(f"mean of {PEERS} random architectures, trained alike: {statistics.fmean(peers):.1f}")


if __name__ == "__main__":
    main()
