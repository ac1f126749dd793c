"""A step of our search over its limit: the same passes of the same children as plain modules.

OMP_NUM_THREADS=1 python benchmarks/step.py

Ours is all that a search does in a step past its warm-up, but for the progress bar: loading the batches,
asking theta, the passes, the optimiser of weights, telling theta, the log. The limit has the children at
hand, extracted before, and the batches too. A second limit ("control") shows the noise. Against the supernet
written plainly, in torch's default layout, a step is measured by `paper_step.py`; against NNI's by
`nni_step.py`.

A repeat gives all of them the same architectures, in a random order; figures are of the ratio within
repeats. Memory is the most that a process of its own held, of the limit one with the supernet in it too, out
of which it extracts one step's children at a time.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from record import write
from steps.limit import Limit
from steps.ours import Ours, drawn_from
from steps.spaces import SPACES, Setting
from steps.where import difference

TIME, MEMORY = 1.03, 1.05
"""What is aimed at, of the limit."""
SIDES = {"ours": Ours, "limit": Limit}


def seconds(side: Any, drawn: Any, steps: int) -> float:
    side.ready(drawn)
    start = time.perf_counter()
    for _ in range(steps):
        side.step()
    return time.perf_counter() - start


def spread(values: Sequence[float]) -> dict[str, Any]:
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": round(median, 4), "quartiles": [round(low, 4), round(high, 4)]}


def compare(setting: Setting, repeats: int) -> dict[str, Any]:
    sides = {"ours": Ours(setting), "limit": Limit(setting), "control": Limit(setting)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    draw = random.Random(0)
    for index in range(repeats + 1):
        drawn = drawn_from(sides["ours"].loop.supernet.space, setting, draw)
        names = list(sides)
        draw.shuffle(names)
        for name in names:
            taken = seconds(sides[name], drawn, setting.steps)
            if index:  # the first turn makes what torch makes once
                times[name].append(taken)
    row: dict[str, Any] = {"ms": {}}
    for name, some in times.items():
        row["ms"][name] = spread([1e3 * taken / setting.steps for taken in some])
    for name in ("ours", "control"):
        row[name] = spread([a / b for a, b in zip(times[name], times["limit"], strict=True)])
        row[name]["of_sums"] = round(sum(times[name]) / sum(times["limit"]), 4)
    return row


def remember(side: str, setting: Setting, turns: int) -> float:
    """Take turns of one side, and return the most memory that this process held, in MB (1e6 bytes)."""
    setting = replace(setting, steps=1)  # or the limit would hold the children of many steps
    run, draw, space = SIDES[side](setting), random.Random(0), setting.supernet().space
    for _ in range(turns):
        seconds(run, drawn_from(space, setting, draw), setting.steps)
    # Not getrusage's ru_maxrss, which a process takes over from the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024 / 1e6


def memory_of(side: str, name: str, turns: int) -> float:
    """Return what `remember` finds in a process of its own."""
    words = [sys.executable, __file__, "--remember", side, "--spaces", name, "--turns", str(turns)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--turns", type=int, default=20, help="of which the memory is measured")
    parser.add_argument("--spaces", nargs="+", default=list(SPACES), choices=list(SPACES))
    parser.add_argument("--remember", choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    if arguments.remember:
        print(remember(arguments.remember, SPACES[arguments.spaces[0]], arguments.turns))
        return
    rows = {}
    for name in arguments.spaces:
        row = compare(SPACES[name], arguments.repeats)
        row["memory_mb"] = {side: round(memory_of(side, name, arguments.turns), 1) for side in SIDES}
        row["memory_ratio"] = round(row["memory_mb"]["ours"] / row["memory_mb"]["limit"], 4)
        row["where"] = difference(SPACES[name])
        print(name, json.dumps(row), flush=True)
        rows[name] = row
    if not arguments.dry:
        aims = {"time": TIME, "memory": MEMORY}
        print(write("step", {"repeats": arguments.repeats, "aims": aims, "spaces": rows}))


if __name__ == "__main__":
    main()
