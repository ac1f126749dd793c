"""The settings of a run: those that differ from the defaults come first, since readers look for them.

A run stores the defaults of the time when it began, so that a later version with others tells the truth.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from asng.report.reading import read_settings
from asng.report.words import flatten

__all__ = ["Settings", "settings_in", "settings_of"]


class Settings(NamedTuple):
    """Settings as rows of name and value.

    Attributes:
        changed: Settings that differ from the defaults, with these; None if the run does not store defaults.
        others: All other settings.
    """

    changed: list[tuple[str, str]] | None
    others: list[tuple[str, str]]


def settings_in(folder: Path) -> Settings:
    """Return the settings in config.yaml of a run folder; none if there is no such file.

    Raises:
        RunError: The file is damaged.
    """
    return settings_of(read_settings(folder))


def settings_of(config: Mapping[str, Any]) -> Settings:
    """Separate the settings of a run that differ from the defaults from the others.

    Args:
        config: Nested settings, with the defaults of those that differ from them under "defaults".

    Example:
        >>> config = {"seed": 0, "search": {"epochs": 5}, "defaults": {"search": {"epochs": 40}}}
        >>> settings_of(config)
        Settings(changed=[('search.epochs', '5 (default: 40)')], others=[('seed', '0')])
    """
    rows = flatten({name: value for name, value in config.items() if name != "defaults"}) if config else []
    if not isinstance(config.get("defaults"), Mapping):
        return Settings(None, rows)
    defaults = dict(flatten(config["defaults"])) if config["defaults"] else {}
    changed, others = [], []
    for name, value in rows:
        default = _default_of(name, defaults)
        if default is None:
            others.append((name, value))
        else:
            changed.append((name, f"{value} (default: {default})"))
    return Settings(changed, others)


def _default_of(name: str, defaults: Mapping[str, str]) -> str | None:
    """Return the stored default of a setting, or of the mapping that contains it; None if there is none."""
    while name and name not in defaults:
        name = name.rpartition(".")[0]
    return defaults.get(name)
