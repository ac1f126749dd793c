"""The report of `asng benchmark`: a table and a figure for each problem."""

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from asng.experiments.benchmark.report.table import (
    OURS,
    Group,
    benchmark_table,
    read_benchmark,
    wins_and_losses,
)
from asng.experiments.benchmark.trial import BenchmarkCell
from asng.report.html import Page, RunKind, title_of
from asng.report.settings import settings_in
from asng.runs.folder import BENCHMARK as FILE

__all__ = ["BENCHMARK", "OURS", "BenchmarkCell", "Group", "wins_and_losses"]


def _pages(folder: Path) -> Iterator[Page]:
    from asng.experiments.benchmark.report.page import benchmark_page  # loads matplotlib

    page = benchmark_page(folder.resolve().name, read_benchmark(folder / FILE))
    values = {**page, "settings": settings_in(folder)}
    yield Page(folder, Path(__file__).parent / "benchmark.html.j2", values)


def _table(folder: Path) -> Table:
    return benchmark_table(read_benchmark(folder / FILE), title_of(folder))


BENCHMARK = RunKind(lambda folder: (folder / FILE).exists(), _pages, _table)
"""How `asng report` recognises and shows a run of `asng benchmark`."""
