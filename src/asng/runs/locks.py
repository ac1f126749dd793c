"""Let only one process at a time write to a file, or run in a folder.

A lock ends with its process, however that ends. Processes that are forked from it, such as the workers of a
data loader, do not hold the lock: they may outlive it by seconds, when the run must be free to be resumed.
"""

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from asng.errors import RunError
from asng.runs.files import make_folder, writes_into

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where two runs in one folder go unnoticed
    fcntl = None  # type: ignore[assignment]

__all__ = ["held", "lock"]

_LOCKED: "weakref.WeakSet[Any]" = weakref.WeakSet()
"""Files and folders that this process has locked."""


def lock(file: "BinaryIO | _Folder", path: Path) -> None:
    """Keep other processes from writing to an open file, until it is closed or this process ends.

    Raises:
        RunError: Another process holds it, or has put another file in its place.
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
            f"{path}: another process is writing to it. Wait until it ends, or choose another run_dir."
        )
    _LOCKED.add(file)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes from running in a folder while the block runs.

    Args:
        folder: The folder; it is made if it is missing.

    Raises:
        RunError: Another process runs in it, or it cannot be made.

    Example:
        >>> import tempfile
        >>> with held(Path(tempfile.mkdtemp(), "run")) as _:
        ...     print("it is ours")
        it is ours
    """
    with writes_into(folder):
        make_folder(folder)
        opened = None if fcntl is None else _Folder(folder)
    if opened is None:  # pragma: no cover - Windows, where a folder cannot be opened either
        yield
        return
    try:
        with suppress(OSError):  # from file systems whose folders have no locks
            lock(opened, folder)
        yield
    finally:
        opened.close()


class _Folder:
    """An open folder, with those methods of open files that are used here."""

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDONLY)
        self.closed = False

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        self.closed = True
        os.close(self._number)


def _let_go() -> None:
    """In a forked process, give up the locks of the parent, and write nothing to its files."""
    files = [file for file in _LOCKED if not file.closed]
    if files:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for file in files:  # not closed: a buffer would go to the next file with its number
            os.dup2(nowhere, file.fileno(), inheritable=False)
        os.close(nowhere)
    _LOCKED.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
