"""The report of the toy problem: successes and iterations against the initial step size."""

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from asng.experiments.toy.report.cells import MEASURES, outcome, premature, read_toy
from asng.experiments.toy.simulate import ToyCell
from asng.experiments.toy.store import ToyGrid
from asng.report.html import Page, RunKind, title_of
from asng.report.settings import settings_in
from asng.runs.folder import CONFIG
from asng.runs.folder import TOY as FILE

__all__ = ["MEASURES", "TOY", "ToyCell", "ToyGrid", "outcome", "premature", "read_toy"]


def _pages(folder: Path) -> Iterator[Page]:
    from asng.experiments.toy.report.page import toy_page  # loads matplotlib

    page = toy_page(folder.resolve().name, read_toy(folder / FILE))
    # config.yaml has the defaults too; toy.json has only the settings.
    values = {**page, "settings": settings_in(folder)} if (folder / CONFIG).exists() else page
    yield Page(folder, Path(__file__).parent / "toy.html.j2", values)


def _table(folder: Path) -> Table:
    from asng.experiments.toy.report.page import toy_table

    return toy_table(read_toy(folder / FILE), title_of(folder))


TOY = RunKind(lambda folder: (folder / FILE).exists(), _pages, _table)
"""How `asng report` recognises and shows a run of `asng toy`."""
