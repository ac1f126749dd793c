"""Put the outcome of `asng.minimize` into words and tables."""

from typing import Any

from rich.table import Table
from rich.text import Text

from asng.report.excerpts import cut
from asng.report.reading import Run
from asng.report.table import cell
from asng.report.words import count, duration, score

__all__ = [
    "best_rows",
    "ending",
    "minimize_table",
    "minimize_tiles",
    "minimize_verdict",
    "variable_names",
]

_ONE = "lowest loss"
_SEVERAL = "The found architecture is the one on the front with the least sum of losses, scaled to the front."
_COLUMNS = 12
"""Number of variables whose values are shown."""

_REASONS = {
    "budget": "the budget was spent",
    "target": "the target was reached",
    "patience": "no improvement for too long (patience)",
    "entropy": "the distribution converged (entropy)",
    "seconds": "the time limit was reached (seconds)",
    "exhausted": "every architecture has a known loss (exhausted)",
    "converged": "theta draws no new architectures (converged)",
    "callback": "a callback stopped the search",
}


def minimize_table(run: Run, title: Text) -> Table:
    """Return a table of the best architectures, one per row, with the verdict below."""
    table = Table(title=title, caption=Text(minimize_verdict(run)), caption_justify="left")
    for heading in ("loss", "call", *variable_names(run)):
        table.add_column(cell(heading), justify="right")
    for row in best_rows(run):
        table.add_row(*map(cell, row))
    return table


def minimize_verdict(run: Run) -> str:
    """Say what was found, and why the search ended."""
    best, closest = run.log.calls.best, run.log.calls.closest
    if not best and closest is not None:
        return (
            f"No call with a finite loss kept all constraints; call {count(closest.number)} of "
            f"{count(len(run.log.calls))} breaks them least, by {score(closest.excess)} in all, with a loss "
            f"of {score(closest.loss)}; {ending(run)}."
        )
    if not best:
        return "No call has a finite loss yet."
    calls = f"{count(best[0].number)} of {count(len(run.log.calls))}"
    known = (
        " Losses that were known before are left out." if (run.log.start.settings or {}).get("known") else ""
    )
    what = _lowest(run)
    several = f" {_SEVERAL}" if what != _ONE else ""
    return f"The {what} is {score(best[0].loss)}, found by call {calls}; {ending(run)}.{several}{known}"


def _lowest(run: Run) -> str:
    """Say what the best calls are lowest in: with several objectives, in the sum of the losses."""
    n = len(run.log.calls.objectives)
    return f"lowest sum of the {n} losses" if n > 1 else _ONE


def ending(run: Run) -> str:
    """Say whether the search has ended, and why."""
    if run.log.end is None:
        return "not ended"
    reason = run.log.end.reason or "ended"
    return f"ended: {_REASONS.get(reason, reason)}"


def minimize_tiles(run: Run) -> list[tuple[str, str]]:
    """Return the key figures at the top of the page, as (name, text) pairs."""
    best, steps = run.log.calls.best, run.log.steps
    tiles = [
        (_lowest(run), score(best[0].loss if best else None)),
        ("calls of f", count(len(run.log.calls))),
        ("budget", count(run.log.budget)),
        ("generations", count(int(steps.step[-1]) if len(steps) else 0)),
    ]
    if len(steps):
        tiles.append(("search time", duration(float(steps.seconds[-1]))))
    return tiles


def variable_names(run: Run) -> list[str]:
    """Return the names of the variables that have a column."""
    return list(run.log.calls.names[:_COLUMNS])


def best_rows(run: Run) -> list[list[str]]:
    """Return loss, number and values of the best calls, best first.

    If none counts, that is the call that breaks constraints least.
    """
    names, calls = variable_names(run), run.log.calls
    shown = calls.best or ([calls.closest] if calls.closest else [])
    return [
        [score(call.loss), count(call.number), *(_value(call.architecture.get(name, "")) for name in names)]
        for call in shown
    ]


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else cut(value)
