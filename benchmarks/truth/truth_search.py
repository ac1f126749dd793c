"""What searches find in the truth tables of `truth_table.py`, at equal cost.

python -m benchmarks.truth.truth_search fashion          # or osuleaf; stopped, it goes on where it was

A search costs as much as training eight networks of the space alone. What it found counts by the truth.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable

import torch
from scipy.stats import spearmanr

from benchmarks.record import RESULTS, commit, write
from benchmarks.truth.run import TRAINING_PASS, Found, Run
from benchmarks.truth.searches import SEARCHES
from benchmarks.truth.spaces import PROBLEMS, Problem
from benchmarks.truth.tables import Table, all_architectures, key_of

TRAININGS = 8
SCORED, ITEMS = 100, 500
"""Networks whose shared-weight scores are compared with the truth, and validation items of each, at most."""


def budget_of(problem: Problem) -> float:
    steps = problem.epochs * (len(problem.data()[0]) // problem.batch)
    return float(TRAININGS * TRAINING_PASS * steps)


def row_of(problem: Problem, method: str, seed: int, search: Callable[[Run], Found]) -> dict[str, object]:
    """Search once; the truth is looked up afterwards, so that a table may grow."""
    start = time.process_time()
    run = Run(problem, seed, budget_of(problem))
    found = search(run)
    seconds = time.process_time() - start
    sample = random.Random(0).sample(all_architectures(run.supernet.space), SCORED)
    shared = run.losses(sample, run.valid_items(ITEMS))
    return {
        "method": method,
        "seed": seed,
        "found": key_of(found.architecture),
        "shared": {key_of(network): round(loss, 5) for network, loss in zip(sample, shared, strict=True)},
        "cost": found.cost,
        "cpu_seconds": round(seconds, 1),
        "commit": commit(),
    }


def correlation(table: Table, row: dict) -> float:
    """Return Spearman's correlation of a row's shared-weight scores with the truth, kept or computed."""
    if "shared" not in row:
        return row["spearman"]
    shared = row["shared"]
    return float(
        spearmanr([-loss for loss in shared.values()], [table.means[key] for key in shared]).statistic
    )


def short(table: Table, row: dict) -> dict[str, object]:
    """Return a row with the correlation in the place of the hundred scores."""
    rest = {key: value for key, value in row.items() if key != "shared"}
    return rest | {
        "truth": table.means[row["found"]],
        "spearman": round(correlation(table, row), 3),
    }


def summary(table: Table, rows: list[dict]) -> dict[str, dict[str, float]]:
    """Return the figures of every method over its seeds."""
    figures = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        truth = [table.means[row["found"]] for row in own]
        figures[method] = {
            "seeds": len(own),
            "mean": round(statistics.fmean(truth), 4),
            "sd": round(statistics.stdev(truth), 4) if len(truth) > 1 else 0.0,
            "worst": round(min(truth), 4),
            "rank": round(statistics.fmean(table.rank(value) for value in truth), 1),
            "closed": round(table.closed(statistics.fmean(truth)), 3),
            "spearman": round(statistics.fmean(correlation(table, row) for row in own), 3),
            "cost": round(max(row["cost"] for row in own)),
            "cpu_seconds": round(statistics.fmean(row["cpu_seconds"] for row in own), 1),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("space", choices=PROBLEMS)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--methods", nargs="+", default=list(SEARCHES), choices=SEARCHES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    problem, table = PROBLEMS[arguments.space], Table.read(arguments.space)
    path = RESULTS / f"truth_search_{problem.name}.lines"
    known = RESULTS / f"truth_search_{problem.name}.json"
    rows = json.loads(known.read_text())["rows"] if known.exists() else []
    done = {(row["method"], row["seed"]) for row in rows}
    stopped = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    rows += [row for row in stopped if (row["method"], row["seed"]) not in done]
    done = {(row["method"], row["seed"]) for row in rows}
    with path.open("a") as lines:
        for seed in range(arguments.seeds):  # all methods of one seed first: stopped early, they are even
            for method in arguments.methods:
                if (method, seed) not in done:
                    rows.append(row_of(problem, method, seed, SEARCHES[method]))
                    lines.write(json.dumps(rows[-1]) + "\n")
                    lines.flush()
    rows = [row for row in rows if row["method"] in SEARCHES]
    figures = summary(table, rows)
    print(f"{'':32}" + " ".join(f"{name:>8}" for name in next(iter(figures.values()))))
    for method, row in sorted(figures.items(), key=lambda item: -item[1]["mean"]):
        print(f"{method:32}" + " ".join(f"{value:8}" for value in row.values()))
    head = {"median": table.median, "best": table.best, "trainings": TRAININGS, "budget": budget_of(problem)}
    print(
        write(
            f"truth_search_{problem.name}",
            head | {"methods": figures, "rows": [short(table, row) for row in rows]},
        )
    )


if __name__ == "__main__":
    main()
