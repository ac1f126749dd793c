"""Compute what the report page of a run of `asng.minimize` shows."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from asng.black_box.measured import rank_sums, rank_value
from asng.black_box.painting import paint_front, paint_losses
from asng.black_box.report.table import best_rows, ending, minimize_tiles, minimize_verdict, variable_names
from asng.report.figures.importance import Samples, importance_figure
from asng.report.figures.svg import ABOVE, draw, drawn
from asng.report.page import run_page
from asng.report.reading import Run
from asng.report.settings import settings_of
from asng.runs.history import Call, Calls

__all__ = ["front_figure", "loss_figure", "minimize_page"]


def minimize_page(run: Run) -> Mapping[str, Any]:
    """Return the values of the template; for an unfinished run, those that exist so far."""
    start = run.log.start
    settings = {"budget": run.log.budget, **(start.settings or {}), "defaults": start.defaults}
    return {
        **run_page(run),
        "state": ending(run),
        "verdict": minimize_verdict(run),
        "mood": "unknown",
        "tiles": minimize_tiles(run),
        "losses": drawn(loss_figure(run.log.calls)) if run.log.calls else "",
        "importance": _importance(run),
        "front": drawn(front_figure(run.log.calls)) if len(run.log.calls.objectives) > 1 else "",
        "columns": variable_names(run),
        "best": best_rows(run),
        "settings": settings_of({name: value for name, value in settings.items() if value is not None}),
    }


def _importance(run: Run) -> str | None:
    calls = run.log.calls
    if run.log.space is None or not run.log.theta or not len(calls):
        return None
    several = len(calls.objectives) > 1
    told = rank_sums([c.losses for c in calls.sample]) if several else [_told(c) for c in calls.sample]
    samples = [(c.architecture, loss, c.active) for c, loss in zip(calls.sample, told, strict=True)]
    return drawn(importance_figure(run.log, run.log.space, [Samples("losses of samples", samples)]))


def _told(call: Call) -> float:
    return rank_value(0.0, {"": call.excess}) if call.excess > 0.0 else call.loss


def front_figure(calls: Calls) -> str:
    """Draw the first two of several objectives, and the points not dominated in them, as an SVG element.

    Args:
        calls: Calls with several objectives.
    """
    first, second = calls.objectives[:2]
    label = f"{second} against {first} of all calls, with the Pareto front"
    paint = partial(paint_front, names=(first, second), points=calls.pairs)
    return draw(paint, size=(700, 440), margins=(70, 16, 42, ABOVE), key="front", label=label)


def loss_figure(calls: Calls) -> str:
    """Draw every loss and the least so far as an SVG element.

    Args:
        calls: One or more.
    """
    label = "Loss of every call of f, and the best so far"
    paint = partial(paint_losses, losses=calls.losses)
    return draw(paint, size=(1100, 300), margins=(58, 16, 38, ABOVE), key="losses", label=label)
