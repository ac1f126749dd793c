"""What lies in a run folder, and under which name."""

from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.files import writes_into
from asng.lines import refuse_running
from asng.plain_yaml import read_yaml, write_yaml
from asng.resumes import RESUMES

__all__ = ["clear", "holds_run", "read_config", "write_config"]

_PARTS = (
    "config.yaml",
    "log.jsonl",
    RESUMES,
    "checkpoint.pt",
    "checkpoint.previous.pt",
    "architecture.json",
    "graphs.json",
    "pictures.json",
    "result.json",
    "summary.json",
    "toy.json",
    "child.pt",
    "report.html",
)


def holds_run(folder: Path) -> bool:
    """Whether anything of an earlier run is in the folder, or in one of its seeds' folders."""
    return any((place / part).exists() for place in (folder, *folder.glob("seed-*")) for part in _PARTS)


def clear(folder: Path) -> None:
    """Remove what a run wrote, by name, and nothing else.

    Raises:
        RunError: A search goes on in it, or it may not be written to.
    """
    places = (folder, *folder.glob("seed-*"))
    for place in places:
        refuse_running(place / "log.jsonl")
    with writes_into(folder):
        for place in places:
            for part in _PARTS:
                (place / part).unlink(missing_ok=True)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write the settings as `config.yaml`."""
    write_yaml(folder / "config.yaml", config)


def read_config(folder: Path) -> dict[str, Any]:
    """Return the settings of a run.

    Raises:
        RunError: The folder holds no run, or its config.yaml is damaged.
    """
    path = folder / "config.yaml"
    try:
        config = read_yaml(path)
    except FileNotFoundError:
        raise RunError(
            f"{folder}: expected a run folder with a config.yaml, found none. Check the path."
        ) from None
    if not isinstance(config, dict) or not isinstance(config.get("task"), str):
        raise RunError(f"{path}: expected the settings of a run with a 'task', got {str(config)[:80]!r}.")
    return config
