"""How far do the rounds of a final get if trainings told the truth, beside the best level of each variable?

python -m benchmarks.truth.interactions --seeds 10      # stopped, it goes on with the next problem

The network of the best level of each variable, by its mean over the whole table, is all that a search over
independent variables can find, even with perfect knowledge. The rounds of the final know only the networks
that they chose to train. They run as in a search, except that the loss of a network is the truth.
"""

import argparse
import json
import random
import statistics
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from torch.utils.data import TensorDataset

import asng
from benchmarks.record import RESULTS, write
from benchmarks.truth.problems import PROBLEMS, supernet_of
from benchmarks.truth.run import LOSS
from benchmarks.truth.tables import Table, batches

FIRST_SEED = 100
ROUND, LAST = 4, 2
"""Finalists of a round, and how many of the best ones contribute neighbours."""

LOOKS = (8, 16, 32)
"""Finalists that are trained."""


@cache
def table_of(name: str) -> Table:
    return Table.of(PROBLEMS[name])


def best_levels(name: str) -> float | None:
    """Return the truth of the network whose levels are each the best on average over all networks.

    None if it exceeds the budget: levels that are good on average need not fit together.
    """
    means, space = table_of(name).means, supernet_of(PROBLEMS[name]).space
    keys, truth = np.array([key.split() for key in means]), np.array(list(means.values()))
    best = []
    for column in keys.T[: len(space)]:
        levels = np.unique(column)
        best.append(levels[np.argmax([truth[column == level].mean() for level in levels])])
    return means.get(" ".join(best))


def rounds(name: str, seed: int, finalists: int) -> list[float]:
    """Return the truth of the finalists in their order."""
    problem, table = PROBLEMS[name], table_of(name)
    search = asng.OneShotSearch(supernet_of(problem), LOSS, cost=problem.cost, seed=seed)
    inputs, labels = (tensor[:2] for tensor in problem.data()[:2])
    loader = batches(TensorDataset(inputs, labels), 1)
    with search.stepping(loader, loader) as loop:
        loop.scorer.meter.prepare(sizes=True)
        return _rounds(loop.final.pool, table, finalists)


def _rounds(pool: Any, table: Table, finalists: int) -> list[float]:
    pool.open(moved=False)
    numbers = list(pool.first(ROUND))

    def truth(number: int) -> float:
        return table[pool.candidates[number].architecture]

    while len(numbers) < finalists:
        losses = [-truth(number) for number in numbers]
        order = np.argsort(losses)[:LAST]
        pool.neighbours([pool.candidates[numbers[k]] for k in order])
        numbers += pool.next(numbers, losses, ROUND, reliability=0.9)
    return [truth(number) for number in numbers]


def random_ones(table: Table, seed: int, n: int) -> float:
    """Return the truth of the best of n random networks."""
    return max(random.Random(seed).sample(sorted(table.means.values()), n))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    names = [name for name in PROBLEMS if name not in ("widths_free", "leaf_widths")]
    parser.add_argument("--problems", nargs="+", choices=names, default=names)
    arguments = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    path = RESULTS / "interactions.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    figures = known["problems"] if known.get("seeds") == len(seeds) else {}
    for name in arguments.problems:
        if name not in figures:
            figures[name] = figures_of(name, seeds)
            write("interactions", {"seeds": len(seeds), "problems": figures})
        print(name, figures[name])


def figures_of(name: str, seeds: Sequence[int]) -> dict[str, float | None]:
    """Return how much of the distance the best levels, the rounds and random networks close."""
    table = table_of(name)
    levels = best_levels(name)
    own = {"best_levels": None if levels is None else round(table.closed(levels), 3)}
    runs = [rounds(name, seed, max(LOOKS)) for seed in seeds]
    for looks in LOOKS:
        found = [table.closed(max(run[:looks])) for run in runs]
        own[f"rounds_{looks}"] = round(statistics.fmean(found), 3)
        own[f"rounds_{looks}_error"] = round(statistics.stdev(found) / len(found) ** 0.5, 3)
        drawn = [table.closed(random_ones(table, seed, looks)) for seed in seeds]
        own[f"random_{looks}"] = round(statistics.fmean(drawn), 3)
    return own


if __name__ == "__main__":
    main()
