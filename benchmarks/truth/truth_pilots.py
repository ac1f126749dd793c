"""What changes of the default find in the truth tables, at equal cost and under seeds of their own.

python -m benchmarks.truth.truth_pilots fashion          # or osuleaf; stopped, it goes on where it was

The seeds are others than those of `truth_search.py`, which so remain a test of what is chosen here.
"""

import argparse
import json
import math
import random
import statistics
import time

import torch

from benchmarks.record import RESULTS, commit, write
from benchmarks.truth.pilots import PILOTS, Pilot
from benchmarks.truth.run import Run
from benchmarks.truth.spaces import PROBLEMS, Problem
from benchmarks.truth.tables import Table, all_architectures, key_of
from benchmarks.truth.truth_search import ITEMS, SCORED, TRAININGS, budget_of, short, summary

FIRST_SEED = 100


def rows_of(problem: Problem, pilot: Pilot, seed: int) -> list[dict[str, object]]:
    """Search once, and return a row for each finding."""
    start = time.process_time()
    run = Run(problem, seed, budget_of(problem))
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
    parser.add_argument("space", choices=PROBLEMS)
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
    head = {"median": table.median, "best": table.best, "trainings": TRAININGS, "budget": budget_of(problem)}
    print(
        write(
            f"truth_pilots_{problem.name}",
            head | {"methods": figures, "rows": [short(table, row) for row in rows]},
        )
    )


if __name__ == "__main__":
    main()
