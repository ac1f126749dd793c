"""What the template of a run of `asng.minimize` fills in."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from asng.report.black_box.figure import loss_figure
from asng.report.black_box.table import best_rows, ending, minimize_tiles, minimize_verdict, variable_names
from asng.report.page import run_page
from asng.report.reading import Run
from asng.report.words import flatten

__all__ = ["minimize_page"]


def minimize_page(run: Run) -> Mapping[str, Any]:
    """Return the values of the template; a run that is not finished gives a page of what is."""
    start = run.log.start
    names = ("budget", "settings")
    return {
        **run_page(run),
        "state": ending(run),
        "verdict": minimize_verdict(run),
        "mood": "unknown",
        "tiles": minimize_tiles(run),
        "losses": Markup(loss_figure(run.log.calls)) if run.log.calls else "",
        "columns": variable_names(run),
        "best": best_rows(run),
        "settings": flatten({name: start[name] for name in names if name in start}),
    }
