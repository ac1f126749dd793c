"""Write files that are either whole or not there, even when the machine loses power.

A file is written under a temporary name beside its place, synced to disk, and renamed; then its folder, which
holds the name, is synced. Readers see the old content or the new, never half of it, however the process or
the machine ended.
"""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asng.errors import RunError

__all__ = [
    "is_half",
    "make_folder",
    "sync_folder",
    "write_atomically",
    "write_folder",
    "write_text",
    "writes",
    "writes_into",
]

_MOST_LETTERS = 60
"""Letters of a name that its temporary name keeps, to stay below the 255 bytes that file systems allow."""
_NO_SUCH_CALL = (errno.EINVAL, errno.ENOTSUP)
"""Errors of file systems that cannot sync folders to disk."""

_AGAIN = "try again; pass resume=True (--resume) to continue a run."
_ROOM = f"Free some space and {_AGAIN}"
_RIGHTS = "Choose a writable folder."
_GONE = f"Was its folder removed or moved? Put it back and {_AGAIN}"
_ADVICE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOENT: _GONE,
    errno.EEXIST: "It is a file: choose another name.",
    errno.EISDIR: "It is a folder: choose another name.",
    errno.ENOTDIR: "A part of its path is a file: choose another folder.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


@contextmanager
def writes(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into an error that says why a file cannot be written, and what to do.

    Raises:
        RunError: The file cannot be written.

    Example:
        >>> with writes(Path("/dev/null/file")):
        ...     Path("/dev/null/file").touch()
        Traceback (most recent call last):
        asng.errors.RunError: /dev/null/file: cannot be written: Not a directory. A part of its path is ...
    """
    try:
        yield
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {_told(error)}") from error


@contextmanager
def writes_into(folder: Path) -> Iterator[None]:
    """Do as `writes` does, for a run folder that cannot be made, looked into or changed.

    Raises:
        RunError: The folder cannot be made, looked into or changed.

    Example:
        >>> with writes_into(Path("/dev/null/run")):
        ...     Path("/dev/null/run").mkdir()
        Traceback (most recent call last):
        asng.errors.RunError: /dev/null/run: expected a folder to write a run into: Not a directory. ...
    """
    try:
        yield
    except OSError as error:
        raise RunError(f"{folder}: expected a folder to write a run into: {_told(error)}") from error


def _told(error: OSError) -> str:
    advice = _ADVICE.get(error.errno or 0, f"Check the disk and {_AGAIN}")
    return f"{error.strerror or error}. {advice}"


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they are missing, and sync their names to disk.

    Raises:
        OSError: It cannot be made.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to disk, if the system can: Windows cannot.

    Raises:
        OSError: It is not a folder, or the disk fails.
    """
    if os.name == "nt":  # pragma: no cover
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _NO_SUCH_CALL:
            raise
    finally:
        os.close(number)


def write_atomically(path: Path, write: Callable[[Path], object], *, rotate_to: Path | None = None) -> Path:
    """Let `write` fill a temporary file, sync it to disk, and rename it to `path`.

    Args:
        path: The file. Its folder must exist: one that was moved is not made anew, since half of a run would
            then lie in each.
        write: Called with the temporary path; writes the whole content there.
        rotate_to: Where to keep the file now at `path`, if any. It moves once the new one is on disk.

    Returns:
        `path`.

    Raises:
        RunError: The file cannot be written; no temporary file is left behind.
    """
    with writes(path):
        temporary = _temporary(path)
    try:
        with writes(path):
            write(temporary)
            _sync_file(temporary)
            if rotate_to is not None and path.exists():
                path.replace(rotate_to)
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        with suppress(OSError):  # if it cannot be removed, the error above says why
            temporary.unlink(missing_ok=True)
    return path


def write_folder(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary folder, sync it to disk, and put it in the place of `path`.

    Raises:
        RunError: It cannot be written; no temporary folder is left behind.
    """
    with writes(path):
        temporary = _temporary(path)
    try:
        with writes(path):
            write(temporary)
            for inner in temporary.rglob("*"):
                if inner.is_file():
                    _sync_file(inner)
            for inner in (temporary, *filter(Path.is_dir, temporary.rglob("*"))):
                sync_folder(inner)
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write `text` as UTF-8, whole or not at all."""
    return write_atomically(path, lambda temporary: _fill(temporary, text))


def is_half(path: Path, names: Collection[str]) -> bool:
    """Whether a path is the temporary one of a file, or folder, with one of these names.

    Example:
        >>> is_half(Path("run/.result.json.0123abcd"), ["result.json"]), is_half(Path(".bashrc"), ["bashrc"])
        (True, False)
    """
    found = re.fullmatch(r"[.](.+)[.][0-9a-f]{8}", path.name)
    return found is not None and found[1] in {name[:_MOST_LETTERS] for name in names}


def _temporary(path: Path) -> Path:
    if not path.name:  # the current folder, or the root
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return path.with_name(f".{path.name[:_MOST_LETTERS]}.{secrets.token_hex(4)}")


def _sync_file(path: Path) -> None:
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def _fill(path: Path, text: str) -> None:
    # Halves of surrogate pairs, which a name can have, are escaped as in JSON and Python.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
