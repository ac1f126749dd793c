"""What changes of the default find in the truth tables, at equal cost and under seeds of their own.

python -m benchmarks.truth.truth_pilots fashion          # or osuleaf; stopped, it goes on where it was

The seeds are others than those of `worth.py`, which so remain a test of what is chosen here.
"""

import argparse
import json
import math
import random
import statistics
import time

import torch
from scipy.stats import spearmanr

from benchmarks.record import RESULTS, commit, write
from benchmarks.truth.pilots import PILOTS, Pilot
from benchmarks.truth.problems import PROBLEMS, Problem, all_architectures, key_of
from benchmarks.truth.run import Run
from benchmarks.truth.tables import Table

FIRST_SEED = 100
TRAININGS = 8
SCORED, ITEMS = 100, 500
"""Networks whose shared-weight scores are compared with the truth, and validation items of each, at most."""


def rows_of(problem: Problem, pilot: Pilot, seed: int) -> list[dict[str, object]]:
    """Search once, and return a row for each finding."""
    start = time.process_time()
    run = Run(problem, seed, problem.budget(TRAININGS))
    findings = pilot.search(run)
    seconds = time.process_time() - start
    run.supernet = findings[0].supernet  # a pilot may make its own
    sample = random.Random(0).sample(all_architectures(run.supernet.space), SCORED)
    shared = run.losses(sample, run.valid_items(ITEMS))
    return [
        {
            "method": name,
            "seed": seed,
            "found": key_of(found.architecture),
            "shared": {key_of(network): round(loss, 5) for network, loss in zip(sample, shared, strict=True)},
            "cost": found.cost,
            "cpu_seconds": round(seconds, 1),
            "commit": commit(),
        }
        for name, found in zip(pilot.names, findings, strict=True)
    ]


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


def beside(table: Table, rows: list[dict], method: str, other: str) -> dict[str, float]:
    """Return by how much more of the distance one method closes than another, paired by seeds."""
    truth = {(row["method"], row["seed"]): table.means[row["found"]] for row in rows}
    seeds = [seed for name, seed in truth if name == method and (other, seed) in truth]
    gains = [(truth[method, seed] - truth[other, seed]) / (table.best - table.median) for seed in seeds]
    error = statistics.stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
    return {
        "gain": round(statistics.fmean(gains), 3) if gains else math.nan,
        "error": round(error, 3),
        "better": sum(gain > 0.0 for gain in gains),
        "worse": sum(gain < 0.0 for gain in gains),
    }


def seconds_beside(rows: list[dict], method: str, other: str) -> dict[str, float]:
    """Return the median ratio of a method's processor time to another's, paired by seeds and by commit.

    Rows of other commits were timed in other hours. Nothing where there are no pairs.
    """
    taken = {(row["method"], row["seed"], row["commit"]): row["cpu_seconds"] for row in rows}
    ratios = [
        seconds / taken[other, seed, commit]
        for (name, seed, commit), seconds in taken.items()
        if name == method and (other, seed, commit) in taken
    ]
    return {"seconds_ratio": round(statistics.median(ratios), 3)} if ratios else {}


def main() -> None:
    names = [name for pilot in PILOTS for name in pilot.names]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("space", choices=("fashion", "osuleaf"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--methods", nargs="+", default=names, choices=names)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    problem, table = PROBLEMS[arguments.space], Table.read(arguments.space)
    problem.data()  # read once, so not in the time of the first search
    path, known = (RESULTS / f"truth_pilots_{problem.name}.{kind}" for kind in ("lines", "json"))
    kept = json.loads(known.read_text())["rows"] if known.exists() else []
    stopped = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(row["method"], row["seed"]): row for row in [*stopped, *kept]}
    wanted = [pilot for pilot in PILOTS if set(pilot.names) & set(arguments.methods)]
    with path.open("a") as lines:
        for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):  # all of one seed first: they are even
            for pilot in wanted:
                if (pilot.names[0], seed) not in done:
                    new = rows_of(problem, pilot, seed)
                    done |= {(row["method"], row["seed"]): row for row in new}
                    lines.write("".join(json.dumps(row) + "\n" for row in new))
                    lines.flush()
    rows = [row for row in done.values() if row["method"] in names]
    others = {name: pilot.beside for pilot in PILOTS for name in pilot.names}
    figures = {
        method: row
        | beside(table, rows, method, others[method])
        | seconds_beside(rows, method, others[method])
        for method, row in summary(table, rows).items()
    }
    print(f"{'':36}" + " ".join(f"{name:>8}" for name in next(iter(figures.values()))))
    for method, row in sorted(figures.items(), key=lambda item: -item[1]["mean"]):
        print(f"{method:36}" + " ".join(f"{value:8}" for value in row.values()))
    head = {
        "median": table.median,
        "best": table.best,
        "trainings": TRAININGS,
        "budget": problem.budget(TRAININGS),
    }
    print(
        write(
            f"truth_pilots_{problem.name}",
            head | {"methods": figures, "rows": [short(table, row) for row in rows]},
        )
    )


if __name__ == "__main__":
    main()
