"""What judges networks best: their size, scores on shared weights, or a training alone?

python -m benchmarks.truth.judges macro60 fashion_long --seeds 2      # stopped, it goes on where it was

Each judge orders the same random networks within the budget, and Spearman's correlation with the truth says
how well. Shared weights are trained on uniform networks for one and for three trainings. Trainings alone take
a quarter of one and a whole one. All losses are those of the whole validation half. The seeds are those of no
search.
"""

import argparse
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from scipy.stats import spearmanr

import asng
from benchmarks.record import RESULTS, commit, write
from benchmarks.truth.problems import PROBLEMS, Problem, key_of, sizes_of
from benchmarks.truth.run import Run
from benchmarks.truth.tables import Table

FIRST_SEED = 200
NETWORKS = 24
SHARED, ALONE = (1.0, 3.0), (0.25, 1.0)
"""Lengths, in trainings of one network."""

LINES = RESULTS / "judges.lines"
Row = dict[str, Any]


def judgements(problem: Problem, seed: int) -> Iterator[tuple[str, list[float]]]:
    """Yield the name of each judge and its losses for the same networks."""
    run = Run(problem, seed, math.inf)
    networks = run.distinct(2 * NETWORKS)[:NETWORKS]
    table = Table.of(problem)
    yield "truth", [-table[network] for network in networks]
    yield "size", [-sizes_of(problem)[key_of(network)] for network in networks]
    for trainings in SHARED:
        yield f"shared, {trainings:g}", _shared(problem, seed, round(trainings * problem.steps), networks)
    for trainings in ALONE:
        yield f"alone, {trainings:g}", run.losses_alone(networks, round(trainings * problem.steps))


def _shared(problem: Problem, seed: int, steps: int, networks: Sequence[asng.Architecture]) -> list[float]:
    run = Run(problem, seed, math.inf)
    run.fit(steps, lam_x=1, warmup=1.0, final=0.0, cost=())
    return run.losses(networks, run.valid_items())


def row_of(problem: Problem, seed: int) -> Row:
    """Return the correlation of each judge with the truth, and with size."""
    losses = dict(judgements(problem, seed))
    truth, size = losses.pop("truth"), losses["size"]
    return {
        "problem": problem.name,
        "seed": seed,
        "networks": len(truth),
        "with_truth": {name: _correlation(values, truth) for name, values in losses.items()},
        "with_size": {name: _correlation(values, size) for name, values in losses.items() if name != "size"},
        "commit": commit(),
    }


def _correlation(values: Sequence[float], others: Sequence[float]) -> float:
    return round(float(spearmanr(values, others).statistic), 3)


def rows_known() -> dict[tuple[str, int], Row]:
    """Return the finished rows, of the JSON and of the lines."""
    path = RESULTS / "judges.json"
    rows = json.loads(path.read_text())["runs"] if path.exists() else []
    rows += [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    return {(row["problem"], row["seed"]): row for row in rows}


def means(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the means over the seeds, by problem."""
    figures: dict[str, Any] = {}
    for name in dict.fromkeys(row["problem"] for row in rows):
        own = [row for row in rows if row["problem"] == name]
        figures[name] = {"seeds": len(own)} | {
            what: {
                judge: round(statistics.fmean(row[what][judge] for row in own), 2) for judge in own[0][what]
            }
            for what in ("with_truth", "with_size")
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="+", choices=PROBLEMS, metavar="problem")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):
        for name in arguments.problems:
            if (name, seed) not in rows_known():
                line = json.dumps(row_of(PROBLEMS[name], seed))
                print(line, flush=True)
                with LINES.open("a") as file:
                    file.write(line + "\n")
    rows = [row for _, row in sorted(rows_known().items())]
    print(write("judges", {"problems": means(rows)}, rows))


if __name__ == "__main__":
    main()
