"""The report of a run as one HTML page that needs nothing else: no script, no network, no other file."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from asng.files import write_text
from asng.report.benchmark.cells import BenchmarkRun
from asng.report.extra import require_report_extra
from asng.report.reading import Run, read_run
from asng.report.toy.cells import ToyGrid

__all__ = ["write_report"]

_PAGE = "report.html"


def write_report(run_dir: str | PathLike[str]) -> Path:
    """Write report.html into a run folder, from what is in that folder alone.

    A folder of several seeds gets a page over all seeds, and each seed's folder a page of its own; a folder
    of the toy problem gets a page with its figures. A run that still goes on, or was killed, gets a page of
    what is there.

    Args:
        run_dir: The run folder; see `read_run` for what may be in it.

    Returns:
        The path of the page. It is written whole or not at all.

    Raises:
        RunError: The folder is no run folder, a file in it is damaged, the page cannot be written, or the
            extra `report` is not installed.

    Example:
        >>> write_report("runs/a")   # doctest: +SKIP
        PosixPath('runs/a/report.html')
    """
    require_report_extra()
    run = read_run(run_dir)
    if run.toy is not None:
        return _write(run, "toy.html.j2", _toy_page(run, run.toy))
    if run.benchmark is not None:
        return _write(run, "benchmark.html.j2", _benchmark_page(run, run.benchmark))
    if run.of_black_box:
        return _write(run, "minimize.html.j2", _minimize_page(run))
    if run.summary is None:
        return _write(run, "run.html.j2", _run_page(run))
    linked = {}
    for seed in run.summary.seeds:
        if seed.folder is not None and (run.folder / seed.folder).is_dir():
            linked[seed.folder] = read_run(run.folder / seed.folder)
            # One level of seeds and no more: a folder that names itself must not go on for ever.
            _write(linked[seed.folder], "run.html.j2", _run_page(linked[seed.folder]))
    return _write(run, "seeds.html.j2", _seeds_page(run, linked))


def _run_page(run: Run) -> Mapping[str, Any]:
    # Loaded here, since matplotlib takes its time and a table in the terminal needs none of it.
    from asng.report.page import run_page

    return run_page(run)


def _benchmark_page(run: Run, found: BenchmarkRun) -> Mapping[str, Any]:
    from asng.report.benchmark.page import benchmark_page

    return benchmark_page(run.folder.resolve().name, found)


def _minimize_page(run: Run) -> Mapping[str, Any]:
    from asng.report.black_box.page import minimize_page

    return minimize_page(run)


def _seeds_page(run: Run, linked: Mapping[str, Run]) -> Mapping[str, Any]:
    from asng.report.page import seeds_page

    return seeds_page(run, linked)


def _toy_page(run: Run, grid: ToyGrid) -> Mapping[str, Any]:
    from asng.report.toy.page import toy_page

    return toy_page(run.folder.resolve().name, grid)


def _write(run: Run, template: str, page: Mapping[str, Any]) -> Path:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        # For every template: .j2 names are not among those that select_autoescape knows.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(template).render(page)
    # JSON can hold half of a surrogate pair, UTF-8 cannot.
    return write_text(run.folder / _PAGE, text.encode("utf-8", "replace").decode("utf-8"))
