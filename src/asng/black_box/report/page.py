"""What the template of a run of `asng.minimize` fills in."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from asng.black_box.hypervolume import undominated
from asng.black_box.importance import ThetaPath, sample_importance
from asng.black_box.report.table import best_rows, ending, minimize_tiles, minimize_verdict, variable_names
from asng.report.figures.curves import every
from asng.report.figures.svg import BLUE, FAINT, ORANGE, draw, drawn, tidy
from asng.report.page import run_page
from asng.report.reading import Run
from asng.report.words import flatten
from asng.runs.history import Calls
from asng.space import Space

__all__ = ["front_figure", "importance_figure", "loss_figure", "minimize_page"]

_BARS = 30
"""Of variables, the most important ones."""

_MOST_ASKED = 500
"""Variables of which is asked what they explain, which takes milliseconds: those that theta settled on."""

_DOTS = 2_000
"""As many as can be told apart on a page."""


def minimize_page(run: Run) -> Mapping[str, Any]:
    """Return the values of the template; a run that is not finished gives a page of what is."""
    start = run.log.start
    settings = {"budget": start.budget, "settings": start.settings}
    return {
        **run_page(run),
        "state": ending(run),
        "verdict": minimize_verdict(run),
        "mood": "unknown",
        "tiles": minimize_tiles(run),
        "losses": drawn(loss_figure(run.log.calls)) if run.log.calls else "",
        "importance": _importance(run),
        "front": drawn(front_figure(run.log.calls)) if _objectives(run.log.calls) else "",
        "columns": variable_names(run),
        "best": best_rows(run),
        "settings": flatten({name: value for name, value in settings.items() if value is not None}),
    }


def _importance(run: Run) -> str:
    if run.log.space is None or not run.log.theta or not len(run.log.calls):
        return ""
    return drawn(importance_figure(run, run.log.space))


def importance_figure(run: Run, space: Space) -> str:
    """Draw how much each variable matters, by samples and by theta, as an SVG element.

    Args:
        run: With calls and theta.
        space: What was searched.
    """
    samples = [(call.architecture, call.loss, call.active) for call in run.log.calls.sample]
    settling = ThetaPath(space)
    for step, theta in run.log.theta:
        settling.add(step, theta)
    settled = settling.shares()
    asked = sorted(space, key=settled.__getitem__)[-_MOST_ASKED:]
    shares = sample_importance({name: space[name] for name in asked}, samples)
    names = sorted(asked, key=lambda name: (shares[name], settled[name]))[-_BARS:]
    places = np.arange(len(names))

    def paint(axes: Axes) -> None:
        tidy(axes)
        axes.tick_params(length=0)
        axes.barh(places + 0.2, [shares[n] for n in names], 0.36, color=BLUE, label="losses of samples")
        axes.barh(places - 0.2, [settled[n] for n in names], 0.36, color=FAINT, label="path of theta")
        axes.set_yticks(places, [name if len(name) <= 24 else f"{name[:23]}…" for name in names])
        axes.set_xlim(0.0, 1.0)
        axes.set_xlabel("importance")
        axes.legend(frameon=False, loc="lower right")

    label = "Importance of each variable, by the losses of samples and by the path of theta"
    size = (1100.0, 70.0 + 30.0 * len(names))
    return draw(paint, size=size, margins=(180, 16, 38, 12), key="importance", label=label)


def _objectives(calls: Calls) -> tuple[str, ...]:
    return next((tuple(call.losses) for call in calls.sample if call.losses), ())


def front_figure(calls: Calls) -> str:
    """Draw the first two of several objectives, and what is not dominated in them, as an SVG element.

    Args:
        calls: Some with losses by name.
    """
    first, second = _objectives(calls)[:2]
    points = np.array([[call.losses[first], call.losses[second]] for call in calls.sample if call.losses])
    points = points[np.isfinite(points).all(axis=1)]
    front = undominated(points) if len(points) else points

    def paint(axes: Axes) -> None:
        tidy(axes)
        axes.tick_params(length=0)
        axes.set_xlabel(first)
        axes.set_ylabel(second)
        axes.plot(*points.T, "o", color=FAINT, markersize=3, alpha=0.6, label="a call")
        axes.step(
            *front.T, where="post", color=BLUE, linewidth=1, marker="o", markersize=4, label="the front"
        )
        axes.legend(frameon=False, loc="upper right")

    label = f"{second} against {first} of the calls, and the front"
    return draw(paint, size=(700, 420), margins=(70, 16, 42, 12), key="front", label=label)


def loss_figure(calls: Calls) -> str:
    """Draw every loss, and the least so far, as an SVG element.

    Args:
        calls: One or more.
    """
    losses = calls.losses
    numbers = np.arange(1, len(losses) + 1)
    finite = np.isfinite(losses)
    least = np.minimum.accumulate(np.where(finite, losses, np.inf))

    def paint(axes: Axes) -> None:
        tidy(axes)
        axes.tick_params(length=0)
        axes.set_xlabel("call of f")
        axes.set_ylabel("loss")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlim(0, len(losses) + 1)
        shown = every(len(losses), _DOTS)
        axes.plot(numbers[shown], losses[shown], "o", color=FAINT, markersize=3, alpha=0.6, label="a call")
        better = np.concatenate([least[:1] < np.inf, least[1:] < least[:-1]])
        drawn = np.flatnonzero(better)
        if len(drawn):
            drawn = np.append(drawn, len(least) - 1)
            axes.step(
                numbers[drawn], least[drawn], where="post", color=BLUE, linewidth=2, label="least so far"
            )
            low, high = losses[finite].min(), float(np.quantile(losses[finite], 0.98))
            room = 0.05 * (high - low) or 1.0
            axes.set_ylim(low - room, high + room)
        if not finite.all():
            failed = numbers[~finite]
            failed = failed[every(len(failed), _DOTS)]
            edge = axes.get_xaxis_transform()
            axes.plot(failed, np.ones(len(failed)), "x", color=ORANGE, transform=edge, label="no finite loss")
        axes.legend(frameon=False, loc="upper right")

    label = "Loss of every call of f, and the least so far"
    return draw(paint, size=(1100, 280), margins=(58, 16, 38, 12), key="losses", label=label)
