"""The values for the HTML template of the toy problem, and the table for the terminal."""

import math
from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from asng.experiments.toy.report.cells import MEASURES, Measure, outcome, premature, toy_verdict
from asng.experiments.toy.report.figures import iterations_panel, legend, success_panel
from asng.experiments.toy.simulate import ToyCell
from asng.experiments.toy.store import ToyGrid
from asng.report.figures.svg import drawn
from asng.report.settings import settings_of
from asng.report.words import count, duration, flatten, share
from asng.runs.stored import plain

__all__ = ["toy_page", "toy_table"]


def toy_page(title: str, grid: ToyGrid) -> Mapping[str, Any]:
    """Return the values for the template; an unfinished grid gives a page of its finished cells."""
    held = grid.settings
    return {
        "title": title,
        "verdict": toy_verdict(grid),
        "mood": "unknown",
        "tiles": _tiles(grid),
        "problem": f"D = {held.variables}, K = {held.choices}, {count(held.iterations)} iterations per run.",
        "figures": [_figure(grid, measure) for measure in MEASURES] if grid.cells else [],
        "headings": _headings(grid),
        "tables": [(f"{rate:g}", _rows(grid, rate)) for rate in grid.rates],
        "settings": settings_of({"toy": plain(held)}),
        "circumstances": [("wall time", duration(grid.seconds)), *_circumstances(grid)],
    }


def _circumstances(grid: ToyGrid) -> list[tuple[str, str]]:
    found = {"versions": grid.versions, "machine": grid.machine}
    return flatten({name: values for name, values in found.items() if values})


def _figure(grid: ToyGrid, measure: Measure) -> Mapping[str, Any]:
    panels = [
        {
            "rate": f"{rate:g}",
            "success": drawn(success_panel(grid, measure, rate, key=f"{measure.name}{i}s")),
            "iterations": drawn(iterations_panel(grid, measure, rate, key=f"{measure.name}{i}i")),
        }
        for i, rate in enumerate(grid.rates)
    ]
    marks = drawn(legend(grid, key=f"{measure.name}marks"))
    return {"heading": measure.heading, "text": measure.text, "legend": marks, "panels": panels}


def _tiles(grid: ToyGrid) -> list[tuple[str, str]]:
    runs = sum(len(cell.stopped) for cell in grid.cells)
    return [
        ("cells", f"{len(grid.cells)} of {grid.planned}"),
        ("seeds per cell", count(max((len(cell.stopped) for cell in grid.cells), default=0))),
        ("runs", count(runs)),
        ("iterations per run", count(grid.settings.iterations)),
        ("wall time", duration(grid.seconds)),
    ]


def toy_table(grid: ToyGrid, title: Text) -> Table:
    """Return a table of success rate and median iterations of every cell, with the verdict below."""
    table = Table(title=title, caption=Text(toy_verdict(grid)), caption_justify="left")
    for heading in ("rate of x", *_headings(grid)):
        table.add_column(Text(heading), justify="right")
    for rate in grid.rates:
        for row in _rows(grid, rate):
            table.add_row(f"{rate:g}", *(Text(word) for word in row))
        table.add_section()
    return table


def _headings(grid: ToyGrid) -> list[str]:
    """Return the headings of `_rows`."""
    return ["f", *(f"{method}, {measure.name}" for method in grid.methods for measure in MEASURES)]


def _rows(grid: ToyGrid, rate: float) -> list[list[str]]:
    """Return one row per exponent at one learning rate: the exponent, then each method by each measure."""
    cells = {(cell.exponent, cell.method): cell for cell in grid.cells if cell.learning_rate == rate}
    exponents = sorted({exponent for exponent, _ in cells})
    return [
        [
            f"{exponent:g}",
            *(word for method in grid.methods for word in _cell_words(grid, cells.get((exponent, method)))),
        ]
        for exponent in exponents
    ]


def _cell_words(grid: ToyGrid, cell: ToyCell | None) -> list[str]:
    """Return success rate and median iterations by each measure, with a star if a stop was premature.

    Args:
        grid: The whole grid.
        cell: One cell, or None if it is not finished.
    """
    if cell is None:
        return ["" for _ in MEASURES]
    found = []
    for measure in MEASURES:
        rate, (_, median, _) = outcome(cell, measure, grid.variables)
        found.append(f"{share(rate)}, {median:,.0f}" if math.isfinite(median) else share(rate))
    star = "*" if premature([cell], grid.variables) else ""
    return [found[0] + star, *found[1:]]
