"""Show the progress of a search: by a bar on a terminal, else by a line a minute."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

__all__ = ["Bar", "progress_bar"]

EVERY = 60.0
"""Seconds between two lines if there is no terminal."""
WIDE, NARROW = 24, 8
"""Characters of the bar, on terminals of at least 100 columns and at least 70; narrower ones have none."""


class Bar:
    """Shows how far a task has come, or nothing.

    Args:
        show: Called with the number of steps done and the figures as text; None shows nothing.

    Attributes:
        shows: Whether it shows anything.
    """

    def __init__(self, show: Callable[[int, str], None] | None = None) -> None:
        self._show, self.shows = show, show is not None

    def update(self, done: int, **figures: float | None) -> None:
        """Show that `done` steps are finished, and some figures by name."""
        if self._show is not None:
            words = (f"{name} {value:.3g}" for name, value in figures.items() if value is not None)
            self._show(done, "  ".join(words))


@contextmanager
def progress_bar(
    title: str,
    total: int,
    *,
    show: bool,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Bar]:
    """Show title, steps, time left and figures while the block runs.

    Args:
        title: What is done.
        total: Its steps.
        show: False shows nothing.
        console: Where to show it. Default: standard output. If it is not a terminal, as in a pipe or the log
            of a cluster, a line is written each minute, and a last one if the block took longer than that.
        clock: Returns seconds, for those lines.
    """
    console = _Lasting() if console is None else console
    if not show:
        yield Bar()
    elif console.is_terminal or console.is_jupyter:
        with Progress(
            *_columns(console.width), console=console, refresh_per_second=4, expand=True
        ) as progress:
            task = progress.add_task(title, total=total, figures="")
            yield Bar(lambda done, words: progress.update(task, completed=done, figures=words))
    else:
        lines = _Lines(title, total, console, clock)
        try:
            yield Bar(lines.update)
        finally:
            lines.end()


def _columns(width: int) -> list[ProgressColumn]:
    """Return the columns that a terminal has room for; the title and the figures shrink first."""
    title, figures = (Column(no_wrap=True, overflow="ellipsis", ratio=ratio) for ratio in (2, 3))
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", table_column=title),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
        TextColumn("{task.fields[figures]}", table_column=figures),
    ]
    if width >= 70:
        columns.insert(1, BarColumn(bar_width=WIDE if width >= 100 else NARROW))
    return columns


class _Lasting(Console):
    """A console that does not end the process if the reader of its pipe has ended."""

    def on_broken_pipe(self) -> None:
        """Write to nowhere from now on."""
        with suppress(SystemExit):
            super().on_broken_pipe()


class _Lines:
    """Writes a line of progress every minute."""

    def __init__(self, title: str, total: int, console: Console, clock: Callable[[], float]) -> None:
        self._title, self._total, self._console, self._clock = title, total, console, clock
        self._begun = self._last = clock()
        self._now: tuple[int, str] | None = None

    def update(self, done: int, words: str) -> None:
        self._now = done, words
        if self._clock() - self._last >= EVERY:
            self._write()

    def end(self) -> None:
        if self._now is not None and self._last > self._begun:  # a short task is not worth a line
            self._write()

    def _write(self) -> None:
        assert self._now is not None
        (done, words), self._last = self._now, self._clock()
        seconds = (self._last - self._begun) * (self._total - done) / max(done, 1)
        left = f", {seconds / 60.0:.0f} min left" if 0 < done < self._total else ""
        self._now = None
        line = f"{self._title}: {done} of {self._total}{left}  {words}".rstrip()
        with suppress(OSError):  # a full disk, which is no reason to end hours of work
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
