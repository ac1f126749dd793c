"""What bounds two processes: the critical path through a step, and what scheduling by length would gain.

python -m benchmarks.step.ranks_path

`ranks.py` measures by the wall clock, which a busy machine disturbs. Here each process records its CPU time
between two exchanges with the others. The critical path is the sum over exchanges of the larger of both. One
process takes the same steps; its time over that path is the largest possible speedup of two processes, if
each has a core.

Then the script estimates what scheduling by length would gain. Some random architectures of the paper's cells
are timed alone. Over many draws of as many as a step trains and scores, it sums the time of the process that
takes longest. Architectures are assigned in turns, as in a search, or the longest first to the process with
the least: by their true times, or by their multiply-adds, which are the same in all processes and after a
resume; or by an estimate of these, by least squares from the choices of others whose multiply-adds were
counted. "counting" is the time to count an architecture without numbers, over that to train it on a batch.
"""

import argparse
import copy
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.utils.flop_counter import FlopCounterMode

from asng.distributed import TorchComm, joined
from asng.nn import Supernet
from asng.space import Architecture, Space
from benchmarks.measuring import spread
from benchmarks.record import write
from benchmarks.step.paper_step import write_noise
from benchmarks.step.ranks import NoSignal, stepping
from benchmarks.step.spaces import SPACES

EXCHANGES = ("all_gather", "all_reduce", "broadcast")
DRAWS = 5000
BATCH, COUNTED_FIRST, RIDGE = 64, 512, 1.0
"""The batch of a search; how many architectures others are estimated from, and with which penalty."""
SIZES = {"2 and 2, two processes": (2, 2, 2), "4 and 8, two processes": (4, 8, 2), "8 and 8, four": (8, 8, 4)}
"""Architectures trained and scored in a step, and numbers of processes."""


# --- the critical path -----------------------------------------------------------------------------------


@contextmanager
def parts() -> Any:
    """Record the CPU seconds of this process between the exchanges within the block."""
    found: list[float] = []
    last = time.process_time()
    kept = {name: getattr(dist, name) for name in EXCHANGES}

    def noting(exchange: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            nonlocal last
            now = time.process_time()
            found.append(now - last)
            last = now
            return exchange(*args, **named)

        return run

    for name, exchange in kept.items():
        setattr(dist, name, noting(exchange))
    try:
        yield found
    finally:
        found.append(time.process_time() - last)
        for name, exchange in kept.items():
            setattr(dist, name, exchange)


def serve(case: str, folder: Path, steps: int) -> None:
    """Take steps, and print the time of each process between exchanges."""
    torch.set_num_threads(1)
    with joined() as comm, stepping(case, folder) as loop:
        loop.one_step()  # for one-time setup
        with parts() as found:
            for _ in range(steps):
                loop.one_step()
                loop.pause(NoSignal(), more=True)
        every = comm.exchange(found) if isinstance(comm, TorchComm) else [found]
        if comm.leads:
            print(json.dumps(every), flush=True)


def road(case: str, folder: Path, steps: int) -> dict[str, Any]:
    """Return the time of one process for some steps, and the critical path through two."""
    took = {}
    for processes in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        words = [sys.executable, *(launcher if processes > 1 else []), "-m", "benchmarks.step.ranks_path"]
        words += ["--serve", case, "--folder", str(folder), "--steps", str(steps)]
        run = subprocess.run(
            words, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        took[processes] = np.array(json.loads(run.stdout.splitlines()[-1]))
    one, both = took[1].sum(), took[2]
    longest = both.max(axis=0).sum()
    return {
        "case": case,
        "steps": steps,
        "seconds_of_one": round(float(one), 3),
        "seconds_of_two": round(float(both.sum()), 3),
        "longest_road": round(float(longest), 3),
        "ratio": round(float(one / longest), 4),
        "more_work_in_two": round(float(both.sum() / one), 4),
        "unlike_lengths": round(float(2 * longest / both.sum()), 4),
    }


# --- assigning by length ---------------------------------------------------------------------------------


def lengths(architectures: int, batch: int) -> dict[str, np.ndarray]:
    """Return the CPU seconds for training and for scoring random architectures, and their multiply-adds."""
    setting, draw = SPACES["cells"], random.Random(0)
    supernet = setting.supernet().train()
    images, labels = (tensor[:batch] for tensor in next(iter(setting.loader(1))))
    rows, drawn = [], [supernet.space.sample(draw) for _ in range(architectures)]
    for architecture in drawn:
        trained, scored = [], []
        for _ in range(3):
            start = time.process_time()
            setting.loss(supernet(images, architecture=architecture), labels).backward()
            trained.append(time.process_time() - start)
            supernet.zero_grad()
            with torch.no_grad():
                start = time.process_time()
                supernet(images, architecture=architecture)
                scored.append(time.process_time() - start)
        rows.append((min(trained), min(scored), counted(supernet, images, architecture)))
    found = dict(zip(("trained", "scored", "counted"), np.array(rows).T, strict=True))
    return {**found, "estimated": estimated(drawn)}


def counting(architectures: int) -> dict[str, Any]:
    """Return the time of counting an architecture over that of training it on a batch."""
    setting, draw = SPACES["cells"], random.Random(1)
    supernet = setting.supernet().train()
    images, labels = (tensor[:BATCH] for tensor in next(iter(setting.loader(1))))
    empty, nothing = copy.deepcopy(supernet).to("meta"), images.to("meta")
    ratios = []
    for _ in range(architectures + 1):
        architecture = supernet.space.sample(draw)
        start = time.process_time()
        setting.loss(supernet(images, architecture=architecture), labels).backward()
        trained = time.process_time() - start
        supernet.zero_grad()
        start = time.process_time()
        counted(empty, nothing, architecture)
        ratios.append((time.process_time() - start) / trained)
    return spread(ratios[1:])  # the first includes what is set up once


def counted(supernet: Supernet, images: torch.Tensor, architecture: Architecture) -> float:
    """Return the multiply-adds of a pass."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        supernet(images, architecture=architecture)
    return counter.get_total_flops() / 2


def estimated(architectures: Sequence[Architecture]) -> np.ndarray:
    """Return estimates of the multiply-adds of architectures, from those of others."""
    supernet, draw = SPACES["cells"].supernet().to("meta"), random.Random("others")
    image = next(iter(SPACES["cells"].loader(1)))[0][:1].to("meta")
    others = [supernet.space.sample(draw) for _ in range(COUNTED_FIRST)]
    sizes = np.array([counted(supernet, image, one) for one in others])
    known, asked = (indicators(supernet.space, many) for many in (others, architectures))
    return by_least_squares(known, sizes, asked)


def by_least_squares(known: np.ndarray, sizes: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return estimated sizes of rows, given those of others; at least a hundredth of the largest.

    Example:
        >>> known = np.repeat(np.eye(2), 20, axis=0)
        >>> by_least_squares(known, known @ [1.0, 9.0], np.eye(2)).round(1)
        array([1., 9.])
    """
    middle = known.mean(axis=0)
    effects = np.linalg.solve(
        (known - middle).T @ (known - middle) + RIDGE * np.eye(len(middle)),
        (known - middle).T @ (sizes - sizes.mean()),
    )
    return np.asarray(np.maximum(sizes.mean() + (asked - middle) @ effects, 0.01 * sizes.max()))


def indicators(space: Space, architectures: Sequence[Architecture]) -> np.ndarray:
    """Return one number for each choice of each variable, 1 if an architecture makes it."""
    choices = [(name, choice) for name, variable in space.items() for choice in variable.choices]
    return np.array([[float(one[name] == choice) for name, choice in choices] for one in architectures])


def longest(lengths: np.ndarray, told: np.ndarray | None, processes: int) -> float:
    """Return the time of the process that takes longest, if assigned in turns or by estimated lengths.

    Example:
        >>> longest(np.array([3.0, 1.0, 1.0, 1.0]), None, 2), longest(np.ones(4) * 2, np.ones(4), 2)
        (4.0, 4.0)
    """
    if told is None:
        return max(float(lengths[rank::processes].sum()) for rank in range(processes))
    expected, taken = np.zeros(processes), np.zeros(processes)
    for index in np.argsort(-told, kind="stable"):
        rank = expected.argmin()
        expected[rank] += told[index]
        taken[rank] += lengths[index]
    return float(taken.max())


def dealing(found: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the speedup of several processes over one, by the way of assigning architectures."""
    rows = []
    for name, (lam_x, lam_theta, processes) in SIZES.items():
        rng = np.random.default_rng(0)
        sums = dict.fromkeys(("one", "in_turns", "by_length", "by_multiply_adds", "by_estimate"), 0.0)
        for _ in range(DRAWS):
            for count, kind in ((lam_x, "trained"), (lam_theta, "scored")):
                drawn = rng.integers(len(found[kind]), size=count)
                true = found[kind][drawn]
                ways = {"in_turns": None, "by_length": true, "by_multiply_adds": found["counted"][drawn]}
                ways["by_estimate"] = found["estimated"][drawn]
                sums["one"] += float(true.sum())
                for way, told in ways.items():
                    sums[way] += longest(true, told, processes)
        ratios = {way: round(sums["one"] / sums[way], 4) for way in sums if way != "one"}
        rows.append({"name": name, "lam_x": lam_x, "lam_theta": lam_theta, "processes": processes, **ratios})
    return rows


def summary(found: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return how far architectures differ in length, and how well multiply-adds predict it."""
    trained = found["trained"]
    return {
        "architectures": len(trained),
        "largest_over_smallest": round(float(trained.max() / trained.min()), 3),
        "correlation_with_multiply_adds": round(float(np.corrcoef(trained, found["counted"])[0, 1]), 4),
        "correlation_with_estimate": round(float(np.corrcoef(trained, found["estimated"])[0, 1]), 4),
    }


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--architectures", type=int, default=60)
    parser.add_argument("--batch", type=int, default=8, help="images on which architectures are timed")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.serve:
        serve(arguments.serve, arguments.folder, arguments.steps)
        return
    torch.set_num_threads(1)
    found = lengths(arguments.architectures, arguments.batch)
    figures = {"lengths": summary(found), "counting": counting(10), "dealing": dealing(found)}
    print(json.dumps(figures), flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = write_noise(Path(place), records=2_000)
        runs = [
            road(case, folder, steps)
            for case, steps in (("paper", arguments.steps), ("wide", arguments.steps // 3))
        ]
    print(json.dumps(runs))
    print(write("ranks_path", figures, runs))


if __name__ == "__main__":
    main()
