"""Draw entropy, step size and losses over the steps; long series are shortened without a visible change."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from asng.report.figures.svg import ABOVE, BLUE, FAINT, ORANGE, draw, hint, legend_above, tidy
from asng.runs.history import Steps

__all__ = [
    "delta_curve",
    "entropy_curve",
    "envelope",
    "every",
    "loss_curves",
    "paint_delta",
    "paint_entropy",
    "paint_finalists",
    "paint_losses",
    "smooth",
    "warm_up",
]

Floats = NDArray[np.float64]
_SIZE, _MARGINS = (540, 230), (58, 16, 38, 12)
_HINTS = 60
"""Number of points of a curve that show their value."""


def warm_up(steps: Steps) -> tuple[float, float] | None:
    """Return the first and the last step before the first objective, or None if there was no warm-up."""
    scored = np.flatnonzero(np.isfinite(steps.objective))
    end = int(scored[0]) if len(scored) else len(steps)
    return (float(steps.step[0]), float(steps.step[end - 1])) if end else None


def paint_entropy(axes: Axes, steps: Steps) -> None:
    """Paint the entropy of theta relative to the uniform distribution."""
    _frame(axes, steps)
    axes.plot(*envelope(steps.step, steps.entropy), color=BLUE, linewidth=1.8)
    _say(axes, steps.step, steps.entropy, "entropy")
    axes.set_ylim(-0.03, 1.05)
    axes.set_ylabel("entropy (1 = uniform)")


def entropy_curve(steps: Steps) -> str:
    """Draw the entropy of theta as an SVG element."""
    paint = partial(paint_entropy, steps=steps)
    return draw(paint, size=_SIZE, margins=_MARGINS, key="entropy", label="Entropy of theta over the steps")


def paint_delta(axes: Axes, steps: Steps) -> None:
    """Paint the step size delta, on a log scale if it changes more than tenfold."""
    finite = steps.delta[np.isfinite(steps.delta)]
    _frame(axes, steps)
    axes.plot(*envelope(steps.step, steps.delta), color=BLUE, linewidth=1.8)
    _say(axes, steps.step, steps.delta, "delta")
    if len(finite) and finite.min() > 0 and finite.max() > 10 * finite.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel("step size delta")


def delta_curve(steps: Steps) -> str:
    """Draw the step size delta as an SVG element."""
    paint = partial(paint_delta, steps=steps)
    return draw(paint, size=_SIZE, margins=_MARGINS, key="delta", label="Step size delta over the steps")


def paint_losses(axes: Axes, steps: Steps, objective: str | None = None) -> None:
    """Paint the training loss and the selection objective, raw and as running means.

    Args:
        axes: Axes to paint into.
        steps: The steps of a run.
        objective: Name of the objective if it is not the loss: it then has an axis of its own, on the right.
    """
    selecting = "validation loss" if objective is None else f"{objective} on validation data"
    _frame(axes, steps)
    axes.set_ylabel("loss")
    right = axes if objective is None else axes.twinx()
    _line(axes, steps, steps.loss, BLUE, "training loss")
    _line(right, steps, steps.objective, ORANGE, selecting)
    if right is axes:
        _limit(axes, [steps.loss, steps.objective])
    else:
        right.spines[["top", "left"]].set_visible(False)
        right.tick_params(length=0)
        right.set_ylabel(objective or "")
        _limit(axes, [steps.loss])
    drawn = [line for side in {axes: 0, right: 0} for line in side.get_legend_handles_labels()[0]]
    if drawn:
        legend_above(axes, drawn)


def loss_curves(steps: Steps, objective: str | None = None) -> str:
    """Draw the training loss and the selection objective as an SVG element; see `paint_losses`."""
    paint = partial(paint_losses, steps=steps, objective=objective)
    left, right, bottom, _ = _MARGINS
    return draw(
        paint,
        size=(1100, 300),
        margins=(left, right if objective is None else left, bottom, ABOVE),
        key="loss",
        label="Training loss and selection objective over the steps",
    )


def paint_finalists(axes: Axes, scores: Sequence[tuple[float | None, float | None, float | None]]) -> None:
    """Paint the scores of networks that were trained alone, in the order of the final.

    Args:
        axes: Axes to paint into.
        scores: Scores of each network on the shared weights, after its training alone, and after a longer
            one; None if it has none.
    """
    tidy(axes)
    axes.tick_params(length=0)
    axes.set_xlabel("finalist")
    axes.set_ylabel("score")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    styles = (
        ("on shared weights", FAINT, "x"),
        ("trained alone", BLUE, "o"),
        ("trained for longer", ORANGE, "s"),
    )
    for values, (name, colour, marker) in zip(zip(*scores, strict=True), styles, strict=True):
        shown = [(number, value) for number, value in enumerate(values, 1) if value is not None]
        if shown:
            axes.plot(*zip(*shown, strict=True), marker, color=colour, label=name)
    legend_above(axes)


def _line(axes: Axes, steps: Steps, values: Floats, colour: str, name: str) -> None:
    if np.isfinite(values).any():
        axes.plot(*envelope(steps.step, values), color=colour, linewidth=0.7, alpha=0.3)
        middle = smooth(steps.step, values)
        axes.plot(*middle, color=colour, linewidth=2, label=name)
        _say(axes, *middle, name)


def _say(axes: Axes, step: Floats, values: Floats, name: str) -> None:
    """Show values where the mouse rests on a curve."""
    at = every(len(step), _HINTS) if len(step) else np.empty(0, dtype=np.int64)
    words = [f"step {step[i]:,.0f}: {name} {values[i]:.4g}" for i in at]
    hint(axes, step[at], values[at], words)


def _frame(axes: Axes, steps: Steps) -> None:
    tidy(axes)
    axes.set_xlabel("step")
    axes.set_xlim(steps.step[0], max(steps.step[-1], steps.step[0] + 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(length=0)
    shaded = warm_up(steps)
    if shaded is not None:
        axes.axvspan(*shaded, color="#eef0f2", linewidth=0, zorder=0)
        top = axes.get_xaxis_transform()
        axes.annotate(
            "warm-up", (shaded[0], 0.0), xycoords=top, xytext=(6, 6), textcoords="offset pixels", color=FAINT
        )


def _limit(axes: Axes, series: list[Floats]) -> None:
    """Cut off the highest spikes, so that one divergent step does not flatten all the rest."""
    values = np.concatenate([values[np.isfinite(values)] for values in series])
    if len(values):
        low, high = values.min(), np.quantile(values, 0.995)
        room = 0.05 * (high - low) or 1.0
        axes.set_ylim(low - room, high + room)


def envelope(x: Floats, y: Floats, bins: int = 500) -> tuple[Floats, Floats]:
    """Keep the least and the greatest finite value of each bin, so that spikes stay visible.

    Args:
        x: Increasing positions, shape (n,).
        y: Values, shape (n,); values that are not finite are left out.
        bins: Number of bins, which have equally many values.

    Returns:
        At most 2 * bins positions and values, in order.
    """
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) <= 2 * bins:
        return x, y
    edges = np.linspace(0, len(x), bins + 1).astype(int)
    kept = np.array([a + at for a, b in pairwise(edges.tolist()) for at in _ends(y[a:b])], dtype=int)
    return x[kept], y[kept]


def _ends(y: Floats) -> list[int]:
    return sorted({int(np.argmin(y)), int(np.argmax(y))})


def smooth(x: Floats, y: Floats, share: float = 0.04, points: int = 400) -> tuple[Floats, Floats]:
    """Return the centred running mean of the finite values, over a share of the series.

    Args:
        x: Increasing positions, shape (n,).
        y: Values, shape (n,); values that are not finite are left out.
        share: Width of the window as a share of the values; at least one value.
        points: Maximum number of points to return.
    """
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if not len(y):
        return x, y
    half = int(share * len(y) / 2)
    at = every(len(y), points)
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(y))
    # Relative to the mean, since differences of long sums of large losses would lose digits.
    centre = y.mean()
    sums = np.concatenate([[0.0], np.cumsum(y - centre)])
    return x[at], centre + (sums[high] - sums[low]) / (high - low)


def every(n: int, points: int) -> NDArray[np.int64]:
    """Return at most `points` indices into n values, evenly spread and including both ends."""
    return np.unique(np.linspace(0, n - 1, min(n, points)).round().astype(np.int64))
