"""Successes and iterations of every cell of the toy problem as words."""

import math

from rich.table import Table
from rich.text import Text

from asng.report.toy.cells import ToyCell, ToyGrid
from asng.report.toy.outcomes import MEASURES, outcome, premature, toy_verdict
from asng.report.words import share

__all__ = ["cell_words", "headings", "rows", "toy_table"]


def toy_table(grid: ToyGrid, title: Text) -> Table:
    """Return success rate and median iterations of every cell, the verdict below."""
    table = Table(title=title, caption=Text(toy_verdict(grid)), caption_justify="left")
    for heading in ("rate of x", *headings(grid)):
        table.add_column(Text(heading), justify="right")
    for rate in grid.rates:
        for row in rows(grid, rate):
            table.add_row(f"{rate:g}", *(Text(word) for word in row))
        table.add_section()
    return table


def headings(grid: ToyGrid) -> list[str]:
    """Return the headings of `rows`."""
    return ["f", *(f"{method}, {measure.name}" for method in grid.methods for measure in MEASURES)]


def rows(grid: ToyGrid, rate: float) -> list[list[str]]:
    """Return one row an exponent at one learning rate: the exponent, then each method by each measure."""
    cells = {(cell.exponent, cell.method): cell for cell in grid.cells if cell.learning_rate == rate}
    exponents = sorted({exponent for exponent, _ in cells})
    return [
        [
            f"{exponent:g}",
            *(word for method in grid.methods for word in cell_words(grid, cells.get((exponent, method)))),
        ]
        for exponent in exponents
    ]


def cell_words(grid: ToyGrid, cell: ToyCell | None) -> list[str]:
    """Return success rate and median of the iterations by each measure; a star where the stop rule lied.

    Args:
        grid: The whole.
        cell: One cell, or None where it is not finished.
    """
    if cell is None:
        return ["" for _ in MEASURES]
    found = []
    for measure in MEASURES:
        rate, (_, median, _) = outcome(cell, measure, grid.variables)
        found.append(f"{share(rate)}, {median:,.0f}" if math.isfinite(median) else share(rate))
    star = "*" if premature([cell], grid.variables) else ""
    return [found[0] + star, *found[1:]]
