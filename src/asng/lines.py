"""Files of one JSON object a line, to which one process at a time appends.

What was written stays however the process ends: a last line without its end, torn when a process was killed,
is left out when the file is read, and cut off when it is written to again.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from asng.errors import RunError
from asng.files import write_text
from asng.locks import lock

__all__ = ["JsonLines", "parse_lines", "refuse_running"]

_SYNC = 1.0
"""Seconds between two times that a file is forced to the disk. What a killed process wrote is there anyway;
this is for the machine that loses power."""


class JsonLines:
    r"""A file that is held by this process until it is closed.

    Args:
        path: The file; it and its folder are made where they are missing.
        take: Is given what was there before, row after row. Default: keep it as `rows`.

    Attributes:
        rows: What was there before, in its order; empty where `take` took it.

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

    def __init__(self, path: Path, take: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._path = path
        self._synced = time.monotonic()
        self._file = _opened(path)
        self.rows: list[dict[str, Any]] = []
        try:
            self._file.seek(0)
            whole = _take_rows(self._file, path, take or self.rows.append)
            self._file.truncate(whole)
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
        """Force everything to the disk, and let others write to the file.

        Raises:
            RunError: The disk is full.
        """
        if self._file.closed:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {error.strerror or error}.") from error
        finally:
            with suppress(OSError):  # it flushes once more, and closes whatever comes of that
                self._file.close()


def refuse_running(path: Path) -> None:
    """Raise where a process writes to a file; a missing one is none.

    Raises:
        RunError: A process does, or the file may not be written to.
    """
    if path.exists():
        _opened(path).close()


def parse_lines(content: bytes, path: Path) -> list[dict[str, Any]]:
    """Return the objects of all lines that have an end.

    Raises:
        RunError: A line is no JSON object.
    """
    rows: list[dict[str, Any]] = []
    _take_rows(BytesIO(content), path, rows.append)
    return rows


def _take_rows(lines: Iterable[bytes], path: Path, take: Callable[[dict[str, Any]], None]) -> int:
    """Hand over the objects of all lines that have an end; return how many bytes those are."""
    whole = 0
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            break
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _unfit(path, number, line) from error
        if not isinstance(row, dict):
            raise _unfit(path, number, line)
        take(row)
        whole += len(line)
    return whole


def _unfit(path: Path, number: int, line: bytes) -> RunError:
    return RunError(f"{path}, line {number}: expected a JSON object, got {line[:60].rstrip()!r}.")


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
