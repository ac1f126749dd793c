"""Refuse flags that a resumed run could not follow, since it keeps the settings that it was started with."""

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from jsonargparse import Namespace

from asng.errors import InputError, RunError, in_one_line
from asng.runs.folder import read_config

__all__ = ["refuse_other_settings"]


def refuse_other_settings(given: Namespace, folder: Path) -> None:
    """Refuse flags whose values differ from those in the run's config.yaml.

    Flags that the file does not store, such as --quiet, may be given.

    Args:
        given: The flags on the command line or in a YAML file, without defaults.
        folder: The run folder. If its config.yaml is missing or damaged, the subcommand tells so.

    Raises:
        InputError: A flag has another value than the run.
    """
    try:
        stored = _settings_of(read_config(folder))
    except RunError:
        return
    for name, value in _leaves(_plain(given.as_dict())):
        if name in stored and not _same(value, stored[name]):
            flag = _flag_of(name)
            own, other = (in_one_line(repr(one), 200) for one in (stored[name], value))
            raise InputError(
                f"{flag}: expected {own}, with which the run in {folder} was started, got {other}. A resumed "
                f"run keeps its settings: leave {flag} out, or start another run with --run-dir."
            )


def _flag_of(name: str) -> str:
    """Return the flag of a setting; arguments of the user's own functions are spelled as these have them."""
    if "." not in name:
        return f"--{name.replace('_', '-')}"
    return f"--{name.removesuffix('.import').removesuffix('.class_path').replace('.init_args', '')}"


def _settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored value of each flag, by its name."""
    parts = [config.get(name) for name in ("network", "search", config["task"])]
    stored = {name: value for part in parts if isinstance(part, dict) for name, value in _leaves(part)}
    seeds = [config["seed"]] if "seed" in config else config.get("seeds")
    return {**stored, "seed": seeds[0], "seeds": len(seeds)} if isinstance(seeds, list) and seeds else stored


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is no mapping, under the names that lead to it, with dots between them."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _plain(value: Any) -> Any:
    """Return a parsed value as YAML has it."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Enum):
        return value.name
    return str(value) if isinstance(value, PurePath) else value


def _same(given: Any, stored: Any) -> bool:
    """Return whether the values agree; a function of torch may be given without its module."""
    short = isinstance(given, str) and isinstance(stored, str) and "." not in given
    return bool(given == stored or (short and stored.rpartition(".")[2] == given))
