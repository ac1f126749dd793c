"""Search a residual network for small pictures of clothes, and compare it with random ones of its space."""

import random
import statistics

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

import asng
from asng.data import load_fashion_mnist_subset, normalise
from asng.supernets import ResidualCNN
from asng.training import accuracy, recalibrate, score, train

PEERS = 3
LOSS = asng.supervised(cross_entropy)


def make_supernet() -> asng.nn.Supernet:
    # Two narrow stages, which both halve the picture, so that one core takes half a minute.
    widths = [asng.Integer(8, 24, step=8), asng.Integer(16, 48, step=16)]
    model = ResidualCNN(in_channels=1, outputs=10, widths=widths, strides=[2, 2])
    return asng.nn.Supernet(model).to(memory_format=torch.channels_last)


def accuracy_from_scratch(
    architecture: asng.Architecture, loader: DataLoader, test: DataLoader, seed: int
) -> float:
    """Train one architecture alone, and score it on test pictures."""
    torch.manual_seed(seed)
    images, _ = next(iter(loader))
    child = make_supernet().extract(architecture, example=images, fresh=True)
    train(child, loader, loss=LOSS, epochs=2)
    recalibrate(child, loader, loss=LOSS)  # averages for its batch norms
    return score(child, test, accuracy)


def main() -> None:
    torch.manual_seed(0)
    train_set, test_set = normalise(load_fashion_mnist_subset())
    loader = DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True)
    test = DataLoader(test_set, batch_size=250)

    supernet = make_supernet()
    search = asng.OneShotSearch(supernet, LOSS, maximize=accuracy)
    result = search.fit(loader, epochs=4, progress=False)  # a random half of the data scores architectures
    print("found:", dict(result.architecture))
    print(f"accuracy from scratch: {accuracy_from_scratch(result.architecture, loader, test, seed=0):.3f}")

    draw = random.Random(0)
    peers = [
        accuracy_from_scratch(supernet.space.sample(draw), loader, test, seed) for seed in range(1, PEERS + 1)
    ]
    print(f"mean of {PEERS} random architectures, trained alike: {statistics.fmean(peers):.3f}")


if __name__ == "__main__":
    main()
