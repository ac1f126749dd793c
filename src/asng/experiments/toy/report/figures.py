"""Figures of success rate and iterations against the initial step size, one panel per learning rate."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from asng.experiments.toy.report.cells import Measure, ToySuccess, outcome
from asng.experiments.toy.store import ToyGrid
from asng.report.figures.svg import BLUE, FAINT, ORANGE, clean, draw, tidy

__all__ = ["iterations_panel", "legend", "success_panel"]

_SIZE, _MARGINS = (270, 200), (46, 10, 40, 12)
# One colour, marker and line style per method. The third colour is black instead of Okabe and Ito's green,
# which is too close to blue for thin lines; black differs from both by lightness alone. Open markers do not
# hide what lies under them.
_STYLES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "marker": "o", "linestyle": "-", "markersize": 5},
    {"color": ORANGE, "marker": "s", "linestyle": "--", "markersize": 5},
    {"color": "#000000", "marker": "^", "linestyle": ":", "markersize": 6, "markerfacecolor": "white"},
)
_APART = 0.2
"""Distance between the marks of two methods, as a share of the smallest distance between exponents."""


def legend(grid: ToyGrid, *, key: str) -> str:
    """Draw the legend of the methods as an SVG element; `key` is the prefix of ids."""
    handles = [Line2D([], [], label=clean(method), **style) for method, style in _styled(grid)]

    def paint(axes: Axes) -> None:
        axes.set_axis_off()
        axes.legend(handles=handles, ncols=len(handles), loc="center left", frameon=False, borderpad=0)

    width = 20 + 110 * len(handles)
    return draw(paint, size=(width, 24), margins=(0, 0, 0, 0), key=key, label="Methods and their marks")


def success_panel(grid: ToyGrid, measure: Measure, rate: float, *, key: str) -> str:
    """Draw the share of runs that succeeded, in per cent, as an SVG element.

    Args:
        grid: Finished cells.
        measure: The definition of success.
        rate: Learning rate of the panel.
        key: Prefix of ids.
    """

    def paint(axes: Axes) -> None:
        _frame(axes, grid)
        axes.set_ylim(-4, 104)
        axes.set_yticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
        for style, x, outcomes in _series(grid, measure, rate):
            axes.plot(x, [100 * one.share for one in outcomes], clip_on=False, **style)

    label = f"Success by the {measure.name} against the first step size, learning rate {rate:g}"
    return draw(paint, size=_SIZE, margins=_MARGINS, key=key, label=label)


def iterations_panel(grid: ToyGrid, measure: Measure, rate: float, *, key: str) -> str:
    """Draw the median of the iterations with its quartiles as an SVG element.

    If the third quartile is a run without success, its line extends to the top; a median of this kind is not
    drawn, and neither is a first quartile. Arguments as for `success_panel`.
    """
    low, top = 10.0 ** math.floor(math.log10(_least(grid))), 1.8 * grid.settings.iterations

    def paint(axes: Axes) -> None:
        _frame(axes, grid)
        axes.set_yscale("log")
        axes.set_ylim(low, top)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _thousands(value)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.axhline(grid.settings.iterations, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        for style, x, outcomes in _series(grid, measure, rate):
            first, median, third = np.array([one.quartiles for one in outcomes]).T
            drawn = np.isfinite(first)
            ends = np.minimum(third[drawn], top)
            axes.vlines(np.array(x)[drawn], first[drawn], ends, color=style["color"], linewidth=1.4)
            axes.plot(x, np.where(np.isfinite(median), median, np.nan), **style)

    label = f"Iterations by the {measure.name} against the first step size, learning rate {rate:g}"
    return draw(paint, size=_SIZE, margins=_MARGINS, key=key, label=label)


def _styled(grid: ToyGrid) -> list[tuple[str, dict[str, Any]]]:
    return [(method, _STYLES[index % len(_STYLES)]) for index, method in enumerate(grid.methods)]


def _series(
    grid: ToyGrid, measure: Measure, rate: float
) -> list[tuple[dict[str, Any], list[float], list[ToySuccess]]]:
    """Return style, x positions and outcomes of each method that has cells at this learning rate."""
    exponents = _exponents(grid)
    apart = _APART * min(np.diff(exponents), default=1.0)
    series = []
    for index, (method, style) in enumerate(_styled(grid)):
        cells = grid.at(method=method, rate=rate)
        shift = (index - (len(grid.methods) - 1) / 2) * apart
        x = [cell.exponent + shift for cell in cells]
        if cells:
            series.append((style, x, [outcome(cell, measure, grid.variables) for cell in cells]))
    return series


def _frame(axes: Axes, grid: ToyGrid) -> None:
    tidy(axes)
    exponents = _exponents(grid)
    room = 0.06 * (exponents[-1] - exponents[0]) or 0.5
    axes.set_xlim(exponents[0] - room, exponents[-1] + room)
    axes.set_xticks(exponents, [f"{exponent:g}" for exponent in exponents])
    axes.tick_params(length=0)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel(f"f: first step size {grid.variables * (grid.settings.choices - 1)}^-f")


def _exponents(grid: ToyGrid) -> list[float]:
    return sorted({cell.exponent for cell in grid.cells})


def _least(grid: ToyGrid) -> float:
    """Return the smallest number of iterations in any panel, so that all panels have the same scale."""
    found = [at for cell in grid.cells for at in (*cell.stopped, *cell.found) if at is not None]
    return min(found, default=grid.settings.iterations)


def _thousands(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
