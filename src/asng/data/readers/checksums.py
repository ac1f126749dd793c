"""Check data against lists of checksums beside them, as written by `sha256sum` and `md5sum`.

CIFAR's binary files and folders of images have no checksum of their own: a file that was damaged in transfer
reads like any other. A list made from the intact data reveals it.
"""

import hashlib
import os.path
import re
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from asng.errors import InputError

__all__ = ["LIST_NAMES", "Checksums", "digest_of"]

_ALGORITHMS = {"SHA256SUMS": "sha256", "MD5SUMS": "md5", "md5sums.txt": "md5"}
LIST_NAMES = tuple(_ALGORITHMS)
"""File names that a list may have."""

_DIGITS = {"sha256": 64, "md5": 32}
_LINE = re.compile(r"(?P<digest>[0-9a-fA-F]+) [ *](?P<name>.+)")
_CHUNK = 1 << 20


class Checksums:
    """The checksum lists of a folder; true if there is one.

    If there is a list, a file that no list names is an error: it would silently go unchecked.

    Args:
        folder: Holds the lists, named SHA256SUMS, MD5SUMS or md5sums.txt; names in them are relative to it.

    Raises:
        InputError: A list is unreadable, or a line of it is not a checksum and a name.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.bin").write_bytes(b"whole")
        >>> _ = (folder / "SHA256SUMS").write_text(digest_of(folder / "a.bin", "sha256") + "  a.bin")
        >>> Checksums(folder).check(folder / "a.bin")
        >>> _ = (folder / "a.bin").write_bytes(b"whale")
        >>> Checksums(folder).check(folder / "a.bin")
        Traceback (most recent call last):
            ...
        asng.errors.InputError: ...a.bin: expected sha256 ..., as SHA256SUMS says, got ...
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self._folder = Path(folder)
        self._lists = {
            name: dict(_entries(self._folder / name, _DIGITS[algorithm]))
            for name, algorithm in _ALGORITHMS.items()
            if (self._folder / name).is_file()
        }

    def __bool__(self) -> bool:
        return bool(self._lists)

    def check(self, path: Path) -> None:
        """Check a file against all lists that name it.

        Args:
            path: A file in the folder or below it.

        Raises:
            InputError: The checksum differs, the file is unreadable, or there are lists and none names it.
        """
        name = path.relative_to(self._folder).as_posix()
        listing = {which: entries[name] for which, entries in self._lists.items() if name in entries}
        if self._lists and not listing:
            raise InputError(
                f"{path}: expected a line for {name!r} in {' or '.join(self._lists)} beside the data, got "
                "none. Make the list again, or remove it."
            )
        for which, expected in listing.items():
            algorithm = _ALGORITHMS[which]
            found = digest_of(path, algorithm)
            if found != expected:
                raise InputError(
                    f"{path}: expected {algorithm} {expected}, as {which} says, got {found}. The file was "
                    "changed or damaged: fetch it again."
                )


def digest_of(path: Path, algorithm: str) -> str:
    """Return the checksum of a file, in hexadecimal.

    Args:
        path: The file; it is read in chunks, so it may be larger than memory.
        algorithm: "sha256" or "md5". Neither keeps an attacker out here: the list lies beside the data.

    Raises:
        InputError: The file is missing or unreadable.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"{path}: expected a readable file, got: {error.strerror}.") from error
    return digest.hexdigest()


def _entries(path: Path, digits: int) -> Iterator[tuple[str, str]]:
    """Yield the name and the checksum of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a list of checksums, got: {error}.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or len(match["digest"]) != digits:
            raise InputError(
                f"{path}, line {number}: expected {digits} hexadecimal digits, two blanks and a name, got "
                f"{line[:80]!r}. Make the list with {'sha256sum' if digits == 64 else 'md5sum'}."
            )
        yield os.path.normpath(match["name"]), match["digest"].lower()
