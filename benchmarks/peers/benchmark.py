"""Compare ASNG with other methods on known problems; see docs/benchmark.md.

python -m benchmarks.peers.benchmark                 # our methods anew; the runs of peers stay as they are
python -m benchmarks.peers.benchmark --resume        # go on: what this commit has measured is left alone
python -m benchmarks.peers.benchmark --seeds 2 --methods TPE "TPE multivariate"
python -m benchmarks.peers.benchmark --table         # the table of docs/benchmark.md alone, from the results
"""

import argparse
import json
import tempfile
import time
from collections.abc import Collection
from typing import Any

from asng.experiments.benchmark import METHODS, PROBLEMS, BenchmarkSettings, run_benchmark
from benchmarks.peers.benchmark_table import renew
from benchmarks.record import RESULTS, commit, write

OURS = ["minimize", *(name for name in METHODS if name.startswith("ASNG"))]
_COMMIT = commit()
"""The commit at the start; results that the run writes do not count as changes."""


def before(problem: str) -> dict[str, Any]:
    """Return the earlier results of a problem."""
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
    parser.add_argument("--resume", action="store_true", help="leave what this commit has measured")
    parser.add_argument("--table", action="store_true", help="measure nothing, write the table")
    arguments = parser.parse_args()
    if arguments.table:
        renew()
        return
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    for problem in arguments.problems:
        started, earlier = time.monotonic(), before(problem)
        if arguments.resume and all(measured(earlier, name, seeds) for name in arguments.methods):
            continue
        settings = BenchmarkSettings((problem,), tuple(arguments.methods), arguments.budget)
        with tempfile.TemporaryDirectory() as folder:
            file = run_benchmark(settings, folder, seeds=seeds, workers=arguments.workers) / "benchmark.jsonl"
            rows = [json.loads(line) for line in file.read_text().splitlines()]
        heads = {
            row["method"]: {
                "commit": _COMMIT,
                "versions": row.pop("versions"),
                "machine": row.pop("machine"),
            }
            for row in rows
        }
        runs = [*(row for row in earlier["runs"] if not replaced(row, rows)), *rows]
        path = write(f"benchmark_{problem}", {"by_method": earlier["by_method"] | heads}, runs)
        renew()
        print(f"{path.name}: {len(runs)} runs, {time.monotonic() - started:.0f} s", flush=True)


def measured(earlier: dict[str, Any], method: str, seeds: Collection[int]) -> bool:
    """Whether the results have all seeds of a method, measured at this commit."""
    have = {row["seed"] for row in earlier["runs"] if row["method"] == method}
    return earlier["by_method"].get(method, {}).get("commit") == _COMMIT and have.issuperset(seeds)


def replaced(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether a run was measured again, or has another budget than the new runs of its method."""
    return any(
        new["method"] == row["method"] and (new["seed"] == row["seed"] or new["budget"] != row["budget"])
        for new in rows
    )


if __name__ == "__main__":
    main()
