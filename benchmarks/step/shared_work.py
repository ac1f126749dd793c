"""How much of a step candidates share: equal networks, and the part of a pass before the first difference.

OMP_NUM_THREADS=1 python -m benchmarks.step.shared_work

The searches are real, without a final. Two candidates of a step are the same network if they agree on all
variables that a pass reads. Up to their first difference, their passes compute the same. For each candidate
of a step after the first, the largest part in common with an earlier one is noted, as a share of the CPU time
of its forward pass. That is the most that a cache could save; the cost of the cache is not included. Figures
are means over thirds of the part of a search in which theta moves.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.nn import Searchable, Supernet
from asng.search import Loop
from asng.supernets import EnasCellNetwork
from benchmarks.record import write
from benchmarks.step.spaces import PAPER
from benchmarks.truth.problems import PROBLEMS, Problem
from benchmarks.truth.run import LOSS
from benchmarks.truth.tables import batches

THIRDS = 3


@dataclass
class Pass:
    """A forward pass.

    Attributes:
        reads: Name of each variable to its value, and how long the pass had taken when it was first read.
        seconds: How long it took.
    """

    reads: dict[str, tuple[Any, float]] = field(default_factory=dict)
    seconds: float = 0.0

    def in_common(self, earlier: "Pass") -> float:
        """Return the share of this pass before the first value that differs; 1 for equal networks."""
        for name, (value, at) in self.reads.items():
            if name not in earlier.reads or earlier.reads[name][0] != value:
                return at / self.seconds
        return 1.0


@dataclass
class Step:
    """The passes of a step, in order, and the time of the whole step."""

    trained: list[Pass] = field(default_factory=list)
    scored: list[Pass] = field(default_factory=list)
    seconds: float = 0.0


@contextmanager
def watched() -> Iterator[list[Step]]:
    """Record the steps that move theta, of all searches within the block."""
    steps: list[Step] = []
    running: list[tuple[Pass, float]] = []
    value, forward, one_step = Searchable.value, Supernet.forward, Loop.one_step

    def reading(self: Searchable, slot: str, *, note: bool = True) -> Any:
        found = value(self, slot, note=note)
        if running and note:
            one, start = running[-1]
            one.reads.setdefault(self.names[slot], (found, time.process_time() - start))
        return found

    def passing(self: Supernet, *args: Any, **words: Any) -> Any:
        one, start = Pass(), time.process_time()
        running.append((one, start))
        output = forward(self, *args, **words)
        running.pop()
        one.seconds = time.process_time() - start
        if steps:
            (steps[-1].trained if torch.is_grad_enabled() else steps[-1].scored).append(one)
        return output

    def stepping(self: Loop) -> Any:
        steps.append(Step())
        start = time.process_time()
        result = one_step(self)
        steps[-1].seconds = time.process_time() - start
        if not steps[-1].scored:  # in the warm-up
            steps.pop()
        return result

    with (
        patch.object(Searchable, "value", reading),
        patch.object(Supernet, "forward", passing),
        patch.object(Loop, "one_step", stepping),
    ):
        yield steps


def shared(passes: Sequence[Pass]) -> tuple[float, float, float]:
    """Return how many passes repeat networks, and the seconds shared by whole networks and by beginnings."""
    most = [max((one.in_common(other) for other in passes[:i]), default=0.0) for i, one in enumerate(passes)]
    equal = sum(share == 1.0 for share in most)
    whole = sum(one.seconds for one, share in zip(passes, most, strict=True) if share == 1.0)
    begun = sum(one.seconds * share for one, share in zip(passes, most, strict=True))
    return equal, whole, begun


def figures(steps: Sequence[Step]) -> dict[str, float]:
    """Return means over steps, as shares of all passes and of the steps' time."""
    row: dict[str, float] = {"steps": len(steps)}
    seconds = sum(step.seconds for step in steps)
    for kind in ("trained", "scored"):
        groups = [getattr(step, kind) for step in steps]
        found = [shared(passes) for passes in groups]
        of_passes = sum(one.seconds for passes in groups for one in passes)
        equal, whole, begun = (sum(part) for part in zip(*found, strict=True))
        row[f"{kind}_equal"] = round(equal / sum(map(len, groups)), 4)
        row[f"{kind}_in_common"] = round(begun / of_passes, 4)
        row[f"{kind}_whole_of_step"] = round(whole / seconds, 4)
        row[f"{kind}_in_common_of_step"] = round(begun / seconds, 4)
    return row


def _halves(problem: Problem, batch: int) -> list[DataLoader[Any]]:
    inputs, labels, _, _ = problem.data()
    half = len(inputs) // 2
    parts = slice(half), slice(half, None)
    return [batches(TensorDataset(inputs[part], labels[part]), batch) for part in parts]


def of_table(problem: Problem, seed: int) -> None:
    """Search a space of the truth tables with the defaults, without a final."""
    torch.manual_seed(seed)
    supernet = Supernet(problem.model())
    search = asng.OneShotSearch(supernet, LOSS, optimizer=problem.optimizer, final=0.0, seed=seed)
    search.fit(*_halves(problem, problem.batch), epochs=8 * problem.epochs, progress=False)


def of_cells(seed: int, *, epochs: int = 32) -> None:
    """Search the cells of the paper, fewer and narrower, with its settings."""
    torch.manual_seed(seed)
    model = EnasCellNetwork(in_channels=1, classes=10, image_size=14, cells=3, nodes=5, channels=4)
    search = asng.OneShotSearch(Supernet(model), LOSS, warmup=0.1, final=0.0, seed=seed, **PAPER)
    search.fit(*_halves(PROBLEMS["fashion"], 50), epochs=epochs, progress=False)


SEARCHES: Mapping[str, Callable[[int], None]] = {
    **{name: partial(of_table, problem) for name, problem in PROBLEMS.items()},
    "cells": of_cells,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="1 or more (default: 3)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, Any] = {}
    for name, search in SEARCHES.items():
        thirds: list[list[Step]] = [[] for _ in range(THIRDS)]
        for seed in range(arguments.seeds):
            with watched() as steps:
                search(seed)
            for third in range(THIRDS):
                ends = (len(steps) * edge // THIRDS for edge in (third, third + 1))
                thirds[third] += steps[slice(*ends)]
        rows[name] = [figures(steps) for steps in thirds]
        print(name, json.dumps(rows[name]), flush=True)
    names = [key for key in rows["cells"][0] if key != "steps"]
    means = {
        name: {key: statistics.fmean(r[key] for r in row) for key in names} for name, row in rows.items()
    }
    print(write("shared_work", {"seeds": arguments.seeds, "thirds": rows, "means": means}))


if __name__ == "__main__":
    main()
