"""The file of the finished cells, `toy.json`: written whole after every part of the grid."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec

from asng.errors import RunError
from asng.experiments.toy.settings import GridPoint, ToySettings
from asng.experiments.toy.simulate import ToyOutcome
from asng.runs.environment import machine, versions
from asng.runs.folder import TOY
from asng.runs.stored import Count, Number, Stored, plain, read_stored, stored, write_json

__all__ = ["ToyCell", "ToyGrid", "ToyStore"]

_Iteration = Annotated[int, msgspec.Meta(ge=1)]


class ToyCell(Stored, frozen=True):
    """One method, first step size and learning rate, over several seeds.

    Attributes:
        method: Its name.
        exponent: f of the first step size, n^-f.
        learning_rate: Of x at the start.
        stopped: Iteration at which the paper's stop rule fired, one a seed; None: never.
        right_when_stopped: Variables whose likeliest choice was then right; None where it never fired.
        found: First iteration at which the mode was the optimum; None: never.
        settled: First iteration from which on it was so to the end; None: never.
        right_at_end: Variables whose likeliest choice is right at the end.
        delta_init: The first step size.
        seeds: Of the runs.
    """

    method: str
    exponent: float
    learning_rate: float
    stopped: tuple[_Iteration | None, ...]
    right_when_stopped: tuple[int | None, ...]
    found: tuple[_Iteration | None, ...]
    settled: tuple[_Iteration | None, ...]
    right_at_end: tuple[int, ...]
    delta_init: Number = math.nan
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.exponent + self.learning_rate):
            raise ValueError("expected an exponent and a learning_rate, got one that is not finite")
        columns = self.stopped, self.right_when_stopped, self.found, self.settled, self.right_at_end
        lengths = {len(column) for column in columns}
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError(f"expected one entry a seed in every column, got columns of lengths {lengths}")

    @property
    def point(self) -> GridPoint:
        """Where in the grid it is."""
        return GridPoint(self.method, self.exponent, self.learning_rate)


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
        folder: The run folder; a file that is there is gone on with.
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

    def add(self, points: Sequence[GridPoint], outcomes: Sequence[ToyOutcome]) -> None:
        """Take in finished cells, and write."""
        for point, outcome in zip(points, outcomes, strict=True):
            delta_init = self._settings.delta_init(point.exponent)
            row = {**point._asdict(), **asdict(outcome), "delta_init": delta_init, "seeds": self._seeds}
            self._done[point] = stored(row, ToyCell, str(self._path))
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
