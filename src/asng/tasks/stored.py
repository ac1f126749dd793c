"""A task and its settings, read back from a run folder."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from asng.checks import nearest
from asng.errors import RunError
from asng.tasks.classification import ClassificationSettings, classification
from asng.tasks.run_folder import read_config
from asng.tasks.settings import SearchSettings
from asng.tasks.task import Task

__all__ = ["StoredRun", "stored_run"]

_Settings = TypeVar("_Settings", ClassificationSettings, SearchSettings)


@dataclass(frozen=True)
class StoredRun:
    """What config.yaml says.

    Attributes:
        task: Made anew from its settings; the data have been read.
        settings: Of the search.
        seeds: One or several.
        several: Whether the folder is one of several seeds.
    """

    task: Task
    settings: SearchSettings
    seeds: list[int]
    several: bool


def stored_run(folder: Path, *, network: Mapping[str, Any] | None = None) -> StoredRun:
    """Return the task and the settings of the run in a folder.

    Args:
        folder: The run folder.
        network: Settings of the network to change, by name; None leaves one as it was.

    Raises:
        RunError: The folder holds no run, or its config.yaml has unknown or unfit settings.
        InputError: The data are not where they were.
    """
    config = read_config(folder)
    where = f"{folder / 'config.yaml'}"
    if config["task"] != "classification":
        raise RunError(f"{where}: expected the task 'classification', got {config['task']!r}.")
    stored = {name: value for name, value in dict(config.get("network") or {}).items() if name != "data"}
    changed = {name: value for name, value in (network or {}).items() if value is not None}
    cells = replace(_settings(ClassificationSettings, stored, f"{where}, network"), **changed)
    seeds = config.get("seeds") or [config.get("seed", 0)]
    return StoredRun(
        task=classification(cells),
        settings=_settings(SearchSettings, config.get("search") or {}, f"{where}, search"),
        seeds=[int(seed) for seed in seeds],
        several="seeds" in config,
    )


def _settings(kind: type[_Settings], values: Mapping[str, Any], where: str) -> _Settings:
    known = [field.name for field in fields(kind)]
    for name in values:
        if name not in known:
            raise RunError(f"{where}: unknown setting {name!r}.{nearest(name, known)}")
    return kind(**values)
