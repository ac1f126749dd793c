"""Draw theta over the steps: a heat map of probabilities, or a band about the mean."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from asng.report.figures.svg import BLUE, FAINT, INK, clean, draw, tidy
from asng.runs.events import Normal
from asng.space import Integer, Real, Value

__all__ = ["heat_map", "band", "room_for"]

WIDTH = 350
_COLUMNS = 150
_MOST_CHOICES = 80
"""Maximum number of rows; of more choices, those that are likeliest at the end are shown."""
# viridis is even in lightness, so that the colour-blind can read it, and so can readers of grey prints.
COLOUR_MAP = "viridis"


def heat_map(
    steps: Sequence[int],
    probabilities: NDArray[np.float64],
    choices: Sequence[Value],
    *,
    found: Value,
    room: float,
    key: str,
    label: str,
) -> str:
    """Draw the probabilities of one categorical variable over the steps as an SVG element.

    Args:
        steps: The steps at which theta was logged, increasing, shape (T,).
        probabilities: Shape (T, K).
        choices: K names for the rows.
        found: The choice whose name is bold.
        room: Width left for the names, the same for all maps of a group so that they line up.
        key: Prefix of ids.
        label: What a screen reader says.
    """
    if len(choices) > _MOST_CHOICES:
        kept = np.sort(np.argsort(-np.nan_to_num(probabilities[-1]), kind="stable")[:_MOST_CHOICES])
        choices, probabilities = [choices[k] for k in kept], probabilities[:, kept]
    names = [clean(choice) for choice in choices]
    row = min(17.0, max(3.0, 240 / len(names)))
    # theta is constant from one record to the next; records need not be evenly spaced.
    grid = np.linspace(steps[0], steps[-1], min(_COLUMNS, len(steps)))
    image = probabilities[np.searchsorted(steps, grid, side="right") - 1].T

    def paint(axes: Axes) -> None:
        extent = (steps[0], max(steps[-1], steps[0] + 1), len(names) - 0.5, -0.5)
        axes.imshow(
            image, aspect="auto", interpolation="none", vmin=0, vmax=1, cmap=COLOUR_MAP, extent=extent
        )
        shown = range(0, len(names), max(1, int(np.ceil(11 / row))))
        axes.set_yticks(list(shown), [names[k] for k in shown])
        for k, tick in zip(shown, axes.get_yticklabels(), strict=True):
            tick.set_fontweight("bold" if choices[k] == found else "normal")
        axes.tick_params(length=0, pad=4)
        axes.spines[:].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))

    size = (WIDTH, row * len(names) + 24)
    return draw(paint, size=size, margins=(room, 14, 20, 4), key=key, label=label)


def room_for(choices: Sequence[Value]) -> float:
    """Return the width that the names of choices need beside a heat map."""
    return 14 + 6.3 * max((len(clean(choice)) for choice in choices), default=0)


def band(
    steps: Sequence[int],
    theta: Sequence[Normal],
    variable: Integer | Real,
    *,
    room: float,
    key: str,
    label: str,
) -> str:
    """Draw mean +- std of one ordered variable over the steps, its bounds dashed, as an SVG element.

    Args:
        steps: The steps at which theta was logged, increasing, shape (T,).
        theta: Mean and std in raw coordinates, shape (T,).
        variable: The variable, which gives the bounds and the scale.
        room: Width left for the numbers, at least 50.
        key: Prefix of ids.
        label: What a screen reader says.
    """
    mean, std = np.array([(one.mean, one.std) for one in theta]).T

    def value(raw: NDArray[np.float64]) -> NDArray[np.float64]:
        # More than a factor of e beyond the bounds nothing is visible, and exp could overflow.
        top = np.log(variable.high) + 1 if variable.log else 0.0
        return np.exp(np.minimum(raw, top)) if variable.log else raw

    def paint(axes: Axes) -> None:
        tidy(axes)
        if variable.log:
            axes.set_yscale("log")
        axes.fill_between(steps, value(mean - std), value(mean + std), color=BLUE, alpha=0.2, linewidth=0)
        axes.plot(steps, value(mean), color=BLUE, linewidth=1.8)
        for bound in (variable.low, variable.high):
            axes.axhline(bound, color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
        _limits(axes, variable)
        axes.set_xlim(steps[0], max(steps[-1], steps[0] + 1))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.tick_params(length=0, colors=INK)

    return draw(paint, size=(WIDTH, 120), margins=(max(room, 50), 14, 20, 6), key=key, label=label)


def _limits(axes: Axes, variable: Integer | Real) -> None:
    low, high = variable.low, variable.high
    ticks = [low, (low * high) ** 0.5 if variable.log else (low + high) / 2, high]
    if variable.log:
        axes.set_ylim(low / (high / low) ** 0.06, high * (high / low) ** 0.06 * (1 + (low == high)))
    else:
        room = 0.06 * (high - low) or 1.0
        axes.set_ylim(low - room, high + room)
    ticks = sorted(set(ticks))
    axes.set_yticks(ticks, [f"{tick:.3g}" if tick < 1000 else f"{tick:.0f}" for tick in ticks])
    axes.set_yticks([], minor=True)
