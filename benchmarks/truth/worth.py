"""How many random networks a search is worth, by the tables of truth and at several costs.

python -m benchmarks.truth.worth fashion --costs 1 2 4 8 --seeds 20     # stopped, it goes on where it was
python -m benchmarks.truth.worth fashion --summary                      # what there is, no search
python -m benchmarks.truth.worth joint                                  # means over all tables

The unit of cost is the training of one network of the space alone. Each finished search is a line of
`results/worth_<problem>.lines`; all lines and their figures become `results/worth_<problem>.json`. Two
processes may work on one problem if their methods or costs differ.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import asng
from benchmarks.record import RESULTS, commit, write
from benchmarks.truth.figures import figures_of, free_figures, joint
from benchmarks.truth.problems import PROBLEMS, Problem, key_of
from benchmarks.truth.run import Found, Run
from benchmarks.truth.searches import searches_of
from benchmarks.truth.tables import Table

COSTS = (1.0, 2.0, 4.0, 8.0)
Row = dict[str, Any]


class Rows:
    """The finished searches, in a file to which each adds a line as it ends.

    Args:
        lines: The file. An incomplete line does not count.
        known: JSON written earlier, whose `runs` count too if the lines do not have them.
    """

    def __init__(self, lines: Path, known: Path) -> None:
        self.lines = lines
        self._rows: dict[tuple[str, float, int], Row] = {}
        self._take(json.loads(known.read_text())["runs"] if known.exists() else [])
        text = lines.read_text() if lines.exists() else ""
        self._end = "" if text.endswith("\n") or not text else "\n"  # of a line cut short
        for line in text.splitlines():
            try:
                self._take([json.loads(line)])
            except ValueError:
                continue

    def _take(self, rows: Iterable[Row]) -> None:
        self._rows |= {(row["method"], row["cost"], row["seed"]): row for row in rows}

    def __iter__(self):
        return iter(self._rows.values())

    def __contains__(self, job: tuple[str, float, int]) -> bool:
        return job in self._rows

    def add(self, row: Row) -> None:
        self._take([row])
        with self.lines.open("a") as file:
            file.write(f"{self._end}{json.dumps(row)}\n")
        self._end = ""

    def drop(self, methods: Sequence[str], costs: Sequence[float]) -> None:
        """Forget the rows of these methods at these costs."""
        self._rows = {
            job: row for job, row in self._rows.items() if job[0] not in methods or job[1] not in costs
        }
        self.lines.write_text("".join(json.dumps(row) + "\n" for row in self))
        self._end = ""


def row_of(problem: Problem, method: str, search: Callable[[Run], Found], cost: float, seed: int) -> Row:
    """Search once; the truth is looked up afterwards, so that a table may grow.

    If no likely architecture is within the budget, `found` is None.
    """
    start = time.process_time()
    run = Run(problem, seed, problem.budget(cost))
    try:
        found = key_of(search(run).architecture)
    except asng.RunError:
        if problem.limit is None:
            raise
        found = None
    return {
        "method": method,
        "cost": cost,
        "seed": seed,
        "found": found,
        "units": round(run.spent, 1),
        "cpu_seconds": round(time.process_time() - start, 1),
        "commit": commit(),
    }


def summarise(problem: Problem, rows: Rows) -> Path:
    """Print the figures and write them, with all rows."""
    table = Table.of(problem)
    costs, free = figures_of(table, list(rows)), free_figures(problem, table)
    head = {
        "networks": len(table.scores),
        "median": round(table.median, 4),
        "best": round(table.best, 4),
        "training_steps": problem.steps,
        "limit": problem.limit,
        "free": free,
        "costs": costs,
    }
    for cost, methods in costs.items():
        print(f"\n{problem.name} at a cost of {cost}: {problem.budget(float(cost)):.0f} forward passes")
        print_table(methods, ("rank", "worth", "worth_over_cost", "closed"), PLAIN)
    print(f"\n{problem.name}, free")
    print_table(free, ("rank", "worth", "closed"), ("worst_closed", "worst_rank"))
    runs = sorted(rows, key=lambda row: (row["cost"], row["method"], row["seed"]))
    return write(f"worth_{problem.name}", head, runs)


PLAIN = ("worst_closed", "worst_rank", "random_ahead", "nothing_found", "units", "cpu_seconds", "seeds")


def print_table(methods: Mapping[str, Mapping[str, Any]], means: Sequence[str], plain: Sequence[str]) -> None:
    """Print a line for each method, those that close most first, with means and standard errors."""
    print(f"{'':40}" + "".join(f"{name:>18}" for name in means) + "".join(f"{name:>14}" for name in plain))
    for method, row in sorted(methods.items(), key=lambda item: -item[1]["closed"]):
        cells = [f"{_said(row.get(name)):>9} +- {_said(row.get(f'{name}_error')):5}" for name in means]
        cells += [f"{_said(row.get(name)):>14}" for name in plain]
        print(f"{method:40}" + "".join(cells))


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return "-" if value is None else str(value)


def with_worths(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the rows of a table, with the worth by problem beside the other figures."""
    return {method: {**row, **row["worths"]} for method, row in methods.items()}


def summarise_joint() -> Path:
    """Print and write the means over all tables."""
    paths = {name: RESULTS / f"worth_{name}.json" for name in PROBLEMS}
    figures = joint({name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()})
    for cost, methods in figures["costs"].items():
        print(f"\nmean over the tables at a cost of {cost}, then the worth by problem")
        print_table(
            with_worths(methods),
            ("worth", "worth_over_cost", "closed"),
            ("tables", "problems", "random_ahead", *PROBLEMS),
        )
    print("\nmean over the tables, free, then the worth by problem")
    print_table(with_worths(figures["free"]), ("worth", "closed"), ("tables", "problems", *PROBLEMS))
    return write("worth", figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem", choices=[*PROBLEMS, "joint"])
    parser.add_argument("--costs", nargs="+", type=float, default=COSTS, help="in trainings")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--methods", nargs="+", help="default: all that can search the space")
    parser.add_argument("--summary", action="store_true", help="search nothing")
    parser.add_argument(
        "--anew", action="store_true", help="forget rows of these methods and costs; alone on the problem"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.problem == "joint":
        print(summarise_joint())
        return
    problem = PROBLEMS[arguments.problem]
    searches = searches_of(problem)
    methods = list(searches) if arguments.methods is None else arguments.methods
    if unknown := [method for method in methods if method not in searches]:
        parser.error(f"--methods: expected some of {', '.join(searches)}, got {', '.join(unknown)}.")
    RESULTS.mkdir(exist_ok=True)
    rows = Rows(*(RESULTS / f"worth_{problem.name}.{kind}" for kind in ("lines", "json")))
    if arguments.anew:
        rows.drop(methods, arguments.costs)
        summarise(problem, rows)
    Table.of(problem), problem.data()  # read once, so not in the time of the first search
    for seed in range(0 if arguments.summary else arguments.seeds):
        for cost in arguments.costs:  # all of one seed first: if stopped early, all costs have the same seeds
            for method in methods:
                if (method, cost, seed) not in rows:
                    rows.add(row_of(problem, method, searches[method], cost, seed))
    print(summarise(problem, rows))


if __name__ == "__main__":
    main()
