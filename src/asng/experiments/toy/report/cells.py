"""Success of toy runs and iterations to it, by two measures: the paper's stop rule and the mode of theta.

The paper's stop rule fires on a lucky sample, and can do so while the mode of theta is still wrong. A search
would return the mode, so the second measure uses the mode.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asng.errors import RunError
from asng.experiments.toy.simulate import ToyCell
from asng.experiments.toy.store import ToyGrid
from asng.report.words import share
from asng.runs.stored import read_stored

__all__ = ["MEASURES", "Measure", "ToySuccess", "outcome", "premature", "read_toy", "toy_verdict"]


def read_toy(path: str | Path) -> ToyGrid:
    """Read toy.json.

    Raises:
        RunError: The file is missing or not a JSON object, or a field is missing or of another type.
    """
    grid = read_stored(Path(path), ToyGrid)
    if grid is None:
        raise RunError(f"{path}: expected cells of the toy problem, found no such file.")
    return grid


@dataclass(frozen=True)
class Measure:
    """A definition of success.

    Attributes:
        name: Name of the measure, one word.
        heading: Heading of its figure.
        text: Description in a few sentences.
    """

    name: str
    heading: str
    text: str


STOP = Measure(
    "stop",
    "By the paper's stop rule",
    "A run succeeds if a sampled architecture has an expected loss of at most 1/K above the least possible. "
    "The paper stops there; here the run continues. Iterations are counted up to that point.",
)
MODE = Measure(
    "mode",
    "By the mode of theta",
    "A run succeeds if the likeliest architecture is the optimum after the last iteration. Iterations are "
    "counted until it first was.",
)
MEASURES = (STOP, MODE)


class ToySuccess(NamedTuple):
    """The success of one cell by one measure.

    Attributes:
        share: Share of the seeds that succeeded, in [0, 1].
        quartiles: First quartile, median and third quartile of the iterations, each the value of one run. A
            run without success counts as infinite, so that quartiles may be infinite.
    """

    share: float
    quartiles: tuple[float, float, float]


def outcome(cell: ToyCell, measure: Measure, variables: int) -> ToySuccess:
    """Return the success rate and the iterations of a cell."""
    iterations = np.array(_iterations(cell, measure, variables))
    quartiles = np.quantile(iterations, (0.25, 0.5, 0.75), method="inverted_cdf")
    return ToySuccess(float(np.isfinite(iterations).mean()), tuple(quartiles.tolist()))


def _iterations(cell: ToyCell, measure: Measure, variables: int) -> Sequence[float]:
    ended = zip(cell.found, cell.right_at_end, strict=True)
    at = cell.stopped if measure is STOP else [f if right == variables else None for f, right in ended]
    return [math.inf if iteration is None else iteration for iteration in at]


def premature(cells: Sequence[ToyCell], variables: int) -> list[int]:
    """Return the number of right variables for each run in which the stop rule fired at a wrong mode."""
    stopped = (right for cell in cells for right in cell.right_when_stopped if right is not None)
    return [right for right in stopped if right < variables]


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
        fired = any(at is not None for cell in grid.cells for at in cell.stopped)
        return f"{words}, always with the right mode." if fired else f"{words}."
    worst = f"{min(early)} of {grid.variables} variables right"
    return f"{words}; in {len(early):,} runs while the mode was wrong, at worst with {worst}."


def _mean(grid: ToyGrid, method: str, measure: Measure) -> float:
    cells = [cell for cell in grid.cells if cell.method == method]
    return float(np.mean([outcome(cell, measure, grid.variables).share for cell in cells]))
