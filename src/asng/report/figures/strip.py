"""Draw found against random networks: each one a mark, in a row or over its size."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from asng.report.excerpts import MOST_DOTS, spread_out
from asng.report.figures.svg import (
    ABOVE,
    BLUE,
    FAINT,
    INK,
    ORANGE,
    clean,
    draw,
    hint,
    legend_above,
    tidy,
)

__all__ = ["Row", "strip_plot", "trade_plot"]

_ROW = 40
_DOT: dict[str, Any] = {"marker": "o", "markersize": 7, "markerfacecolor": "white", "markeredgecolor": INK}
_DIAMOND: dict[str, Any] = {"marker": "D", "markersize": 7, "color": ORANGE}


@dataclass(frozen=True)
class Row:
    """One search in the plot; unknown scores are NaN.

    Attributes:
        name: Text at the left of the row, may be empty.
        found: Score of the found network.
        mean: Mean of its random peers.
        sd: Their standard deviation.
        peers: Their scores, empty if only mean and sd are known.
        baseline: Score of the user's own network.
    """

    name: str
    found: float
    mean: float
    sd: float
    peers: Sequence[float]
    baseline: float = math.nan


def strip_plot(rows: Sequence[Row], *, metric: str, higher_is_better: bool) -> str:
    """Draw one row per search as an SVG element.

    Random networks are open dots, the found one is a bar, and a baseline is a diamond.

    Args:
        rows: One per search, at least one.
        metric: Name of the score, for the axis.
        higher_is_better: Whether a higher score is better, for the axis.
    """
    names = [clean(row.name, 16) for row in rows]

    def paint(axes: Axes) -> None:
        tidy(axes)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        for at, row in enumerate(rows):
            _paint_row(axes, at, row)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), names)
        axes.tick_params(length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel(f"{clean(metric, 40)} ({'higher' if higher_is_better else 'lower'} is better)")
        axes.margins(x=0.06)
        _legend(axes, rows)

    left = 16 + 6.5 * max(len(name) for name in names)
    return draw(
        paint,
        size=(480, _ROW * len(rows) + 84),
        margins=(left, 16, 42, 42),
        key="strip",
        label=f"{metric} of the found network against random ones",
    )


def trade_plot(networks: Mapping[str, Sequence[tuple[float, float]]], *, metric: str) -> str:
    """Draw scores over numbers of parameters as an SVG element.

    Args:
        networks: Parameters and score of each network, under "found", "random" and "baseline"; at least one.
        metric: Name of the score.
    """
    marks: dict[str, dict[str, Any]] = {"random": _DOT, "baseline": _DIAMOND}
    marks["found"] = {"marker": "o", "markersize": 7, "color": BLUE}

    def paint(axes: Axes) -> None:
        tidy(axes)
        axes.tick_params(length=0)
        axes.set_xlabel("parameters")
        axes.set_ylabel(clean(metric, 30))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.margins(x=0.08, y=0.12)
        for name, points in networks.items():
            if points:
                shown = spread_out(points, MOST_DOTS)
                x, y = zip(*shown, strict=True)
                axes.plot(x, y, linestyle="none", label=name, **marks[name])
                hint(axes, x, y, [f"{name}: {score:.4g}, {size:,.0f} parameters" for size, score in shown])
        legend_above(axes)

    label = f"{metric} over the parameters of the networks"
    return draw(paint, size=(480, 240), margins=(70, 16, 42, ABOVE), key="trade", label=label)


def _paint_row(axes: Axes, at: int, row: Row) -> None:
    if math.isfinite(row.mean):
        if math.isfinite(row.sd):
            axes.fill_betweenx(
                [at - 0.3, at + 0.3], row.mean - row.sd, row.mean + row.sd, color="#e6e9ec", lw=0
            )
        axes.vlines(row.mean, at - 0.3, at + 0.3, color=FAINT, linewidth=2, linestyle=(0, (3, 2)))
    # Fixed offsets, so that the page is the same each time and equal scores stay apart.
    peers = spread_out(row.peers, MOST_DOTS)
    height = at + 0.18 * np.resize([0.0, -1.0, 1.0, -0.5, 0.5], len(peers))
    axes.plot(peers, height, linestyle="none", alpha=0.8, **_DOT)
    hint(axes, peers, height, [f"random {score:.4g}" for score in peers])
    if math.isfinite(row.baseline):
        axes.plot([row.baseline], [at], linestyle="none", **_DIAMOND)
    if math.isfinite(row.found):
        axes.vlines(row.found, at - 0.38, at + 0.38, color=BLUE, linewidth=3)
        hint(axes, [row.found], [at], [f"found {row.found:.4g}"])


def _legend(axes: Axes, rows: Sequence[Row]) -> None:
    handles = [
        Line2D([], [], color=BLUE, linewidth=3, label="found"),
        Line2D([], [], color=FAINT, linewidth=2, linestyle=(0, (3, 2)), label="mean of random +- sd"),
    ]
    if any(len(row.peers) for row in rows):
        handles.append(Line2D([], [], linestyle="none", label="random", **_DOT))
    if any(math.isfinite(row.baseline) for row in rows):
        handles.append(Line2D([], [], linestyle="none", label="baseline", **_DIAMOND))
    legend_above(axes, handles)
