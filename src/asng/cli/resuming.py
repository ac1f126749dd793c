"""Refuse flags that a resumed run could not follow, since it keeps the settings that it was started with."""

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from jsonargparse import Namespace

from asng.errors import InputError, in_one_line
from asng.runs.folder import CONFIG, read_config

__all__ = ["refuse_other_settings"]


def refuse_other_settings(given: Namespace, folder: Path) -> None:
    """Refuse flags whose values differ from those in the run's config.yaml.

    Flags that the file does not store, such as --quiet, may be given.

    Args:
        given: The flags on the command line or in a YAML file, without defaults.
        folder: The run folder. One without config.yaml is left to the subcommand.

    Raises:
        InputError: A flag has another value than the run.
        RunError: The file is damaged.
    """
    if not (folder / CONFIG).exists():
        return
    stored = _settings_of(read_config(folder))
    for name, value in _leaves(_plain(given.as_dict())):
        if name in stored and not _same(value, stored[name]):
            flag = f"--{name.removesuffix('.import').replace('_', '-')}"
            own, other = (in_one_line(repr(one), 200) for one in (stored[name], value))
            raise InputError(
                f"{flag}: expected {own}, with which the run in {folder} was started, got {other}. A resumed "
                f"run keeps its settings: leave {flag} out, or start another run with --run-dir."
            )


def _settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored value of each flag, by its name."""
    parts = [value for name, value in config.items() if name != "defaults" and isinstance(value, dict)]
    stored = {name: value for part in parts for name, value in _leaves(part)}
    seeds = config["seeds"] if isinstance(config.get("seeds"), list) else [config.get("seed")]
    return {**stored, "seed": seeds[0], "seeds": len(seeds)} if seeds else stored


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
