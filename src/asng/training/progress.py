"""The progress bar of a search."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Bar", "progress_bar"]


class Bar:
    """One line that moves; or none, where it is not shown."""

    def __init__(self, progress: Progress | None, title: str, total: int) -> None:
        self._progress = progress
        self._task = None if progress is None else progress.add_task(title, total=total, figures="")

    def update(self, done: int, **figures: float | None) -> None:
        """Show that `done` of all steps are over, and some figures by name."""
        if self._progress is not None and self._task is not None:
            words = (f"{name} {value:.3g}" for name, value in figures.items() if value is not None)
            self._progress.update(self._task, completed=done, figures="  ".join(words))


@contextmanager
def progress_bar(title: str, total: int, *, show: bool) -> Iterator[Bar]:
    """Show a bar with title, steps, time left and figures while the block runs."""
    if not show:
        yield Bar(None, title, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, refresh_per_second=4) as progress:
        yield Bar(progress, title, total)
