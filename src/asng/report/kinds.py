"""Kinds of runs: each brings the pages and the table of its folders."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from asng.errors import RunError
from asng.runs.folder import refuse_no_run

__all__ = ["Page", "RunKind", "kind_of"]


@dataclass(frozen=True)
class Page:
    """A page to be written.

    Attributes:
        folder: Where its report.html belongs.
        template: The Jinja2 template.
        values: What the template fills in; text is escaped.
    """

    folder: Path
    template: Path
    values: Mapping[str, Any]


@dataclass(frozen=True)
class RunKind:
    """What a kind of run gives to the report.

    Attributes:
        holds: Whether a folder holds a run of this kind; looks at names and at most one line.
        pages: Reads a folder and yields its pages, those that others link to first.
        table: Reads a folder and returns its outcome as a table for the terminal.
    """

    holds: Callable[[Path], bool]
    pages: Callable[[Path], Iterator[Page]]
    table: Callable[[Path], Table]


def kind_of(folder: Path, kinds: Sequence[RunKind]) -> RunKind:
    """Return the first kind that a folder is of.

    Raises:
        RunError: There is no such folder, nothing of a run is in it, or it is of another kind.
    """
    refuse_no_run(folder)
    for kind in kinds:
        if kind.holds(folder):
            return kind
    raise RunError(f"{folder}: holds a run of another kind. `asng report {folder}` knows all kinds.")
