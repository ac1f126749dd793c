"""The log of a run: one JSON object a line, appended as things happen, and all that a resumed run needs."""

import json
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

from asng.errors import RunError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where two runs in one folder go unnoticed
    fcntl = None  # type: ignore[assignment]

__all__ = ["RunLog", "refuse_earlier_run", "remove_earlier_run"]

_OURS = ("log.jsonl", "architecture.json", "report.html")
_OTHERS = ("config.yaml", "checkpoint.pt", "summary.json", "toy.json", "benchmark.jsonl")
_SYNC = 1.0
"""Seconds between two times that the log is forced to the disk. What a killed process wrote is there anyway;
this is for the machine that loses power."""


class RunLog:
    """Appends events to `log.jsonl`; without a folder it swallows them.

    A last line without its end, torn when the run was killed, is cut off. Only one process at a time
    writes.

    Args:
        folder: The run folder, made where it is missing; or None.

    Attributes:
        events: What was there before, in its order.

    Raises:
        RunError: The file cannot be opened, another process writes to it, or a line is no JSON object.
    """

    def __init__(self, folder: Path | None) -> None:
        self.events: list[dict[str, Any]] = []
        self._file: BinaryIO | None = None
        self._synced = time.monotonic()
        if folder is None:
            return
        path = folder / "log.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            _lock(self._file, path)
            self._file.seek(0)
            content = self._file.read()
            whole = content.rfind(b"\n") + 1
            self.events = _parse(content[:whole], path)
            self._file.truncate(whole)
        except OSError as error:
            self.close()
            raise RunError(f"{path}: cannot be written: {error.strerror or error}.") from error
        except RunError:
            self.close()
            raise

    def write(self, event: str, **fields: Any) -> None:
        """Append one event. It stays however the process ends."""
        if self._file is not None:
            line = json.dumps({"event": event, **fields}, allow_nan=False)
            self._file.write(line.encode() + b"\n")
            self._file.flush()
            if time.monotonic() - self._synced > _SYNC:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def close(self) -> None:
        """Force everything to the disk, and close the file."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


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
        RunError: The folder holds a run of another kind, or may not be written to.
    """
    if any((folder / name).exists() for name in _OTHERS):
        raise RunError(f"{folder}: holds a run of another kind. Choose another run_dir.")
    try:
        for name in _OURS:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder}: expected a folder to write a run into: {error.strerror or error}. Choose another "
            "run_dir."
        ) from error


def _lock(file: BinaryIO, path: Path) -> None:
    if fcntl is None:  # pragma: no cover - Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(
            f"{path}: another process is writing to it. Wait for its end, or choose another run_dir."
        ) from None


def _parse(content: bytes, path: Path) -> list[dict[str, Any]]:
    events = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path}, line {number}: expected a JSON object, got {line[:60]!r}.") from error
        if not isinstance(event, dict):
            raise RunError(f"{path}, line {number}: expected a JSON object, got {line[:60]!r}.")
        events.append(event)
    return events
