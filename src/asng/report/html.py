"""The report of a run as a self-contained HTML page: no script, no network, no other file.

Each kind of run provides the pages and the table of its folders.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from asng.checks import as_path, require
from asng.errors import RunError
from asng.report.excerpts import MOST_PAGES
from asng.report.reading import read_run
from asng.report.table import cell, run_table, seeds_table
from asng.runs.files import write_text
from asng.runs.folder import EXPERIMENT_FILES, REPORT, SUMMARY, refuse_no_run

__all__ = [
    "SEARCHES",
    "TEMPLATES",
    "Page",
    "RunKind",
    "need_figures",
    "pages_of",
    "rendered",
    "summary_table",
    "title_of",
    "write_report",
]

_TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that change the writing direction, by which a name can disguise what stands beside it."""
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Page:
    """A page to write.

    Attributes:
        folder: Where its report.html belongs.
        template: The Jinja2 template.
        values: Values for the template; text is escaped.
    """

    folder: Path
    template: Path
    values: Mapping[str, Any]


@dataclass(frozen=True)
class RunKind:
    """How the report recognises and shows one kind of run.

    Attributes:
        holds: Whether a folder holds a run of this kind; looks at names and at most one line.
        pages: Reads a folder and yields its pages; pages that others link to come first.
        table: Reads a folder and returns its outcome as a table for the terminal.
    """

    holds: Callable[[Path], bool]
    pages: Callable[[Path], Iterator[Page]]
    table: Callable[[Path], Table]


def write_report(run_dir: str | PathLike[str], *, kinds: Sequence[RunKind] = ()) -> Path:
    """Write report.html into a run folder, from that folder alone.

    A folder of several seeds gets a page over all seeds, and each seed's folder a page of its own. A run that
    continues, or was killed, gets a page of what is there so far.

    Args:
        run_dir: The run folder; see `read_run` for what may be in it.
        kinds: Kinds of runs besides searches that the folder may hold.

    Returns:
        The path of the page. It is written whole or not at all.

    Raises:
        InputError: The path is none, or the system cannot look for it.
        RunError: The folder is not a run folder, a file in it is damaged, the page cannot be written, or the
            extra `report` is not installed.

    Example:
        >>> write_report("runs/a")   # doctest: +SKIP
        PosixPath('runs/a/report.html')
    """
    need_figures()
    folder = as_path("run_dir", run_dir, to_read=True)
    for page in pages_of(folder, kinds):
        write_text(page.folder / REPORT, rendered(page))
    return folder / REPORT


def summary_table(run_dir: str | PathLike[str], *, kinds: Sequence[RunKind] = ()) -> Table:
    """Return the outcome of a run as a table with the verdict below; print it with rich.

    Args:
        run_dir: The run folder.
        kinds: Kinds of runs besides searches that the folder may hold.

    Returns:
        For a search, rows of found, inherited, random mean +- sd, gain, parameters and time; for several
        seeds, one row per seed.

    Raises:
        InputError: The path is none, or the system cannot look for it.
        RunError: The folder is not a run folder, or a file in it is damaged.

    Example:
        >>> import rich
        >>> rich.print(summary_table("runs/a"))   # doctest: +SKIP
    """
    folder = as_path("run_dir", run_dir, to_read=True)
    return _kind_of(folder, (*kinds, *SEARCHES)).table(folder)


def need_figures() -> None:
    """Raise RunError if the packages that draw a page are not installed."""
    for module in ("matplotlib", "networkx", "jinja2"):
        require(module, extra="report")


def pages_of(folder: Path, kinds: Sequence[RunKind]) -> Iterator[Page]:
    """Read a run folder of one of these kinds or of a search, and yield its pages.

    Raises:
        RunError: The folder is not a run folder, or a file in it is damaged.
    """
    return _kind_of(folder, (*kinds, *SEARCHES)).pages(folder)


def _kind_of(folder: Path, kinds: Sequence[RunKind]) -> RunKind:
    """Return the first kind that fits a folder.

    Raises:
        RunError: There is no such folder, nothing of a run is in it, or it is of another kind.
    """
    refuse_no_run(folder)
    for kind in kinds:
        if kind.holds(folder):
            return kind
    raise RunError(
        f"{folder}: contains a run of another kind. Use `asng report {folder}`, which reads all kinds."
    )


def title_of(folder: str | Path) -> Text:
    """Return the name of a folder as a title, as Text, since square brackets in it are not markup."""
    return cell(Path(folder).resolve().name)


def _run_pages(folder: Path) -> Iterator[Page]:
    # Loaded here, since matplotlib loads slowly and a table in the terminal does not need it.
    from asng.report.page import run_page

    yield Page(folder, TEMPLATES / "run.html.j2", run_page(read_run(folder)))


def _seeds_pages(folder: Path) -> Iterator[Page]:
    from asng.report.page import run_page, seeds_page

    run, linked = read_run(folder), {}
    names = dict.fromkeys(seed.folder for seed in run.summary.seeds if seed.folder) if run.summary else {}
    # Nothing is written through a link, which may lead anywhere.
    homes = (folder / name for name in names if not (folder / name).is_symlink())
    for home in islice((home for home in homes if home.is_dir()), MOST_PAGES):
        linked[home.name] = read_run(home)
        # Only one level of seeds: a folder that names itself must not recurse for ever.
        yield Page(home, TEMPLATES / "run.html.j2", run_page(linked[home.name]))
    yield Page(folder, TEMPLATES / "seeds.html.j2", seeds_page(run, linked))


def _seeds_table(folder: Path) -> Table:
    run = read_run(folder)
    return seeds_table(run.summary, title_of(folder)) if run.summary else _run_table(folder)


def _run_table(folder: Path) -> Table:
    return run_table(read_run(folder), title_of(folder))


def _is_search(folder: Path) -> bool:
    # Not by a file that it has: it may have been killed before it wrote any.
    return not any((folder / name).exists() for name in EXPERIMENT_FILES)


SEARCHES = (
    RunKind(lambda folder: (folder / SUMMARY).exists(), _seeds_pages, _seeds_table),
    RunKind(_is_search, _run_pages, _run_table),
)
"""A search over several seeds, and a single one."""


def rendered(page: Page, **more: Any) -> str:
    """Return a page as HTML; `more` are further values for the template."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([page.template.parent, TEMPLATES]),
        # For every template, since select_autoescape does not know the suffix .j2.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(page.template.name).render(page.values, **more)
    text = _TURNING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    # JSON can hold half of a surrogate pair; UTF-8 cannot.
    return text.encode("utf-8", "replace").decode("utf-8")
