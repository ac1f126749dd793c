"""Files that are either whole or not there.

A file is written under a temporary name beside its place, flushed to the disk, and renamed: whoever reads
it meets the old content or the new, never half of it, however the process ended.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asng.errors import RunError

__all__ = ["write_atomically", "write_text", "writes_into"]


def write_atomically(path: Path, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a temporary file, then rename that to `path`.

    Args:
        path: Where the file is to be; its folder is made where it is missing.
        write: Is called with the temporary path and writes the whole content there.

    Returns:
        `path`.

    Raises:
        RunError: The folder or the file cannot be written; no temporary file is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"{path}: cannot be written: {reason}. Is the disk full or read-only?") from error
    finally:
        with suppress(OSError):  # where it cannot be removed, the error above says why
            temporary.unlink(missing_ok=True)
    return path


@contextmanager
def writes_into(folder: Path) -> Iterator[None]:
    """Say of a run folder that cannot be made or changed in the block what to do.

    Raises:
        RunError: It cannot.

    Example:
        >>> with writes_into(Path("/dev/null/run")):
        ...     Path("/dev/null/run").mkdir()
        Traceback (most recent call last):
        asng.errors.RunError: /dev/null/run: expected a folder to write a run into: Not a directory. ...
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{folder}: expected a folder to write a run into: {error.strerror or error}. Choose another "
            "run_dir."
        ) from error


def write_text(path: Path, text: str) -> Path:
    """Write `text` as UTF-8, whole or not at all."""
    return write_atomically(path, lambda temporary: _fill(temporary, text))


def _fill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
