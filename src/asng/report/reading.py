"""Read a whole run folder: files that exist are checked, and missing ones are left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from asng.checks import as_path
from asng.errors import RunError
from asng.runs.config import read_yaml
from asng.runs.folder import ARCHITECTURE, CONFIG, GRAPHS, LOG, PICTURES, RESULT, SUMMARY, refuse_no_run
from asng.runs.history import Log, read_log
from asng.runs.results import Graph, Pictures, Result, Summary
from asng.runs.stored import read_stored

__all__ = ["Run", "read_run", "read_settings"]


@dataclass(frozen=True, eq=False)
class Run:
    """The content of a run folder.

    Attributes:
        folder: The folder.
        config: Settings, empty if there is no config.yaml.
        log: The log, empty if there is none.
        architecture: The found architecture, or None.
        graphs: Cells to draw, perhaps none.
        pictures: What the found network does to test data, or None.
        result: Scores of the found and random networks, as far as they exist.
        summary: Scores of several seeds; None if the folder is of a single search.
    """

    folder: Path
    config: Mapping[str, Any]
    log: Log
    architecture: Mapping[str, Any] | None
    graphs: tuple[Graph, ...]
    pictures: Pictures | None
    result: Result
    summary: Summary | None


def read_run(run_dir: str | PathLike[str]) -> Run:
    """Read the folder of a run, which may have ended or still continue.

    Args:
        run_dir: The folder, with any of config.yaml, log.jsonl, architecture.json, graphs.json,
            pictures.json, result.json and, for several seeds, summary.json.

    Returns:
        What the folder contains.

    Raises:
        InputError: The path is none, or the system cannot look for it.
        RunError: There is no such folder, nothing of a run is in it, or a file is damaged.

    Example:
        >>> read_run("runs/a").log.steps.loss.min()   # doctest: +SKIP
        0.41
    """
    folder = as_path("run_dir", run_dir, to_read=True)
    refuse_no_run(folder)
    return Run(
        folder=folder,
        config=read_settings(folder),
        log=read_log(folder / LOG),
        architecture=read_stored(folder / ARCHITECTURE, dict[str, Any]),
        graphs=read_stored(folder / GRAPHS, tuple[Graph, ...]) or (),
        pictures=read_stored(folder / PICTURES, Pictures),
        result=read_stored(folder / RESULT, Result) or Result(),
        summary=read_stored(folder / SUMMARY, Summary),
    )


def read_settings(folder: Path) -> Mapping[str, Any]:
    """Return the content of config.yaml of a run folder; empty if there is no such file.

    Raises:
        RunError: The file is damaged.
    """
    path = folder / CONFIG
    if not path.exists():
        return {}
    config = read_yaml(path)
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise RunError(f"{path}: expected a mapping of settings, got {type(config).__name__}.")
    return config
