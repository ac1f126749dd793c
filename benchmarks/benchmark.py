"""ASNG beside other methods on known problems; see docs/benchmark.md.

python benchmarks/benchmark.py                       # our methods anew; the runs of peers stay as they are
python benchmarks/benchmark.py --seeds 2 --methods TPE "TPE multivariate"
"""

import argparse
import json
import tempfile
from typing import Any

from asng.comparison import BenchmarkSettings, run_benchmark
from asng.comparison.methods import METHODS
from asng.comparison.problems import PROBLEMS
from record import RESULTS, commit, write

OURS = [name for name in METHODS if name.startswith("ASNG")]


def before(problem: str) -> dict[str, Any]:
    """Return what is in results/ of a problem."""
    path = RESULTS / f"benchmark_{problem}.json"
    return json.loads(path.read_text()) if path.exists() else {"runs": [], "by_method": {}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=PROBLEMS)
    parser.add_argument("--methods", nargs="+", default=OURS, choices=METHODS)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    for problem in arguments.problems:
        settings = BenchmarkSettings((problem,), tuple(arguments.methods), arguments.budget)
        with tempfile.TemporaryDirectory() as folder:
            file = run_benchmark(settings, folder, seeds=seeds, workers=arguments.workers) / "benchmark.jsonl"
            rows = [json.loads(line) for line in file.read_text().splitlines()]
        heads = {
            row["method"]: {
                "commit": commit(),
                "versions": row.pop("versions"),
                "machine": row.pop("machine"),
            }
            for row in rows
        }
        earlier = before(problem)
        runs = [*(row for row in earlier["runs"] if not replaced(row, rows)), *rows]
        path = write(f"benchmark_{problem}", {"by_method": earlier["by_method"] | heads}, runs)
        print(path, len(runs), flush=True)


def replaced(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether a run is measured anew, or would stand among those of its method with another budget."""
    return any(
        new["method"] == row["method"] and (new["seed"] == row["seed"] or new["budget"] != row["budget"])
        for new in rows
    )


if __name__ == "__main__":
    main()
