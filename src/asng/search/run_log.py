"""The log of a run: one JSON object a line, in the order of events."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from asng.errors import RunError
from asng.locks import lock

__all__ = ["RunLog"]


class RunLog:
    """Appends events to `log.jsonl`; without a path it swallows them.

    Args:
        path: The file, or None.
        keep: How many bytes of an existing file to keep, the rest being cut off: what a resumed run has
            logged after its checkpoint will be logged anew. Default: none of it.

    Raises:
        RunError: The file cannot be opened, another process writes to it, or it is shorter than `keep`.
    """

    def __init__(self, path: Path | None, *, keep: int = 0) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        if path is None:
            return
        size = path.stat().st_size if path.exists() else 0
        if size < keep:
            raise RunError(
                f"{path}: expected the log of the checkpoint, at least {keep} bytes, got {size}. Put the log "
                "back, or search anew with overwrite."
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
            lock(self._file, path)
            self._file.truncate(keep)
            self._file.seek(keep)
        except OSError as error:
            self.close()
            raise RunError(f"{path}: cannot be written: {error.strerror or error}.") from error
        except RunError:
            self.close()
            raise

    def write(self, event: str, **fields: Any) -> None:
        """Append one event. Numbers that JSON cannot hold (NaN, infinities) become null.

        Raises:
            RunError: The disk is full.
        """
        if self._file is not None:
            line = json.dumps({"event": event, **_plain(fields)}, allow_nan=False)
            with self._told():
                self._file.write(line.encode() + b"\n")

    def flush(self) -> int:
        """Bring everything to the disk, and return the length of the file in bytes.

        Raises:
            RunError: The disk is full.
        """
        if self._file is None:
            return 0
        with self._told():
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()

    def close(self) -> None:
        """Flush and close the file; it is closed whatever comes of that.

        Raises:
            RunError: The disk is full.
        """
        if self._file is None:
            return
        try:
            self.flush()
        finally:
            with suppress(OSError):  # it flushes once more
                self._file.close()
            self._file = None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self._path}: cannot be written: {error.strerror or error}. Make room, and go on by resume."
            ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
