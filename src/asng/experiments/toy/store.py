"""The file of the finished cells, `toy.json`: written whole after every part of the grid."""

import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from asng.errors import RunError, in_one_line
from asng.experiments.toy.settings import GridPoint as Cell
from asng.experiments.toy.settings import ToySettings
from asng.experiments.toy.simulate import Simulated as Outcome
from asng.runs.environment import machine, versions
from asng.runs.files import read_json, write_json
from asng.runs.folder import TOY

__all__ = ["CellStore"]


class CellStore:
    """What is finished of a grid, in memory and on the disk.

    Args:
        folder: The run folder; a file that is there is gone on with.
        settings: The grid.
        seeds: Of the runs of every cell.

    Raises:
        RunError: The file is damaged, or has other seeds.
    """

    def __init__(self, folder: Path, settings: ToySettings, seeds: Sequence[int]) -> None:
        self._path = folder / TOY
        self._settings, self._seeds = settings, list(seeds)
        self._done, self._seconds = _read(self._path, self._seeds)
        self._since = time.monotonic()

    def __len__(self) -> int:
        return len(self._done)

    def left(self) -> list[list[Cell]]:
        """Return the cells that are not finished, by parts to be run at once."""
        parts = ([cell for cell in part if cell not in self._done] for part in self._settings.parts())
        return [part for part in parts if part]

    def add(self, cells: Sequence[Cell], outcomes: Sequence[Outcome]) -> None:
        """Take in finished cells, and write."""
        self._done |= {cell: asdict(outcome) for cell, outcome in zip(cells, outcomes, strict=True)}
        self.write()

    def write(self) -> None:
        """Write all finished cells, in the order of the grid."""
        seconds = round(self._seconds + time.monotonic() - self._since, 1)
        ordered = [cell for part in self._settings.parts() for cell in part if cell in self._done]
        head = {"settings": asdict(self._settings), "seconds": seconds}
        where = {"versions": versions(), "machine": machine()}
        write_json(self._path, {**head, **where, "cells": [self._row(cell) for cell in ordered]})

    def _row(self, cell: Cell) -> dict[str, Any]:
        delta_init = self._settings.delta_init(cell.exponent)
        return {**cell._asdict(), "delta_init": delta_init, "seeds": self._seeds, **self._done[cell]}


def _read(path: Path, seeds: list[int]) -> tuple[dict[Cell, dict[str, Any]], float]:
    """Return the finished cells, and how many seconds they took."""
    if not path.exists():
        return {}, 0.0
    names = [field.name for field in fields(Outcome)]
    data = read_json(path)
    try:
        done = {
            Cell(*(row[name] for name in Cell._fields)): {name: row[name] for name in names}
            for row in data["cells"]
        }
        others = [row["seeds"] for row in data["cells"] if row["seeds"] != seeds]
        seconds = float(data["seconds"])
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise RunError(
            f"{path}: expected cells of the toy problem, got a file that fails: {in_one_line(repr(error))}."
        ) from error
    if others:
        raise RunError(f"{path}: expected cells of the seeds {seeds}, got one of {others[0]!r:.80}.")
    return done, seconds
