"""A task and its settings, read back from a run folder."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from asng.checks import nearest
from asng.errors import InputError, RunError, in_one_line
from asng.tasks.own import own
from asng.tasks.own.trust import Imports
from asng.tasks.run_folder import read_config
from asng.tasks.settings import SearchSettings
from asng.tasks.table import TASKS
from asng.tasks.task import Loaders, Task

__all__ = ["StoredRun", "settings_from", "single_run", "stored_run"]

_Settings = TypeVar("_Settings")


@dataclass(frozen=True)
class StoredRun:
    """What config.yaml says.

    Attributes:
        task: Made anew from its settings.
        settings: Of the search.
        seeds: One or several.
        several: Whether the folder is one of several seeds.
    """

    task: Task
    settings: SearchSettings
    seeds: list[int]
    several: bool

    @cached_property
    def loaders(self) -> Loaders:
        """The data of the first seed, made when first asked for."""
        return self.task.loaders(self.seeds[0])


def stored_run(
    folder: Path, *, network: Mapping[str, Any] | None = None, trusted: Collection[str] = ()
) -> StoredRun:
    """Return the task and the settings of the run in a folder.

    Args:
        folder: The run folder.
        network: Settings of the task to change, by name; None leaves one as it was.
        trusted: Import paths that config.yaml may have imported and called.

    Raises:
        RunError: The folder holds no run, or its config.yaml has unknown or unfit settings, or names what is
            not trusted, and then nothing is imported.
        InputError: The data or the classes are not where they were, or a task has no such setting.
    """
    config = read_config(folder)
    where = f"{folder / 'config.yaml'}"
    name = config["task"]
    if name == "toy":
        raise RunError(f"{folder}: expected the run of a search, got one of asng toy, which has no network.")
    if name not in TASKS:
        known = ", ".join(repr(task) for task in TASKS)
        raise RunError(f"{where}: expected one of the tasks {known}, got {name!r:.80}.{nearest(name, TASKS)}")
    kind = TASKS[name]
    make = kind.make
    if name == "own":  # the only one whose settings name code
        make = partial(own, imports=Imports(frozenset(trusted), where))
    stored = settings_from(kind.settings, config.get("network") or {}, f"{where}, network")
    seeds = _seeds(config, where)
    return StoredRun(
        task=make(_changed(stored, network or {}, name)),
        settings=settings_from(SearchSettings, config.get("search") or {}, f"{where}, search"),
        seeds=seeds,
        several="seeds" in config,
    )


def single_run(
    folder: Path, *, network: Mapping[str, Any] | None = None, trusted: Collection[str] = ()
) -> StoredRun:
    """Return what `stored_run` does, of a folder that has one found network.

    Raises:
        RunError: It holds runs of several seeds; and as `stored_run`.
        InputError: As `stored_run`.
    """
    config = read_config(folder)
    seeds = _seeds(config, f"{folder / 'config.yaml'}")
    if "seeds" in config and config["task"] != "toy":
        raise RunError(
            f"{folder}: expected the run of one seed, got a folder of {len(seeds)}. Name one of them: "
            f"{folder / f'seed-{seeds[0]}'}."
        )
    return stored_run(folder, network=network, trusted=trusted)


def _seeds(config: Mapping[str, Any], where: str) -> list[int]:
    seeds = config["seeds"] if "seeds" in config else [config.get("seed", 0)]
    right = isinstance(seeds, list) and seeds and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not right:
        raise RunError(f"{where}: expected one or more seeds, integers >= 0, got {seeds!r:.80}.")
    return list(seeds)


def _changed(settings: Any, changes: Mapping[str, Any], task: str) -> Any:
    known = [field.name for field in fields(settings)]
    changes = {name: value for name, value in changes.items() if value is not None}
    for name in changes:
        if name not in known:
            words = ", ".join(known)
            raise InputError(f"{name}: expected a setting of the task {task!r}, which are {words}.")
    return replace(settings, **changes)


def settings_from(kind: type[_Settings], values: Any, where: str) -> _Settings:
    """Return settings of a kind from what YAML held.

    Raises:
        RunError: They are no mapping, a name is unknown, one without a default is missing, or a value is not
            what it must be.
    """
    if not isinstance(values, Mapping):
        raise RunError(f"{where}: expected settings by name, got {values!r:.80}.")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise RunError(f"{where}: unknown setting {name!r:.80}.{nearest(name, known)}")
    for name, field in known.items():
        if field.default is MISSING and name not in values:
            raise RunError(f"{where}: expected the setting {name!r}, got none.")
    try:
        return kind(**values)
    except (InputError, TypeError, ValueError, OverflowError) as error:
        raise RunError(f"{where}: {in_one_line(error)}.") from error
