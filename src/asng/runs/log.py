"""Logs: files of one JSON object per line, to which one process at a time appends.

What was written stays, however the process ends. An incomplete last line, torn when a process was killed, is
left out when the file is read, and cut off when it is written to again.
"""

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from asng.errors import RunError
from asng.runs import guarded
from asng.runs.events import Event, event_of
from asng.runs.files import make_folder, sync_folder, write_text, writes
from asng.runs.guarded import few_lines_of, lines_of, open_plain
from asng.runs.locks import lock
from asng.runs.stored import json_text, load_json, told

__all__ = ["JsonLines", "RunLog", "read_lines", "refuse_running"]

_SYNC = 1.0
"""Seconds between two syncs of a file to disk. What a killed process wrote is there anyway; this is for a
machine that loses power."""


def _object_of(line: bytes) -> dict[str, Any]:
    row = load_json(line)
    if not isinstance(row, dict):
        raise msgspec.ValidationError(f"Expected a JSON object, got {row!r:.80}")
    return row


class JsonLines:
    r"""A file of JSON lines that this process holds until it is closed.

    Args:
        path: The file; it and its folder are made if they are missing.
        take: Called with each row that was there before. Default: keep them in `rows`.
        parse: Makes a row from a line. Default: a dictionary of plain values.
        keep: How many bytes of what was there to keep, unread; the rest is cut off. Default: read and keep
            every complete line.

    Attributes:
        rows: The rows that were there before, in order; empty if `take` or `keep` is given.

    Raises:
        RunError: The file cannot be opened, another process writes to it, a line is not a JSON object, or the
            file is shorter than `keep`.

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

    def __init__(
        self,
        path: Path,
        take: Callable[[Any], None] | None = None,
        *,
        parse: Callable[[bytes], Any] = _object_of,
        keep: int | None = None,
    ) -> None:
        self._path = path
        self._synced, self._failed = time.monotonic(), False
        self.rows: list[dict[str, Any]] = []
        with writes(path):
            size = path.stat().st_size if path.exists() else 0
        if keep is not None and size < keep:
            raise RunError(
                f"{path}: expected the log of the checkpoint, at least {keep} bytes, got {size}. Put the log "
                "back, or pass overwrite=True (--overwrite) to start again."
            )
        self._file = _opened(path)
        try:
            self._file.seek(0)
            with self._told():
                if keep is None:
                    lines = lines_of(self._file, path) if take else few_lines_of(self._file, path)
                    keep = _take_rows(lines, path, take or self.rows.append, parse)
                self._file.truncate(keep)
        except BaseException:
            self._file.close()
            raise

    def append(self, row: Any) -> None:
        """Append a struct or plain values as one line; the operating system has it when this returns.

        Raises:
            RunError: The disk is full, the file was removed or moved, or the line is so long that it could
                not be read again.
        """
        line = f"{json_text(row)}\n".encode()
        if len(line) > guarded.LARGEST:
            raise RunError(
                f"{self._path}: expected a line of at most {guarded.LARGEST} bytes, got {len(line)}. "
                "Search a smaller space, or without a run_dir."
            )
        with self._told():
            self._file.write(line)
            self._file.flush()
            if time.monotonic() - self._synced > _SYNC:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def sync(self) -> int:
        """Sync everything to disk, and return the length of the file in bytes.

        Raises:
            RunError: The disk is full, or the file was removed or moved.
        """
        with self._told():
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.seek(0, os.SEEK_END)

    def replace(self, rows: Iterable[Any]) -> None:
        """Replace all rows by these, wholly or not at all."""
        write_text(self._path, "".join(f"{json_text(row)}\n" for row in rows))
        self._file.close()
        self._file = _opened(self._path)

    def close(self) -> None:
        """Sync everything to disk, and let others write to the file.

        Raises:
            RunError: The disk is full, and no earlier error has said so.
        """
        if self._file.closed:
            return
        try:
            if not self._failed:
                self.sync()
        finally:
            with suppress(OSError):  # it flushes once more, and closes even if that fails
                self._file.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Check after a write that the file still has its name: lines of a removed one would be lost."""
        try:
            with writes(self._path):
                yield
                if not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
                    raise FileNotFoundError(errno.ENOENT, "another file is in its place")
        except RunError:
            self._failed = True
            raise


class RunLog:
    """The log of a run, to which its events are written; without a path it discards them.

    Args:
        path: The log of the run, or None.
        take: Called with each event that was there before; with None for one that this asng does not know.
        keep: As in `JsonLines`; 0 starts anew.

    Raises:
        RunError: As in `JsonLines`.
    """

    def __init__(
        self,
        path: Path | None,
        take: Callable[[Event | None], None] | None = None,
        *,
        keep: int | None = None,
    ) -> None:
        self._lines = None if path is None else JsonLines(path, take, parse=event_of, keep=keep)

    def write(self, event: Event) -> None:
        """Append one event. Numbers that JSON cannot hold (NaN, infinities) become null.

        Raises:
            RunError: The disk is full.
        """
        if self._lines is not None:
            self._lines.append(event)

    def sync(self) -> int:
        """Sync everything to disk, and return the length of the file in bytes."""
        return 0 if self._lines is None else self._lines.sync()

    def close(self) -> None:
        """Sync everything to disk, let others write to the file, and discard later events."""
        lines, self._lines = self._lines, None
        if lines is not None:
            lines.close()


def refuse_running(path: Path) -> None:
    """Raise if a process is writing to a file; nothing happens if the file is missing.

    Raises:
        RunError: A process is, or the file may not be written to.
    """
    if path.exists():
        _opened(path).close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of all complete lines of a file.

    Raises:
        FileNotFoundError: There is no such file.
        RunError: The file is unreadable, or a line is not a JSON object.
    """
    rows: list[dict[str, Any]] = []
    with open_plain(path) as file:
        _take_rows(few_lines_of(file, path), path, rows.append, _object_of)
    return rows


def _take_rows(
    lines: Iterable[bytes], path: Path, take: Callable[[Any], None], parse: Callable[[bytes], Any]
) -> int:
    """Pass the rows of all complete lines to `take`; return the size of these lines in bytes."""
    whole = 0
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            break
        try:
            row = parse(line)
        except msgspec.ValidationError as error:
            raise RunError(f"{path}, line {number}: {told(error)}") from None
        except (ValueError, RecursionError) as error:
            got = line[:60].rstrip()
            raise RunError(f"{path}, line {number}: expected a JSON object, got {got!r}.") from error
        take(row)
        whole += len(line)
    return whole


def _opened(path: Path) -> BinaryIO:
    with ExitStack() as stack, writes(path):
        make_folder(path.parent)
        known = path.exists()
        file = stack.enter_context(open_plain(path, to_append=True))
        lock(file, path)
        if not known:
            sync_folder(path.parent)
        stack.pop_all()
        return file
