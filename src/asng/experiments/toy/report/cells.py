"""The cells of the toy problem, toy.json, read and checked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asng.errors import RunError
from asng.report.words import share
from asng.runs.fields import as_list, as_object, number, positive, text
from asng.runs.files import read_json

__all__ = [
    "ToyCell",
    "ToyGrid",
    "read_toy",
    "MEASURES",
    "Measure",
    "Outcome",
    "outcome",
    "premature",
    "toy_verdict",
]


@dataclass(frozen=True)
class ToyCell:
    """One method, first step size and learning rate, over several seeds; what never came is infinite.

    Attributes:
        method: Its name.
        exponent: f of the first step size, n^-f.
        learning_rate: Of x at the start.
        stopped: Iteration at which the paper's stop rule fired, one a seed.
        right_when_stopped: Variables whose likeliest choice was then right; NaN where it never fired.
        found: First iteration at which the mode was the optimum.
        settled: First iteration from which on it was so to the end.
        right_at_end: Variables whose likeliest choice is right at the end.
    """

    method: str
    exponent: float
    learning_rate: float
    stopped: tuple[float, ...]
    right_when_stopped: tuple[float, ...]
    found: tuple[float, ...]
    settled: tuple[float, ...]
    right_at_end: tuple[float, ...]


@dataclass(frozen=True)
class ToyGrid:
    """All finished cells, and what they have in common.

    Attributes:
        cells: By method, learning rate and exponent, as they were run.
        settings: As they were given, by name.
        variables: D.
        choices: K.
        iterations: Of every run.
        planned: How many cells there are to be.
        seconds: How long the finished ones took; NaN if unknown.
        circumstances: Versions and machine, by name.
    """

    cells: tuple[ToyCell, ...]
    settings: Mapping[str, Any]
    variables: int
    choices: int
    iterations: int
    planned: int
    seconds: float
    circumstances: Mapping[str, Any]

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


def read_toy(path: Path) -> ToyGrid:
    """Read toy.json.

    Raises:
        RunError: The file is no JSON object, or a field is of another type or missing.
    """
    where = str(path)
    data = as_object(read_json(path), where)
    settings = as_object(data.get("settings"), f"{where}, settings")
    variables, choices, iterations = (
        positive(settings, name, f"{where}, settings") for name in ("variables", "choices", "iterations")
    )
    axes = (
        as_list(settings.get(name), f"{where}, settings, {name}")
        for name in ("methods", "exponents", "learning_rates")
    )
    cells = as_list(data.get("cells"), f"{where}, cells")
    return ToyGrid(
        cells=tuple(_cell(cell, f"{where}, cells[{i}]") for i, cell in enumerate(cells)),
        settings=settings,
        variables=variables,
        choices=choices,
        iterations=iterations,
        planned=math.prod(len(axis) for axis in axes),
        seconds=number(data, "seconds", where),
        circumstances={name: data[name] for name in ("versions", "machine") if data.get(name)},
    )


def _cell(value: Any, where: str) -> ToyCell:
    data = as_object(value, where)
    cell = ToyCell(
        method=text(data, "method", where, "method"),
        exponent=number(data, "exponent", where),
        learning_rate=number(data, "learning_rate", where),
        stopped=_column(data, "stopped", where, math.inf),
        right_when_stopped=_column(data, "right_when_stopped", where, math.nan),
        found=_column(data, "found", where, math.inf),
        settled=_column(data, "settled", where, math.inf),
        right_at_end=_column(data, "right_at_end", where, math.nan),
    )
    if min(*cell.stopped, *cell.found, *cell.settled, math.inf) < 1.0:
        raise RunError(f"{where}: expected iterations, which count from 1, got {dict(data)!r:.200}.")
    if not math.isfinite(cell.exponent + cell.learning_rate):
        raise RunError(f"{where}: expected an exponent and a learning_rate, got {dict(data)!r:.80}.")
    lengths = {
        len(cell.stopped),
        len(cell.right_when_stopped),
        len(cell.found),
        len(cell.settled),
        len(cell.right_at_end),
    }
    if len(lengths) > 1 or 0 in lengths:
        raise RunError(
            f"{where}: expected one entry a seed in every column, got columns of lengths {lengths}."
        )
    return cell


def _column(data: Mapping[str, Any], name: str, where: str, never: float) -> tuple[float, ...]:
    values = as_list(data.get(name), f"{where}, {name}")
    numbers = (number({"entry": value}, "entry", f"{where}, {name}") for value in values)
    return tuple(never if math.isnan(value) else value for value in numbers)


# When a run of the toy problem counts as a success, and how long it took: by two measures. The paper's stop
# rule fires on a lucky sample, and can do so while the mode of theta is still wrong. What a search would
# hand over is the mode; so the second measure looks at that.


@dataclass(frozen=True)
class Measure:
    """What counts as a success.

    Attributes:
        name: Of one word.
        heading: Of a figure.
        text: What it is, in a sentence or two.
    """

    name: str
    heading: str
    text: str


STOP = Measure(
    "stop",
    "By the paper's stop rule",
    "A run succeeds where a sampled architecture has an expected loss of at most 1/K above the least "
    "possible. The paper stops there; here the run goes on. Iterations are those up to there.",
)
MODE = Measure(
    "mode",
    "By the mode of theta",
    "A run succeeds where the likeliest architecture is the optimum after the last iteration. Iterations are "
    "those up to where it first was.",
)
MEASURES = (STOP, MODE)


class Outcome(NamedTuple):
    """One cell by one measure.

    Attributes:
        share: Of the seeds that succeeded, in [0, 1].
        quartiles: First quartile, median and third quartile of the iterations, each that of one run. A run
            without success counts as longer than any, so that they may be infinite.
    """

    share: float
    quartiles: tuple[float, float, float]


def outcome(cell: ToyCell, measure: Measure, variables: int) -> Outcome:
    """Return the success rate and the iterations of a cell."""
    iterations = np.array(_iterations(cell, measure, variables))
    quartiles = np.quantile(iterations, (0.25, 0.5, 0.75), method="inverted_cdf")
    return Outcome(float(np.isfinite(iterations).mean()), tuple(quartiles.tolist()))


def _iterations(cell: ToyCell, measure: Measure, variables: int) -> Sequence[float]:
    if measure is STOP:
        return cell.stopped
    ended = zip(cell.found, cell.right_at_end, strict=True)
    return [found if right == variables else math.inf for found, right in ended]


def premature(cells: Sequence[ToyCell], variables: int) -> list[float]:
    """Return for each run that the stop rule ended with a wrong mode how many variables were right."""
    return [right for cell in cells for right in cell.right_when_stopped if right < variables]


def toy_verdict(grid: ToyGrid) -> str:
    """Say how many runs of each method succeeded over the whole grid, and whether to trust the stop rule."""
    if not grid.cells:
        return "No cell of the grid is finished yet."
    by_mode = ", ".join(f"{method} {share(_mean(grid, method, MODE))}" for method in grid.methods)
    by_stop = ", ".join(f"{method} {share(_mean(grid, method, STOP))}" for method in grid.methods)
    runs = sum(len(cell.stopped) for cell in grid.cells)
    words = (
        f"Over all step sizes and learning rates ({runs:,} runs), the likeliest architecture was the optimum "
        f"at the end in this share of runs: {by_mode}. The paper's stop rule fired in: {by_stop}"
    )
    early = premature(grid.cells, grid.variables)
    if not early:
        fired = any(math.isfinite(at) for cell in grid.cells for at in cell.stopped)
        return f"{words}, always with the right mode." if fired else f"{words}."
    worst = f"{min(early):.0f} of {grid.variables} variables right"
    return f"{words}; in {len(early):,} runs while the mode was wrong, at worst with {worst}."


def _mean(grid: ToyGrid, method: str, measure: Measure) -> float:
    cells = [cell for cell in grid.cells if cell.method == method]
    return float(np.mean([outcome(cell, measure, grid.variables).share for cell in cells]))
