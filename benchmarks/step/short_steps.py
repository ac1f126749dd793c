"""A step of small networks over its limit, as `step.py` measures it: fewer steps a turn, and more turns.

OMP_NUM_THREADS=1 python -m benchmarks.step.short_steps

There a turn is so long that a busy machine changes within it; here sides take turns each tenth of a second.
Times are of the processor.
"""

import argparse
import json
from dataclasses import replace

import torch

from benchmarks.record import write
from benchmarks.step.spaces import SPACES
from benchmarks.step.step import compare

STEPS = {"transformer": 4, "mlp": 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=25, help="2 or more (default: 25)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for name, steps in STEPS.items():
        rows[name] = compare(replace(SPACES[name], steps=steps), arguments.repeats)
        print(name, json.dumps(rows[name]), flush=True)
    print(write("short_steps", {"repeats": arguments.repeats, "steps": STEPS, "spaces": rows}))


if __name__ == "__main__":
    main()
