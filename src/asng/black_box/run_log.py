"""The log of a run: one JSON object a line, appended as things happen, and all that a resumed run needs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.files import writes_into
from asng.lines import JsonLines, refuse_running
from asng.resumes import RESUMES

__all__ = ["RunLog", "refuse_earlier_run", "remove_earlier_run"]

_OURS = ("log.jsonl", RESUMES, "architecture.json", "report.html")
_OTHERS = ("config.yaml", "checkpoint.pt", "summary.json", "toy.json", "benchmark.jsonl")


class RunLog:
    """Appends events to `log.jsonl`; without a folder it swallows them.

    Args:
        folder: The run folder, made where it is missing; or None.
        take: Is given what was there before, event after event.

    Raises:
        RunError: The file cannot be opened, another process writes to it, or a line is no JSON object; and
            what `take` raises.
    """

    def __init__(self, folder: Path | None, take: Callable[[dict[str, Any]], None]) -> None:
        self._lines = None if folder is None else JsonLines(folder / "log.jsonl", take)

    def write(self, event: str, **fields: Any) -> None:
        """Append one event. It stays however the process ends."""
        if self._lines is not None:
            self._lines.append({"event": event, **fields})

    def close(self) -> None:
        """Force everything to the disk, and close the file."""
        if self._lines is not None:
            self._lines.close()


def refuse_earlier_run(folder: Path) -> None:
    """Raise where the folder holds a run of any kind.

    Raises:
        RunError: It does.
    """
    if any((folder / name).exists() for name in (*_OURS, *_OTHERS)):
        raise RunError(
            f"{folder}: holds an earlier run. Go on with it by resume, replace it by overwrite, or "
            "choose another run_dir."
        )


def remove_earlier_run(folder: Path) -> None:
    """Remove what an earlier search of a black box wrote, by name, and nothing else.

    Raises:
        RunError: The folder holds a run of another kind or one that goes on, or may not be written to.
    """
    if any((folder / name).exists() for name in _OTHERS):
        raise RunError(f"{folder}: holds a run of another kind. Choose another run_dir.")
    refuse_running(folder / "log.jsonl")
    with writes_into(folder):
        for name in _OURS:
            (folder / name).unlink(missing_ok=True)
