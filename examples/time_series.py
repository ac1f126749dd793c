"""Search a Transformer encoder that recognises nine speakers by their vowels, series of 7 to 29 steps.

python examples/time_series.py [TRAIN.ts TEST.ts]    # other files of the UCR and UEA archives
"""

import random
import statistics
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

import asng
from asng.data import TimeSeries, normalise_series, pad_series, read_ts, split_half
from asng.supernets import TransformerEncoder
from asng.training import score, train

PEERS = 3


def japanese_vowels(part: str) -> Path:
    aeon = find_spec("aeon")  # located, not imported: only its data files are needed
    if aeon is None or aeon.origin is None:
        sys.exit("The data come with aeon: pip install --no-deps aeon. Or name two .ts files.")
    return Path(aeon.origin).parent / "datasets" / "data" / "JapaneseVowels" / f"JapaneseVowels_{part}.ts"


def loss(forward, batch):
    series, lengths, labels = batch
    return cross_entropy(forward(series, lengths), labels)


def accuracy(forward, batch):
    series, lengths, labels = batch
    return (forward(series, lengths).argmax(dim=1) == labels).float().mean()


def adam(parameters):
    return torch.optim.AdamW(parameters, lr=2e-3)


def make_supernet(data: TimeSeries) -> asng.nn.Supernet:
    return asng.nn.Supernet(TransformerEncoder(features=data.channels, outputs=len(data.classes)))


def accuracy_from_scratch(
    architecture: asng.Architecture, loader: DataLoader, test: DataLoader, seed: int
) -> float:
    """Train one architecture alone, and score it on test series."""
    torch.manual_seed(seed)
    series, lengths, _ = next(iter(loader))
    child = make_supernet(loader.dataset).extract(architecture, example=(series, lengths), fresh=True)
    return score(train(child, loader, loss=loss, epochs=10, optimizer=adam), test, accuracy)


def main() -> None:
    torch.manual_seed(0)
    paths = sys.argv[1:3] if len(sys.argv) > 2 else [japanese_vowels("TRAIN"), japanese_vowels("TEST")]
    train_set, test_set = normalise_series(*map(read_ts, paths))
    fitted, held = split_half(train_set, labels=train_set.labels)
    loader = DataLoader(fitted, batch_size=16, shuffle=True, collate_fn=pad_series)
    scored = DataLoader(held, batch_size=len(held), collate_fn=pad_series)  # few: all in each step

    supernet = make_supernet(train_set)
    # The loss is the objective too: most accuracies are near 1, so architectures would tie.
    result = asng.OneShotSearch(supernet, loss, optimizer=adam).fit(loader, scored, epochs=30, progress=False)
    print("found:", dict(result.architecture))

    loader = DataLoader(train_set, batch_size=16, shuffle=True, collate_fn=pad_series)
    test = DataLoader(test_set, batch_size=100, collate_fn=pad_series)
    print(f"accuracy from scratch: {accuracy_from_scratch(result.architecture, loader, test, seed=0):.3f}")

    draw = random.Random(0)
    peers = [
        accuracy_from_scratch(supernet.space.sample(draw), loader, test, seed) for seed in range(1, PEERS + 1)
    ]
    print(f"mean of {PEERS} random architectures, trained alike: {statistics.fmean(peers):.3f}")


if __name__ == "__main__":
    main()
