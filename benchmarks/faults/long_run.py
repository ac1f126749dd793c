"""Long runs: memory over the steps of a small search, and a log of a million lines.

Each part runs in a process of its own, so that its memory is measured alone. "search" is a one-shot search of
that many steps, whose memory is read a hundred times on the way. The others run `asng.minimize` with one line
for each call of f: "write" makes the calls, "report" draws the page of the log, and "resume" continues the
run, with all calls taken from the log.

python -m benchmarks.faults.long_run --steps 100000 --lines 1000000
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from asng import Categorical, Integer, Space, minimize
from benchmarks.record import write

SEED, READINGS, BATCHES = 0, 100, 50


def resident_mb() -> float:
    """Return the resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def one_shot(folder: Path, steps: int) -> dict[str, Any]:
    """Search two layers, without a final, and read the memory at intervals."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    from asng import OneShotSearch, supervised
    from asng import nn as snn

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    choice = snn.Choice({"tanh": nn.Tanh(), "relu": nn.ReLU(), "none": nn.Identity()}, label="op")
    width = Integer(4, 16, label="width")
    net = nn.Sequential(snn.Linear(8, width), choice, nn.Dropout(0.1), snn.Linear(16, 1))
    x = torch.randn(8 * BATCHES, 8)
    loader = DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), 8, shuffle=True)
    mse, readings, passes = supervised(nn.functional.mse_loss), [], 0

    def loss(forward, batch):
        nonlocal passes
        passes += torch.is_grad_enabled()
        if torch.is_grad_enabled() and passes % (steps // READINGS) == 0:
            readings.append((passes, resident_mb()))
        return mse(forward, batch)

    search = OneShotSearch(snn.Supernet(net), loss, warmup=0.1, final=0.0, seed=SEED, checkpoint_seconds=5.0)
    search.fit(loader, loader, epochs=steps // BATCHES, run_dir=folder, progress=False)
    after_start = [memory for done, memory in readings if done >= steps / 10]
    done, memory = np.array([reading for reading in readings if reading[0] >= steps / 10]).T
    return {
        "steps": steps,
        "mb_at_a_tenth": after_start[0],
        "mb_at_the_end": after_start[-1],
        "mb_most": max(after_start),
        "kb_per_1000_steps": float(np.polyfit(done, memory, 1)[0] * 1e3 * 2**10),
    }


def loss(architecture: Any) -> float:
    """Be cheap, and noisy in name only, so that every draw is a call and a line."""
    return sum(architecture[f"c{i}"] != i % 4 for i in range(8)) + abs(architecture["i"] - 11) / 10


def black_box(folder: Path, budget: int, *, resume: bool) -> None:
    space = Space({f"c{i}": Categorical(range(4)) for i in range(8)} | {"i": Integer(0, 20)})
    minimize(loss, space, budget, seed=SEED, noisy=True, run_dir=folder, resume=resume)


def part(name: str, folder: Path, count: int) -> dict[str, Any]:
    """Run one part; return its seconds and its peak memory."""
    began, more = time.perf_counter(), {}
    if name == "search":
        more = one_shot(folder, count)
    elif name == "report":
        from asng.report import write_report

        write_report(folder)
    else:
        black_box(folder, count, resume=name == "resume")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"part": name, **more, "seconds": time.perf_counter() - began, "peak_mb": peak}


def measured(name: str, folder: Path, count: int) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.faults.long_run",
        "--part",
        name,
        "--folder",
        str(folder),
        "--count",
        str(count),
    ]
    row = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=1_000_000, help="calls of f; the log has more lines")
    for flag, kind in (("--part", str), ("--folder", Path), ("--count", int)):
        parser.add_argument(flag, type=kind, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(part(arguments.part, arguments.folder, arguments.count)))
        return
    with tempfile.TemporaryDirectory() as home:
        long_search, long_log = Path(home, "search"), Path(home, "log")
        rows = [measured("search", long_search, arguments.steps)]
        rows += [measured(name, long_log, arguments.lines) for name in ("write", "report", "resume")]
        sizes = {name: (long_log / name).stat().st_size / 2**20 for name in ("log.jsonl", "report.html")}
        sizes["log.jsonl of the search"] = (long_search / "log.jsonl").stat().st_size / 2**20
        with (long_log / "log.jsonl").open("rb") as file:
            lines = sum(1 for _ in file)
    figures = {"seed": SEED, "calls": arguments.lines, "log_lines": lines, "megabytes": sizes, "rows": rows}
    print(write("long_run", figures))


if __name__ == "__main__":
    main()
