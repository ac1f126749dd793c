"""A step of our search over its limit: the same passes of the same children as plain modules.

OMP_NUM_THREADS=1 python -m benchmarks.step.step

Ours is all that a search without a run folder does in a step after its warm-up, without the progress bar:
loading batches, asking theta, the passes, the optimiser of weights, telling theta. The limit has its children
extracted and its batches loaded beforehand. A second limit ("control") shows the noise. `paper_step.py`
compares a step with a plainly written supernet in torch's default layout, and `nni_step.py` with NNI's.

A repeat gives all of them the same architectures, in a random order; figures are ratios within repeats. Times
are CPU times with one thread, since the wall clock includes other work of the machine. Memory is the peak of
a process of its own. The process of the limit also holds the supernet, from which it extracts the children of
one step at a time. "imported" is the memory before either was made.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

from benchmarks.measuring import peak_bytes, spread
from benchmarks.record import write
from benchmarks.step.limit import Limit
from benchmarks.step.ours import Ours
from benchmarks.step.spaces import SPACES, Setting
from benchmarks.step.where import difference

TIME, MEMORY, THETA = 1.03, 1.05, 0.01
"""Targets: time and memory as multiples of the limit's, and the share of our step for theta."""
SIDES = {"ours": Ours, "limit": Limit}


def seconds(side: Any, drawn: Any, steps: int) -> float:
    side.ready(drawn)
    start = time.process_time()
    for _ in range(steps):
        side.step()
    return time.process_time() - start


def compare(setting: Setting, repeats: int) -> dict[str, Any]:
    ours = Ours(setting)
    sides = {"ours": ours, "limit": Limit(setting), "control": Limit(setting)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    space, draw = ours.supernet.space, random.Random(0)
    for index in range(repeats + 1):
        drawn = setting.draw(space, draw)
        names = list(sides)
        draw.shuffle(names)
        for name in names:
            taken = seconds(sides[name], drawn, setting.steps)
            if index:  # the first turn includes one-time setup of torch
                times[name].append(taken)
            else:
                ours.of_theta = 0.0
    row: dict[str, Any] = {"ms": {}}
    for name, some in times.items():
        row["ms"][name] = spread([1e3 * taken / setting.steps for taken in some])
    for name in ("ours", "control"):
        row[name] = spread([a / b for a, b in zip(times[name], times["limit"], strict=True)])
        row[name]["of_sums"] = round(sum(times[name]) / sum(times["limit"]), 4)
    row["ask_and_tell"] = round(ours.of_theta / sum(times["ours"]), 4)  # of our step
    return row


def remember(side: str, setting: Setting, turns: int) -> dict[str, float]:
    """Take turns of one side; return the peak memory of this process before and after, in MB (1e6 bytes)."""
    setting = replace(setting, steps=1)  # otherwise the limit would hold the children of many steps
    before = peak_bytes()
    run, draw = SIDES[side](setting), random.Random(0)
    for _ in range(turns):
        seconds(run, setting.draw(run.supernet.space, draw), setting.steps)
    return {"imported": before / 1e6, "peak": peak_bytes() / 1e6}


def memory_of(name: str, turns: int) -> dict[str, Any]:
    """Return the result of `remember` for each side, in a process of its own."""
    found = {}
    for side in SIDES:
        words = [
            sys.executable,
            "-m",
            "benchmarks.step.step",
            "--remember",
            side,
            "--spaces",
            name,
            "--turns",
            str(turns),
        ]
        run = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        found[side] = json.loads(run.stdout)
    ours, limit = found["ours"], found["limit"]
    return {
        "mb": {side: {what: round(mb, 1) for what, mb in row.items()} for side, row in found.items()},
        "ratio": round(ours["peak"] / limit["peak"], 4),
        "ratio_beyond_imports": round(
            (ours["peak"] - ours["imported"]) / (limit["peak"] - limit["imported"]), 4
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="2 or more (default: 9)")
    parser.add_argument("--turns", type=int, default=8, help="of the processes whose memory is measured")
    parser.add_argument(
        "--spaces",
        nargs="+",
        default=list(SPACES),
        choices=list(SPACES),
        help="some only, of which nothing is written",
    )
    parser.add_argument("--remember", choices=list(SIDES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.remember:
        print(json.dumps(remember(arguments.remember, SPACES[arguments.spaces[0]], arguments.turns)))
        return
    rows = {}
    for name in arguments.spaces:
        row = compare(SPACES[name], arguments.repeats)
        row["memory"] = memory_of(name, arguments.turns)
        row["where"] = difference(SPACES[name])
        print(name, json.dumps(row), flush=True)
        rows[name] = row
    if set(rows) == set(SPACES):
        aims = {"time": TIME, "memory": MEMORY, "ask_and_tell": THETA}
        print(write("step", {"repeats": arguments.repeats, "aims": aims, "spaces": rows}))


if __name__ == "__main__":
    main()
