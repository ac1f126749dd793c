"""The report of a compression: before and after, what was cut where, and the front."""

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from asng.compression.report.table import compression_table
from asng.compression.stored import StoredCompression, read_compression
from asng.report.html import Page, RunKind, title_of
from asng.report.settings import settings_in, settings_of
from asng.runs.folder import COMPRESSION_LOG

__all__ = ["COMPRESSION"]


def _pages(folder: Path) -> Iterator[Page]:
    from asng.compression.report.page import compression_page  # loads matplotlib

    stored = read_compression(folder)
    page = compression_page(folder.resolve().name, stored)
    settings = settings_in(folder)
    if not settings.others and stored is not None:  # started from Python, which writes no config.yaml
        settings = settings_of(stored.settings)
    values = {**page, "settings": settings}
    yield Page(folder, Path(__file__).parent / "compression.html.j2", values)


def _table(folder: Path) -> Table:
    return compression_table(read_compression(folder) or StoredCompression(), title_of(folder))


COMPRESSION = RunKind(lambda folder: (folder / COMPRESSION_LOG).exists(), _pages, _table)
"""How `asng report` recognises and shows a run of `asng compress`."""
