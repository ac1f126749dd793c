"""`asng.minimize` beside other searches, by groups of problems; see docs/benchmark/asng-minimize.md.

python -m benchmarks.black_box.run development --methods minimize TPE --seeds 20
python -m benchmarks.black_box.run held_out --methods minimize TPE CatCMAwM Nevergrad --budget 500
python -m benchmarks.black_box.run --table            # the tables alone, from the results

Rows are kept as they end, in a file of JSON lines beside the results; existing rows are not run again. A
search that knows its budget differs between call 200 of 500 and call 200 of 200. If there are several
budgets, the table takes for each count the run with the least budget that reaches it.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.black_box.methods import METHODS, best_at
from benchmarks.black_box.suite import DEVELOPMENT, HELD_OUT
from benchmarks.black_box.table import COUNTS, renew
from benchmarks.record import RESULTS, commit, write

HALVES = {"development": DEVELOPMENT, "held_out": HELD_OUT}


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines, none if there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def gathered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the latest row for each method, problem, seed and budget, sorted independently of the runs."""
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        latest[row["half"], row["group"], row["problem"], row["method"], row["seed"], row["budget"]] = row
    order = [(h, g, p) for h in HALVES for g, problems in HALVES[h].items() for p in problems]
    return sorted(
        latest.values(),
        key=lambda row: (
            order.index((row["half"], row["group"], row["problem"])),
            row["method"],
            row["seed"],
            row["budget"],
        ),
    )


def main() -> None:
    """Run the requested searches, then write results and tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("half", choices=HALVES, nargs="?")
    parser.add_argument("--groups", nargs="+", default=list(DEVELOPMENT), choices=DEVELOPMENT)
    parser.add_argument("--methods", nargs="+", default=["minimize"], choices=METHODS)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--file", type=Path, default=RESULTS / "black_box.jsonl")
    parser.add_argument("--table", action="store_true", help="run nothing, write results and tables")
    arguments = parser.parse_args()
    if not arguments.table:
        if arguments.half is None:
            parser.error("half: expected 'development' or 'held_out', got none.")
        _run(arguments)
    write("black_box", {}, gathered(rows_of(arguments.file)))
    renew()


def _run(arguments: argparse.Namespace) -> None:
    done = {(row["problem"], row["method"], row["seed"], row["budget"]) for row in rows_of(arguments.file)}
    measured = commit()
    wanted = [
        (seed, group, name, make, method)
        for seed in range(arguments.seed, arguments.seed + arguments.seeds)
        for group in arguments.groups
        for name, make in HALVES[arguments.half][group].items()
        for method in arguments.methods
    ]
    for seed, group, name, make, method in wanted:
        if (name, method, seed, arguments.budget) in done:
            continue
        started = time.perf_counter()
        losses = METHODS[method](make(seed), seed, arguments.budget)
        row = {
            "half": arguments.half,
            "group": group,
            "problem": name,
            "method": method,
            "seed": seed,
            "budget": arguments.budget,
            "calls": len(losses),
            "best": best_at(losses, [n for n in COUNTS if n <= arguments.budget]),
            "seconds": round(time.perf_counter() - started, 3),
            "commit": measured,
        }
        with arguments.file.open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
