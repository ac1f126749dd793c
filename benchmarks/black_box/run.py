"""`asng.minimize` beside other searches, by groups of problems; see docs/benchmark.md.

python -m benchmarks.black_box.run development --methods minimize TPE --seeds 20
python -m benchmarks.black_box.run held_out --methods minimize TPE CatCMAwM Nevergrad
python -m benchmarks.black_box.run --table            # the tables, from the rows that there are

Rows are appended to a file of JSON lines as they end; what it has already is not run again.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.black_box.methods import METHODS, best_at
from benchmarks.black_box.suite import DEVELOPMENT, HELD_OUT
from benchmarks.record import RESULTS, commit

COUNTS = [20, 50, 100, 200, 500]
HALVES = {"development": DEVELOPMENT, "held_out": HELD_OUT}


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("half", choices=HALVES)
    parser.add_argument("--groups", nargs="+")
    parser.add_argument("--problems", nargs="+")
    parser.add_argument("--methods", nargs="+", default=["minimize"], choices=METHODS)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--file", type=Path, default=RESULTS / "black_box.jsonl")
    arguments = parser.parse_args()
    done = {(row["problem"], row["method"], row["seed"], row["budget"]) for row in rows_of(arguments.file)}
    measured = commit()
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        for group, problems in HALVES[arguments.half].items():
            if arguments.groups and group not in arguments.groups:
                continue
            for name, make in problems.items():
                if arguments.problems and name not in arguments.problems:
                    continue
                for method in arguments.methods:
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
