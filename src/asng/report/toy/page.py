"""What the template of the toy problem fills in."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from asng.report.toy.cells import ToyGrid
from asng.report.toy.figures import iterations_panel, legend, success_panel
from asng.report.toy.outcomes import MEASURES, Measure, toy_verdict
from asng.report.toy.table import headings, rows
from asng.report.words import count, duration, flatten

__all__ = ["toy_page"]


def toy_page(title: str, grid: ToyGrid) -> Mapping[str, Any]:
    """Return the values of the template; a grid that is not finished gives a page of what is."""
    return {
        "title": title,
        "verdict": toy_verdict(grid),
        "mood": "unknown",
        "tiles": _tiles(grid),
        "problem": f"D = {grid.variables}, K = {grid.choices}, {count(grid.iterations)} iterations a run.",
        "figures": [_figure(grid, measure) for measure in MEASURES] if grid.cells else [],
        "headings": headings(grid),
        "tables": [(f"{rate:g}", rows(grid, rate)) for rate in grid.rates],
        "settings": flatten(grid.settings),
        "circumstances": [("wall time", duration(grid.seconds)), *flatten(grid.circumstances)],
    }


def _figure(grid: ToyGrid, measure: Measure) -> Mapping[str, Any]:
    panels = [
        {
            "rate": f"{rate:g}",
            "success": Markup(success_panel(grid, measure, rate, key=f"{measure.name}{i}s")),
            "iterations": Markup(iterations_panel(grid, measure, rate, key=f"{measure.name}{i}i")),
        }
        for i, rate in enumerate(grid.rates)
    ]
    marks = Markup(legend(grid, key=f"{measure.name}marks"))
    return {"heading": measure.heading, "text": measure.text, "legend": marks, "panels": panels}


def _tiles(grid: ToyGrid) -> list[tuple[str, str]]:
    runs = sum(len(cell.stopped) for cell in grid.cells)
    return [
        ("cells", f"{len(grid.cells)} of {grid.planned}"),
        ("seeds a cell", count(max((len(cell.stopped) for cell in grid.cells), default=0))),
        ("runs", count(runs)),
        ("iterations a run", count(grid.iterations)),
        ("wall time", duration(grid.seconds)),
    ]
