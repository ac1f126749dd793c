"""Do the ready spaces pay? For each, over several seeds: the found network against random ones of its space.

All are trained from scratch in the same way, on all training data, and scored on test data that no search
saw.

python -m benchmarks.paper.ready_spaces images          # or time_series, regression
"""

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate

import asng
from asng.data import load_fashion_mnist_subset, normalise, normalise_series, pad_series, read_ts, split_half
from asng.supernets import ResidualCNN, TabularMLP, TransformerEncoder
from asng.training import accuracy, count_parameters, recalibrate, score, sgd, train
from benchmarks.paper.gains import gains
from benchmarks.record import write


@dataclass(frozen=True)
class Problem:
    """A space, its data, and how long to search and to train."""

    model: Callable[[], nn.Module]
    train: Dataset[Any]
    test: Dataset[Any]
    loss: Callable[..., torch.Tensor]
    score: Callable[..., Any]
    higher_is_better: bool
    select_by_loss: bool
    batch: int
    search_epochs: int
    train_epochs: int
    optimizer: Callable[..., torch.optim.Optimizer]
    collate: Callable[..., Any] = default_collate
    score_on: int | None = None
    """How many validation items score architectures at a step. Default: all, if there are few."""
    figure: Callable[[float], float] = float
    """Converts the mean score to the reported figure."""


def images(seed: int) -> Problem:
    train_set, test_set = normalise(load_fashion_mnist_subset())
    # Small enough for one core: narrow, and both stages halve the picture.
    widths = (asng.Integer(8, 24, step=8), asng.Integer(16, 48, step=16))
    return Problem(
        model=lambda: ResidualCNN(in_channels=1, outputs=10, widths=widths, strides=(2, 2)),
        train=train_set,
        test=test_set,
        loss=asng.supervised(cross_entropy),
        score=accuracy,
        higher_is_better=True,
        select_by_loss=False,
        batch=32,
        score_on=32,
        search_epochs=6,
        train_epochs=2,
        optimizer=sgd,
    )


def time_series(seed: int) -> Problem:
    spec = find_spec("aeon")
    if spec is None or spec.origin is None:
        raise SystemExit("The data come with aeon: pip install --no-deps aeon")
    folder = Path(spec.origin).parent / "datasets" / "data" / "JapaneseVowels"
    files = [folder / f"JapaneseVowels_{part}.ts" for part in ("TRAIN", "TEST")]
    train_set, test_set = normalise_series(*map(read_ts, files))
    return Problem(
        model=lambda: TransformerEncoder(features=train_set.channels, outputs=len(train_set.classes)),
        train=train_set,
        test=test_set,
        loss=series_loss,
        score=series_accuracy,
        higher_is_better=True,
        select_by_loss=True,  # the accuracy of most is near 1, so it would tie
        batch=16,
        search_epochs=40,
        train_epochs=15,
        optimizer=adam,
        collate=pad_series,
    )


def series_loss(forward, batch):
    series, lengths, labels = batch
    return cross_entropy(forward(series, lengths), labels)


def series_accuracy(forward, batch):
    series, lengths, labels = batch
    return accuracy(lambda inputs: forward(*inputs), ((series, lengths), labels))


def regression(seed: int) -> Problem:
    x, y = (torch.from_numpy(array).float() for array in load_diabetes(return_X_y=True))
    fitted, held = split_half(len(x), share=0.75, seed=seed)
    x = (x - x[fitted].mean(0)) / x[fitted].std(0)
    deviation = float(y[fitted].std())
    target = ((y - y[fitted].mean()) / deviation)[:, None]
    loss = asng.supervised(mse_loss)
    return Problem(
        model=lambda: TabularMLP(features=x.shape[1], outputs=1),
        train=TensorDataset(x[fitted], target[fitted]),
        test=TensorDataset(x[held], target[held]),
        loss=loss,
        score=loss,
        higher_is_better=False,
        select_by_loss=True,
        batch=16,
        search_epochs=60,
        train_epochs=30,
        optimizer=adam,
        figure=lambda squared: deviation * math.sqrt(squared),
    )


def adam(parameters):
    return torch.optim.AdamW(parameters, lr=2e-3)


PROBLEMS = {"images": images, "time_series": time_series, "regression": regression}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("space", choices=PROBLEMS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peers", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for seed in range(arguments.seeds):
        rows.append(row_of(PROBLEMS[arguments.space](seed), seed, arguments.peers))
        print(json.dumps(rows[-1]), flush=True)
    problem = PROBLEMS[arguments.space](0)
    figures = {
        "settings": {
            name: getattr(problem, name)
            for name in (
                "batch",
                "score_on",
                "search_epochs",
                "train_epochs",
                "select_by_loss",
                "higher_is_better",
            )
        },
        "seeds": rows,
        **gains(rows, higher_is_better=problem.higher_is_better),
        "cpu_seconds": round(time.process_time(), 1),
    }
    print(write(f"ready_spaces_{arguments.space}", figures))


def row_of(problem: Problem, seed: int, peers: int) -> dict[str, Any]:
    """Search, train the found network and its peers, and compare them."""
    torch.manual_seed(seed)
    search = asng.OneShotSearch(
        supernet_of(problem),
        problem.loss,
        maximize=None if problem.select_by_loss else problem.score,
        optimizer=problem.optimizer,
        seed=seed,
    )
    fitted, held = split_half(problem.train, seed=seed)
    scored = DataLoader(
        held, problem.score_on or len(held), shuffle=True, drop_last=True, collate_fn=problem.collate
    )
    clock = time.process_time()
    result = search.fit(loader_of(problem, fitted), scored, epochs=problem.search_epochs, progress=False)
    searched = time.process_time() - clock
    draw = random.Random(seed)
    others = [result.supernet.space.sample(draw) for _ in range(peers)]
    trained = [
        from_scratch(problem, a, 1000 * seed + i) for i, a in enumerate([result.architecture, *others])
    ]
    (found, parameters, seconds), *random_ones = trained
    scores = [other for other, *_ in random_ones]
    sign = 1 if problem.higher_is_better else -1
    return {
        "seed": seed,
        "steps": result.steps,
        "found": round(found, 4),
        "random": [round(other, 4) for other in scores],
        "gain": round(sign * (found - statistics.fmean(scores)), 4),
        "rank": 1 + sum(sign * other > sign * found for other in scores),
        "parameters": parameters,
        "random_parameters": [count for _, count, _ in random_ones],
        "search_seconds": round(searched, 2),
        "train_seconds": round(seconds, 2),
        "architecture": dict(result.architecture),
    }


def supernet_of(problem: Problem) -> asng.nn.Supernet:
    return asng.nn.Supernet(problem.model()).to(memory_format=torch.channels_last)


def loader_of(problem: Problem, data: Dataset[Any]) -> DataLoader[Any]:
    return DataLoader(data, problem.batch, shuffle=True, drop_last=True, collate_fn=problem.collate)


def from_scratch(problem: Problem, architecture: asng.Architecture, seed: int) -> tuple[float, int, float]:
    """Train one architecture alone; return its figure on the test data, its parameters, and the seconds."""
    torch.manual_seed(seed)
    loader = loader_of(problem, problem.train)
    *inputs, _ = next(iter(loader))
    child = supernet_of(problem).extract(architecture, example=tuple(inputs), fresh=True)
    clock = time.process_time()
    train(child, loader, loss=problem.loss, epochs=problem.train_epochs, optimizer=problem.optimizer)
    recalibrate(child, loader, loss=problem.loss)
    seconds = time.process_time() - clock
    test = DataLoader(problem.test, 100, collate_fn=problem.collate)
    return problem.figure(score(child, test, problem.score)), count_parameters(child), seconds


if __name__ == "__main__":
    main()
