"""The file of the finished cells, `toy.json`: written whole after every part of the grid."""

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
"""Of methods, learning rates and exponents that have cells: a report draws four panels a rate."""
_MOST_CELLS = 2_000


class _Settings(Stored, frozen=True):
    """Those of a `ToySettings`, of whatever methods."""

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
        settings: As they were given.
        cells: By method, learning rate and exponent, as they were run.
        seconds: How long the finished ones took; NaN if unknown.
        versions: Of software.
        machine: What they ran on.
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
        """How many cells there are to be."""
        axes = self.settings.methods, self.settings.exponents, self.settings.learning_rates
        return math.prod(map(len, axes))

    @property
    def methods(self) -> list[str]:
        """The methods that have a cell, in their order."""
        return list(dict.fromkeys(cell.method for cell in self.cells))

    @property
    def rates(self) -> list[float]:
        """The learning rates that have a cell, rising."""
        return sorted({cell.learning_rate for cell in self.cells})

    def at(self, *, method: str, rate: float) -> list[ToyCell]:
        """Return the cells of one method and learning rate, by rising exponent."""
        found = [cell for cell in self.cells if (cell.method, cell.learning_rate) == (method, rate)]
        return sorted(found, key=lambda cell: cell.exponent)


class ToyStore:
    """What is finished of a grid, in memory and on the disk.

    Args:
        folder: The run folder; a file that is there is continued.
        settings: The grid.
        seeds: Of the runs of every cell.

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
        """Return the cells that are not finished, by parts to be run at once."""
        parts = ([point for point in part if point not in self._done] for part in self._settings.parts())
        return [part for part in parts if part]

    def add(self, cells: Sequence[ToyCell]) -> None:
        """Take in finished cells, and write."""
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
