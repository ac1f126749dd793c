"""The values and figures that the report of a compression shows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from msgspec.structs import replace

from asng.compression.report.table import compression_rows, compression_verdict, headings
from asng.compression.stored import MOST_POINTS, StoredChild, StoredCompression
from asng.report.excerpts import MOST_COLUMNS, MOST_ROWS, excerpt, spread_out
from asng.report.figures.svg import (
    ABOVE,
    BLUE,
    FAINT,
    INK,
    ORANGE,
    clean,
    draw,
    drawn,
    hint,
    legend_above,
    tidy,
)
from asng.report.words import count, duration, score

__all__ = ["compression_page", "front_figure", "widths_figure"]

_MOST_LAYERS, _MOST_OF_PAGE = 120, 480
"""Most layers that one figure draws, and all figures of a page together; those at the start are kept."""


def compression_page(title: str, run: StoredCompression | None) -> Mapping[str, Any]:
    """Return the values of the template; for a compression that is not finished, the page says so."""
    run = StoredCompression() if run is None else run
    left_out = list[str]()
    run = replace(run, children=tuple(excerpt(run.children, MOST_COLUMNS, "children", left_out)))
    most = min(_MOST_LAYERS, _MOST_OF_PAGE // max(len(run.children), 1))
    sign = 1.0 if run.higher_is_better else -1.0
    worse = any(sign * (child.score - run.model.score) < 0.0 for child in run.children)
    return {
        "title": title,
        "left_out": left_out,
        "verdict": compression_verdict(run),
        "mood": "unknown" if worse or not run.children else "good",
        "tiles": _tiles(run),
        "headings": headings(run),
        "rows": compression_rows(run),
        "front": drawn(front_figure(run)) if run.children else "",
        "measure": run.measure.replace("_", " "),
        "children": [
            {
                "name": child.goal,
                "figure": drawn(widths_figure(child, key=f"w{number}", most=most)) if child.widths else "",
                "files": child.files,
            }
            for number, child in enumerate(run.children)
        ],
        "fixed": excerpt(sorted(run.fixed.items()), MOST_ROWS, "layers whose width was kept", left_out),
        "notes": excerpt(run.notes, MOST_ROWS, "notes", left_out),
        "seconds": [(part, duration(seconds)) for part, seconds in run.seconds.items()][:MOST_ROWS],
    }


def _tiles(run: StoredCompression) -> list[tuple[str, str]]:
    tiles = [(f"model, {run.metric}", score(run.model.score))]
    for child in run.children:
        tiles.append((f"{child.goal}, {run.metric}", score(child.score)))
    if run.seconds:
        tiles.append(("total time", duration(sum(run.seconds.values()))))
    if run.scored:
        tiles.append(("networks scored", count(run.scored)))
    return tiles


def front_figure(run: StoredCompression) -> str:
    """Draw scores over the limited cost, as SVG: of networks after a few steps, children and the model."""
    points = np.array(spread_out(run.points, MOST_POINTS), dtype=float).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    whole = run.model.costs.get(run.measure, float("nan"))

    def paint(axes: Axes) -> None:
        tidy(axes)
        axes.tick_params(length=0)
        axes.set_xlabel(f"{run.measure.replace('_', ' ')}, share of the model's")
        axes.set_ylabel(clean(run.metric))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.plot(
            points[:, 0] / whole,
            points[:, 1],
            "o",
            color=FAINT,
            markersize=3,
            alpha=0.5,
            label="after a few steps",
        )
        shares = [child.costs.get(run.measure, float("nan")) / whole for child in run.children]
        before, after = [c.before for c in run.children], [c.score for c in run.children]
        axes.vlines(shares, before, after, color=BLUE, linewidth=1.2)
        axes.plot(shares, before, "o", color=BLUE, markerfacecolor="white", label="child, before fine-tuning")
        axes.plot(shares, after, "o", color=BLUE, label="child")
        words = [f"{child.goal}: {child.score:.4f}, {child.before:.4f} before" for child in run.children]
        hint(axes, shares, after, words)
        axes.plot([1.0], [run.model.score], "s", color=ORANGE, label="model")
        axes.set_xlim(0.0, 1.06)
        shown = [value for value in (*points[:, 1], *before, *after, run.model.score) if np.isfinite(value)]
        if shown:
            low, high = np.quantile(shown, 0.02), np.quantile(shown, 0.98)
            ends = [value for value in (*before, *after, run.model.score) if np.isfinite(value)]
            low, high = min(low, *ends), max(high, *ends)
            room = 0.06 * (high - low) or 1.0
            axes.set_ylim(low - room, high + room)
        legend_above(axes)

    label = f"{run.metric} over {run.measure} of networks after a few steps, of the children and the model"
    return draw(paint, size=(760, 400), margins=(70, 16, 42, ABOVE), key="front", label=label)


def widths_figure(child: StoredChild, *, key: str, most: int = _MOST_LAYERS) -> str:
    """Draw how many channels each layer keeps, from the first layer down, as SVG."""
    layers = list(child.widths.items())[:most]
    places = np.arange(len(layers))[::-1]

    def paint(axes: Axes) -> None:
        tidy(axes)
        axes.grid(visible=False, axis="y")
        axes.tick_params(length=0)
        shares = [now / full if full else 0.0 for _, (now, full) in layers]
        axes.barh(places, 1.0, 0.7, color="#e3e7eb")
        axes.barh(places, shares, 0.7, color=BLUE)
        for place, (_, (now, full)) in zip(places, layers, strict=True):
            words = "removed" if now == 0 else f"{now} of {full}" if now < full else f"{full}"
            axes.text(1.01, place, words, va="center", fontsize=10, color=INK)
        axes.set_yticks(places, [clean(path, 38) for path, _ in layers])
        axes.set_ylim(-0.6, len(layers) - 0.4)
        axes.set_xlim(0.0, 1.0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("channels that remain")

    size = (760.0, 60.0 + 20.0 * len(layers))
    label = f"Channels of each layer in the child for {child.goal}"
    return draw(paint, size=size, margins=(250, 80, 42, 8), key=key, label=label)
