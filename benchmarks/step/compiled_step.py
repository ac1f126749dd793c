"""A step of the paper's cells with every operation compiled by torch, over the same step without compiling.

OMP_NUM_THREADS=1 python -m benchmarks.step.compiled_step

Operations are compiled by `asng.nn.compile_operations`. The first step, which compiles, is timed by itself.
Its losses are noted too: if compiled, they differ in their last digits, and so from those of the extracted
child.
"""

import argparse
import json
import random
import time
from typing import Any

import torch

from asng.nn import compile_operations
from benchmarks.measuring import spread
from benchmarks.record import write
from benchmarks.step.ours import Ours
from benchmarks.step.spaces import SPACES, Setting


def compare(setting: Setting, repeats: int) -> dict[str, Any]:
    """Return the seconds of the first step, and the ratio of the step times over the same networks."""
    eager, compiled = sides = Ours(setting), Ours(setting)
    count = compile_operations(compiled.supernet)
    draw, order = random.Random(0), random.Random(1)
    rows = []
    for number in range(repeats + 1):
        drawn = setting.draw(eager.supernet.space, draw)
        row = {}
        for side in order.sample(sides, 2):
            side.ready(drawn)
            torch.manual_seed(number)  # for the order of batches
            start = time.perf_counter()
            results = [side.step() for _ in range(setting.steps)]
            row[side] = time.perf_counter() - start, results[0]
        rows.append(row)
    first, *rest = ({side: seconds for side, (seconds, _) in row.items()} for row in rows)
    return {
        "operations": count,
        "first_step_seconds": {"eager": round(first[eager], 2), "compiled": round(first[compiled], 2)},
        "eager_ms": spread([1e3 * row[eager] / setting.steps for row in rest]),
        "ratio": spread([row[compiled] / row[eager] for row in rest]),
        "first_loss": [rows[0][side][1][0] for side in sides],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30, help="2 or more (default: 30)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    row = compare(SPACES["cells"], arguments.repeats)
    print(json.dumps(row))
    print(write("compiled_step", {"repeats": arguments.repeats, "cells": row}))


if __name__ == "__main__":
    main()
