"""Store finished cells in `toy.json`, which is rewritten after every part of the grid."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.experiments.toy.simulate import ToyCell
from asng.runs.environment import machine, versions
from asng.runs.folder import TOY
from asng.runs.stored import Count, Number, Stored, plain, read_stored, stored, write_json
from asng.settings import GridPoint, ToySettings

__all__ = ["ToyGrid", "ToyStore"]


_MOST_VALUES = 24
"""Largest number of methods, of learning rates and of exponents with cells; a rate has four panels."""
_MOST_CELLS = 2_000


class _Settings(Stored, frozen=True):
    """The fields of a `ToySettings`, with any methods."""

    variables: Count
    choices: Count
    iterations: Count
    methods: list[Any]
    exponents: list[Any]
    learning_rates: list[Any]
    momentum: Number = math.nan


class ToyGrid(Stored, frozen=True):
    """All finished cells, and what they have in common.

    Attributes:
        settings: The settings of the run.
        cells: The finished cells, in the order of the grid: by method, learning rate and exponent.
        seconds: Time that the finished cells took; NaN if unknown.
        versions: Software versions.
        machine: The machine that they ran on.
    """

    settings: _Settings
    cells: tuple[ToyCell, ...]
    seconds: Number = math.nan
    versions: Mapping[str, Any] = {}
    machine: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        axes = (len(axis) for axis in (self.methods, self.rates, {cell.exponent for cell in self.cells}))
        if max(axes) > _MOST_VALUES or len(self.cells) > _MOST_CELLS:
            raise ValueError(f"cells: expected at most {_MOST_VALUES} values along each axis, got more")

    @property
    def variables(self) -> int:
        """D."""
        return self.settings.variables

    @property
    def planned(self) -> int:
        """Number of cells in the whole grid."""
        axes = self.settings.methods, self.settings.exponents, self.settings.learning_rates
        return math.prod(map(len, axes))

    @property
    def methods(self) -> list[str]:
        """The methods that have a cell, in the order of the cells."""
        return list(dict.fromkeys(cell.method for cell in self.cells))

    @property
    def rates(self) -> list[float]:
        """The learning rates that have a cell, in rising order."""
        return sorted({cell.learning_rate for cell in self.cells})

    def at(self, *, method: str, rate: float) -> list[ToyCell]:
        """Return the cells of one method and learning rate, by rising exponent."""
        found = [cell for cell in self.cells if (cell.method, cell.learning_rate) == (method, rate)]
        return sorted(found, key=lambda cell: cell.exponent)


class ToyStore:
    """The finished cells of a grid, in memory and on disk.

    Args:
        folder: The run folder; an existing file is continued.
        settings: The grid.
        seeds: Seeds of the runs of every cell.

    Raises:
        RunError: The file is damaged, or has other seeds.
    """

    def __init__(self, folder: Path, settings: ToySettings, seeds: Sequence[int]) -> None:
        self._path = folder / TOY
        self._settings, self._seeds = settings, tuple(seeds)
        before = read_stored(self._path, ToyGrid)
        self._done = {cell.point: cell for cell in before.cells} if before else {}
        for cell in self._done.values():
            if cell.seeds != self._seeds:
                raise RunError(
                    f"{self._path}: expected cells of the seeds {list(seeds)}, got one of "
                    f"{list(cell.seeds)!r:.80}."
                )
        seconds = before.seconds if before else 0.0
        self._since = time.monotonic() - (0.0 if math.isnan(seconds) else seconds)

    def __len__(self) -> int:
        return len(self._done)

    def left(self) -> list[list[GridPoint]]:
        """Return the unfinished cells, in parts to be run at once."""
        parts = ([point for point in part if point not in self._done] for part in self._settings.parts())
        return [part for part in parts if part]

    def add(self, cells: Sequence[ToyCell]) -> None:
        """Add finished cells, and write the file."""
        self._done |= {cell.point: cell for cell in cells}
        self.write()

    def write(self) -> None:
        """Write all finished cells, in the order of the grid."""
        ordered = [point for part in self._settings.parts() for point in part if point in self._done]
        grid = ToyGrid(
            settings=stored(plain(self._settings), _Settings, "settings"),
            cells=tuple(self._done[point] for point in ordered),
            seconds=round(time.monotonic() - self._since, 1),
            versions=versions(),
            machine=machine(),
        )
        write_json(self._path, grid)
