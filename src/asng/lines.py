"""Files of one JSON object a line, to which one process at a time appends.

What was written stays however the process ends: a last line without its end, torn when a process was killed,
is left out when the file is read, and cut off when it is written to again.
"""

import json
import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from asng.errors import RunError
from asng.files import write_text

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where two runs in one folder go unnoticed
    fcntl = None  # type: ignore[assignment]

__all__ = ["JsonLines", "lock", "parse_lines", "refuse_running"]

_SYNC = 1.0
"""Seconds between two times that a file is forced to the disk. What a killed process wrote is there anyway;
this is for the machine that loses power."""


class JsonLines:
    r"""A file that is held by this process until it is closed.

    Args:
        path: The file; it and its folder are made where they are missing.

    Attributes:
        rows: What was there before, in its order.

    Raises:
        RunError: The file cannot be opened, another process writes to it, or a line is no JSON object.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "log.jsonl")
        >>> _ = path.write_text('{"a": 1}\n{"a": ')
        >>> file = JsonLines(path)
        >>> file.append({"a": 2})
        >>> file.close()
        >>> path.read_text()
        '{"a": 1}\n{"a": 2}\n'
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._synced = time.monotonic()
        self._file = _opened(path)
        try:
            self._file.seek(0)
            content = self._file.read()
            self.rows = parse_lines(content, path)
            self._file.truncate(content.rfind(b"\n") + 1)
        except BaseException:
            self._file.close()
            raise

    def append(self, row: dict[str, Any]) -> None:
        """Write one line; the system has it when this returns.

        Raises:
            RunError: The disk is full.
        """
        try:
            self._file.write(_line(row).encode())
            self._file.flush()
            if time.monotonic() - self._synced > _SYNC:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {error.strerror or error}.") from error

    def replace(self, rows: Iterable[dict[str, Any]]) -> None:
        """Put these rows in the place of all, wholly or not at all."""
        write_text(self._path, "".join(map(_line, rows)))
        self._file.close()
        self._file = _opened(self._path)

    def close(self) -> None:
        """Force everything to the disk, and let others write to the file."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


def refuse_running(path: Path) -> None:
    """Raise where a process writes to a file; a missing one is none.

    Raises:
        RunError: A process does, or the file may not be written to.
    """
    if path.exists():
        _opened(path).close()


def lock(file: BinaryIO, path: Path) -> None:
    """Keep other processes from writing to an open file, until it is closed or this process ends.

    Raises:
        RunError: Another process keeps it, or has put another file in its place.
    """
    if fcntl is None:  # pragma: no cover - Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except BlockingIOError:
        mine = False
    if not mine:
        raise RunError(
            f"{path}: another process is writing to it. Wait for its end, or choose another run_dir."
        )


def parse_lines(content: bytes, path: Path) -> list[dict[str, Any]]:
    """Return the objects of all lines that have an end.

    Raises:
        RunError: A line is no JSON object.
    """
    rows = []
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _unfit(path, number, line) from error
        if not isinstance(row, dict):
            raise _unfit(path, number, line)
        rows.append(row)
    return rows


def _unfit(path: Path, number: int, line: bytes) -> RunError:
    return RunError(f"{path}, line {number}: expected a JSON object, got {line[:60]!r}.")


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def _opened(path: Path) -> BinaryIO:
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("a+b"))
            lock(file, path)
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {error.strerror or error}.") from error
        stack.pop_all()
        return file
