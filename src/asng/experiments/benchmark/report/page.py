"""The values that the HTML template of a benchmark report is filled with."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from asng.experiments.benchmark.report.table import (
    HEADINGS,
    OURS,
    BenchmarkRun,
    Group,
    benchmark_rows,
    benchmark_verdict,
)
from asng.experiments.benchmark.trial import BenchmarkCell
from asng.report.excerpts import MOST_LINES, excerpt
from asng.report.figures.svg import clean, draw, drawn, tidy
from asng.report.words import count, flatten

__all__ = ["benchmark_page", "regret_figure"]

# The colours follow Okabe and Ito. After one round, lines are dashed.
_COLOURS = ("#0072b2", "#d55e00", "#00795a", "#a8477f", "#8a6d00", "#56b4e9", "#5b5b5b")
_POINTS = 120
_MOST_PROBLEMS = 30
"""Largest number of problems shown; drawing the figure of each takes a tenth of a second."""


def benchmark_page(title: str, run: BenchmarkRun) -> Mapping[str, Any]:
    """Return the values for the template; an unfinished benchmark gives a page of its finished cells."""
    groups = [group for found in run.groups.values() for group in found]
    left_out = list[str]()
    problems = excerpt(list(run.groups.items()), _MOST_PROBLEMS, "problems", left_out)
    return {
        "title": title,
        "left_out": left_out,
        "verdict": benchmark_verdict(run),
        "mood": "unknown",
        "tiles": [
            ("problems", count(len(run.groups))),
            ("methods", count(len({group.method for group in groups}))),
            ("runs", count(sum(len(group.cells) for group in groups))),
        ],
        "headings": HEADINGS,
        "ours": OURS,
        "problems": [
            {
                "name": name,
                "rows": benchmark_rows(found),
                "figure": drawn(regret_figure(found, key=f"p{index}", label=f"Regret on {name}")),
            }
            for index, (name, found) in enumerate(problems)
        ],
        "circumstances": flatten(run.circumstances),
    }


def regret_figure(groups: Sequence[Group], *, key: str, label: str) -> str:
    """Draw median and quartiles of the best regret so far as an SVG element with two logarithmic axes.

    A run ends at its target; its curve continues at the regret that it had there.

    Args:
        groups: The groups of one problem.
        key: Prefix of ids.
        label: Text for screen readers.
    """
    groups = groups[:MOST_LINES]
    longest = max(group.budget for group in groups)
    positive = [value for g in groups for c in g.cells for _, value in c.regret if value > 0]
    floor = 0.5 * min(positive, default=1.0)

    def paint(axes: Axes) -> None:
        tidy(axes)
        axes.tick_params(which="both", length=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("evaluations")
        axes.set_ylabel("regret")
        for formatted in (axes.xaxis, axes.yaxis):
            formatted.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
            formatted.set_minor_formatter(NullFormatter())
        axes.set_xlim(1, longest)
        for index, group in enumerate(groups):
            at = np.unique(np.geomspace(1, group.budget, _POINTS).round())
            curves = np.maximum(np.array([_curve(cell, at) for cell in group.cells]), floor)
            first, median, third = np.quantile(curves, (0.25, 0.5, 0.75), axis=0)
            colour = _COLOURS[index % len(_COLOURS)]
            style = "-" if index < len(_COLOURS) else "--"
            axes.plot(at, median, style, color=colour, linewidth=1.8, label=clean(group.method))
            axes.fill_between(at, first, third, color=colour, alpha=0.12, linewidth=0)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))

    return draw(paint, size=(1000, 340), margins=(64, 200, 42, 12), key=key, label=label)


def _curve(cell: BenchmarkCell, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the best regret of a run up to each of the given evaluations."""
    if not cell.regret:
        return np.full(len(at), math.inf)
    when, values = np.array(cell.regret).T
    found: NDArray[np.float64] = values[np.maximum(np.searchsorted(when, at, side="right") - 1, 0)]
    return found
