"""Restore a task, its settings and its trained network from a run folder."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import nn

from asng.checks import MOST_SEED, nearest
from asng.errors import InputError, RunError, in_one_line
from asng.nn import Inputs, Supernet
from asng.pipeline.found import IN_PYTHON
from asng.pipeline.task import Loaders, Task
from asng.pipeline.train_alone import fresh_child
from asng.runs.folder import ARCHITECTURE, CHILD, CONFIG, LOG, read_config, seed_folder
from asng.runs.history import read_log
from asng.settings import SearchSettings
from asng.tasks.classification import ClassificationSettings, classification
from asng.tasks.inpainting import InpaintingSettings, inpainting
from asng.tasks.user import UserSettings, user_task
from asng.tasks.user.trust import Imports
from asng.training import load_child_weights
from asng.training.child_file import load_into
from asng.training.data.random_state import staged
from asng.training.inputs import example_inputs

__all__ = [
    "TASKS",
    "StoredRun",
    "TaskKind",
    "stored_run",
    "single_run",
    "settings_from",
    "load_child",
    "example_of",
]

_Settings = TypeVar("_Settings")


@dataclass(frozen=True)
class TaskKind:
    """How to rebuild a task from config.yaml.

    Args:
        settings: Dataclass of its settings, whose fields are plain values.
        make: Makes the task from the settings, and from the `Imports` that say what may be imported.
        retrained_with: Maps flags of `asng retrain` to the settings that they change.
    """

    settings: type[Any]
    make: Callable[[Any, Imports], Task]
    retrained_with: Mapping[str, str] = field(default_factory=dict)


TASKS: Mapping[str, TaskKind] = MappingProxyType(
    {
        "classification": TaskKind(
            ClassificationSettings,
            lambda settings, imports: classification(settings),
            {"cells": "retrain_cells", "channels": "retrain_channels"},
        ),
        "inpainting": TaskKind(InpaintingSettings, lambda settings, imports: inpainting(settings)),
        "user": TaskKind(UserSettings, lambda settings, imports: user_task(settings, imports=imports)),
    }
)
"""The tasks that a config.yaml can name."""


@dataclass(frozen=True)
class StoredRun:
    """The content of a config.yaml, with its task rebuilt.

    Attributes:
        task: The task, rebuilt from its settings.
        settings: The settings of the search.
        seeds: One seed or several.
        several: Whether the folder contains runs of several seeds.
    """

    task: Task
    settings: SearchSettings
    seeds: list[int]
    several: bool

    @cached_property
    def loaders(self) -> Loaders:
        """The data of the first seed, made on first access."""
        with staged(self.seeds[0], "data"):
            return self.task.loaders(self.seeds[0])


def stored_run(
    folder: Path,
    *,
    network: Mapping[str, Any] = MappingProxyType({}),
    sizes: Mapping[str, int] = MappingProxyType({}),
    user: UserSettings | None = None,
    trusted: Collection[str] = (),
) -> StoredRun:
    """Return the task and the settings of the run in a folder.

    Args:
        folder: The run folder.
        network: Settings of the task to change, by name; None keeps the stored value.
        sizes: Sizes of the retrained networks, by the flags of `asng retrain`.
        user: Model and data of a search in Python, which its folder does not name.
        trusted: Import paths in config.yaml that may be imported and called.

    Raises:
        RunError: The folder contains no run, or its config.yaml has unknown or invalid settings, or names
            untrusted import paths. In the last case nothing is imported.
        InputError: The data or the classes are no longer where they were, or a task has no such setting.
    """
    if _of_python(folder, user):
        return _named_by_user(folder, network, sizes, user)
    config, where = read_config(folder), f"{folder / CONFIG}"
    name = config["task"]
    kind = _kind_of(config, where)
    stored = settings_from(kind.settings, config.get("network") or {}, f"{where}, network")
    changes = {key: value for key, value in network.items() if value is not None}
    changes |= _retrained_with(kind, sizes, name)
    return StoredRun(
        task=kind.make(_changed(stored, changes, name), Imports(frozenset(trusted), where)),
        settings=settings_from(SearchSettings, config.get("search") or {}, f"{where}, search"),
        seeds=_seeds(config, where),
        several="seeds" in config,
    )


def single_run(
    folder: Path,
    *,
    network: Mapping[str, Any] = MappingProxyType({}),
    sizes: Mapping[str, int] = MappingProxyType({}),
    user: UserSettings | None = None,
    trusted: Collection[str] = (),
) -> StoredRun:
    """Return what `stored_run` returns, for a folder with a single found network.

    Raises:
        RunError: The folder contains runs of several seeds; and as for `stored_run`.
        InputError: As for `stored_run`.
    """
    if _of_python(folder, user):
        return _named_by_user(folder, network, sizes, user)
    config, where = read_config(folder), f"{folder / CONFIG}"
    _kind_of(config, where)
    seeds = _seeds(config, where)
    if "seeds" in config:
        raise RunError(
            f"{folder}: expected the run of one seed, got a folder of {len(seeds)}. Name one of them: "
            f"{seed_folder(folder, seeds[0])}."
        )
    return stored_run(folder, network=network, sizes=sizes, trusted=trusted)


def _of_python(folder: Path, user: UserSettings | None) -> bool:
    """Return whether a folder is from a search in Python, whose files do not name model and data.

    Raises:
        InputError: Both the folder and the user name them, or neither does.
    """
    begun = (folder / CONFIG).exists()
    in_python = read_config(folder)["task"] == IN_PYTHON if begun else (folder / ARCHITECTURE).exists()
    if in_python and user is None:
        raise InputError(
            f"model: expected for {folder}, a run of a search in Python whose files do not name the model, "
            "got none. Give --model package.module.Net --data package.module.loaders, with its --loss."
        )
    if not in_python and user is not None and begun:
        raise InputError(
            f"model: expected none for {folder}, whose {CONFIG} names the model and the data, got "
            f"{user.model['import']}. Leave --model and --data out."
        )
    return in_python


def _named_by_user(
    folder: Path, network: Mapping[str, Any], sizes: Mapping[str, int], user: UserSettings | None
) -> StoredRun:
    """Return the run of a search in Python, whose model and data the user names."""
    assert user is not None
    changes = {key: value for key, value in network.items() if value is not None}
    changes |= _retrained_with(TASKS["user"], sizes, "user")
    begun = read_config(folder) if (folder / CONFIG).exists() else {}
    seed = read_log(folder / LOG).start.seed
    return StoredRun(
        task=user_task(_changed(user, changes, "user")),
        settings=SearchSettings(),
        seeds=_seeds({"seed": 0 if seed is None else seed, **begun}, f"{folder / CONFIG}"),
        several=False,
    )


def _kind_of(config: Mapping[str, Any], where: str) -> TaskKind:
    name = config["task"]
    if name == "compress":
        raise RunError(
            f"{where}: expected the run of a search, got one of asng compress. Its scores are in "
            "report.html and compression.json, its programs in */child.onnx. To go on with a child, call "
            "asng.compress in Python and use asng.compress(...).child."
        )
    if name not in TASKS:
        known = ", ".join(repr(task) for task in TASKS)
        raise RunError(
            f"{where}: expected the run of a search, for one of the tasks {known}, got {name!r:.80}."
            f"{nearest(name, TASKS)} A run of asng 0.1 is read by that version."
        )
    return TASKS[name]


def _seeds(config: Mapping[str, Any], where: str) -> list[int]:
    seeds = config["seeds"] if "seeds" in config else [config.get("seed", 0)]
    right = (
        isinstance(seeds, list) and seeds and all(type(one) is int and 0 <= one <= MOST_SEED for one in seeds)
    )
    if not right:
        raise RunError(f"{where}: expected one or more seeds, integers in [0, 2**63), got {seeds!r:.80}.")
    return list(seeds)


def _retrained_with(kind: TaskKind, sizes: Mapping[str, int], task: str) -> dict[str, int]:
    for flag in sizes:
        if flag not in kind.retrained_with:
            raise InputError(
                f"--{flag}: expected a task whose networks can be trained in another size, got {task!r}, "
                "which trains them in the size that was searched. Leave it out."
            )
    return {kind.retrained_with[flag]: value for flag, value in sizes.items()}


def _changed(settings: Any, changes: Mapping[str, Any], task: str) -> Any:
    known = [one.name for one in fields(settings)]
    for name in changes:
        if name not in known:
            words = ", ".join(known)
            raise InputError(f"{name}: expected a setting of the task {task!r}, one of {words}.")
    return replace(settings, **changes)


def settings_from(kind: type[_Settings], values: Any, where: str) -> _Settings:
    """Return a settings dataclass from values read from YAML.

    Raises:
        RunError: The values are not a mapping, a name is unknown, a setting without a default is missing, or
            a value is invalid.
    """
    if not isinstance(values, Mapping):
        raise RunError(f"{where}: expected settings by name, got {values!r:.80}.")
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise RunError(f"{where}: unknown setting {name!r:.80}.{nearest(name, known)}")
    for name, one in known.items():
        if one.default is MISSING and name not in values:
            raise RunError(f"{where}: expected the setting {name!r}, got none.")
    try:
        return kind(**values)
    except (InputError, TypeError, ValueError, OverflowError) as error:
        raise RunError(f"{where}: {in_one_line(error)}.") from error


def load_child(stored: StoredRun, folder: Path) -> nn.Module:
    """Return the trained network of a run as a plain module in eval mode, on the CPU.

    Args:
        stored: What `stored_run` returned for the folder.
        folder: The run folder.

    Raises:
        RunError: child.pt is missing, damaged, or does not fit the settings.
    """
    path = folder / CHILD
    architecture, weights = load_child_weights(path)
    child = fresh_child(stored.task, architecture, stored.loaders, torch.device("cpu"))
    load_into(child, weights, path)
    return child.eval()


def example_of(stored: StoredRun, folder: Path) -> Inputs:
    """Return the inputs of the trained network for the first batch of the test data."""
    architecture, _ = load_child_weights(folder / CHILD)
    supernet = Supernet(stored.task.child(architecture))
    calls = example_inputs(supernet, architecture, stored.task.loss, stored.loaders.test)
    return calls[0]
