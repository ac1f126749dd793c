"""The report of `asng.minimize`: its losses, the best of them, and theta."""

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from asng.black_box.report.table import minimize_table
from asng.report.html import Page, RunKind, title_of
from asng.report.reading import read_run
from asng.runs.folder import LOG
from asng.runs.guarded import read_head

__all__ = ["MINIMIZE"]

_FIRST = 2**20
"""Bytes of the first line that are searched; the state of the optimiser, which may be large, comes later."""


def _holds(folder: Path) -> bool:
    path = folder / LOG
    if not path.exists():
        return False
    return b'"kind": "minimize"' in read_head(path, _FIRST)


def _pages(folder: Path) -> Iterator[Page]:
    from asng.black_box.report.page import minimize_page  # loads matplotlib

    yield Page(folder, Path(__file__).parent / "minimize.html.j2", minimize_page(read_run(folder)))


def _table(folder: Path) -> Table:
    return minimize_table(read_run(folder), title_of(folder))


MINIMIZE = RunKind(_holds, _pages, _table)
"""How `asng report` recognises and shows a run of `asng.minimize`."""
