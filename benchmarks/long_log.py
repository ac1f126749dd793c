"""A log of `asng.minimize` with a million lines: what it costs to write, to report, and to resume from.

Each part runs in a process of its own, so that its peak of memory is its own.

python benchmarks/long_log.py --lines 1000000
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from asng import Categorical, Integer, Space, minimize
from record import write

SEED = 0


def loss(architecture):
    """Cheap, and noisy in name only, so that every draw is a call and a line."""
    return sum(architecture[f"c{i}"] != i % 4 for i in range(8)) + abs(architecture["i"] - 11) / 10


def search(folder: Path, budget: int, *, resume: bool) -> None:
    space = Space({f"c{i}": Categorical(range(4)) for i in range(8)} | {"i": Integer(0, 20)})
    minimize(loss, space, budget, seed=SEED, noisy=True, run_dir=folder, resume=resume)


def report(folder: Path) -> None:
    from asng.report import write_report

    write_report(folder)


def part(name: str, folder: Path, budget: int) -> None:
    """Do one part, and print its seconds and its peak of memory."""
    began = time.perf_counter()
    if name == "report":
        report(folder)
    else:
        search(folder, budget, resume=name == "resume")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"part": name, "seconds": time.perf_counter() - began, "peak_mb": peak}))


def measured(name: str, folder: Path, budget: int) -> dict[str, object]:
    command = [sys.executable, __file__, "--part", name, "--folder", str(folder), "--lines", str(budget)]
    row = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--part")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.part:
        part(arguments.part, arguments.folder, arguments.lines)
        return
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        rows = [measured(name, folder, arguments.lines) for name in ("write", "report", "resume")]
        sizes = {name: (folder / name).stat().st_size / 2**20 for name in ("log.jsonl", "report.html")}
        lines = sum(1 for _ in (folder / "log.jsonl").open("rb"))
    figures = {"calls": arguments.lines, "log_lines": lines, "megabytes": sizes, "rows": rows}
    print(write("long_log", figures))


if __name__ == "__main__":
    main()
