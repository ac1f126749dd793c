"""Paint the figures of a black-box search into matplotlib axes, for its report and for notebooks."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from asng.optim.pareto import undominated
from asng.report.figures.curves import every
from asng.report.figures.svg import BLUE, FAINT, ORANGE, hint, legend_above, tidy

__all__ = ["paint_front", "paint_losses"]

_HINTS = 60
"""Number of points of a line that show their value."""
_DOTS = 2_000
"""Number of dots that can be told apart on a page."""


def paint_front(axes: Axes, names: tuple[str, str], points: NDArray[np.float64]) -> None:
    """Paint two objectives, and the points not dominated in them.

    Args:
        axes: Axes to paint into.
        names: Names of the objectives.
        points: Their losses in each call that counts, shape (n, 2).
    """
    first, second = names
    points = points[np.isfinite(points).all(axis=1)] if len(points) else np.empty((0, 2))
    front = undominated(points)
    tidy(axes)
    axes.tick_params(length=0)
    axes.set_xlabel(first)
    axes.set_ylabel(second)
    shown = points[every(len(points), _DOTS)] if len(points) else points
    axes.plot(*shown.T, "o", color=FAINT, markersize=3, alpha=0.6, label="a call")
    front = front[every(len(front), _DOTS)] if len(front) else front
    told = front[every(len(front), _HINTS)] if len(front) else front
    hint(axes, told[:, 0], told[:, 1], [f"{first} {x:.4g}, {second} {y:.4g}" for x, y in told])
    axes.step(*front.T, where="post", color=BLUE, linewidth=1, marker="o", markersize=4, label="the front")
    legend_above(axes)


def paint_losses(axes: Axes, losses: NDArray[np.float64]) -> None:
    """Paint every loss and the best so far.

    Args:
        axes: Axes to paint into.
        losses: Loss of each call, in order, shape (n,), n >= 1; NaN if it has none.
    """
    numbers = np.arange(1, len(losses) + 1)
    finite = np.isfinite(losses)
    least = np.minimum.accumulate(np.where(finite, losses, np.inf))
    tidy(axes)
    axes.tick_params(length=0)
    axes.set_xlabel("call of f")
    axes.set_ylabel("loss")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlim(0, len(losses) + 1)
    shown = every(len(losses), _DOTS)
    axes.plot(numbers[shown], losses[shown], "o", color=FAINT, markersize=3, alpha=0.6, label="a call")
    drawn = np.flatnonzero(np.concatenate([least[:1] < np.inf, least[1:] < least[:-1]]))
    if len(drawn):
        drawn = np.append(drawn, len(least) - 1)
        axes.step(numbers[drawn], least[drawn], where="post", color=BLUE, linewidth=2, label="best so far")
        told = drawn[every(len(drawn), _HINTS)]
        hint(axes, numbers[told], least[told], [f"call {n + 1:,}: best so far {least[n]:.6g}" for n in told])
        low, high = losses[finite].min(), float(np.quantile(losses[finite], 0.98))
        room = 0.05 * (high - low) or 1.0
        axes.set_ylim(low - room, high + room)
    if not finite.all():
        failed = numbers[~finite]
        failed = failed[every(len(failed), _DOTS)]
        edge = axes.get_xaxis_transform()
        axes.plot(failed, np.ones(len(failed)), "x", color=ORANGE, transform=edge, label="no finite loss")
    legend_above(axes)
