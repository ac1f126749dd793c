"""Read the files of a run folder as untrusted input.

A name in a folder may be that of a pipe that nobody writes to, of a device that never ends, or of a link to
one. A small JSON file may stand for gigabytes of empty lists. So files are opened without waiting, and their
kind and size are checked before they are parsed.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from asng.errors import RunError

__all__ = [
    "LARGEST",
    "MOST_HELD",
    "MOST_VALUES",
    "few_lines_of",
    "lines_of",
    "open_plain",
    "read_head",
    "read_plain",
    "refuse_excess",
]

LARGEST = 2**26
"""Most bytes of a JSON file, or of a line of a log. A space of a million variables takes about as many."""
MOST_VALUES = 4_000_000
"""Most values in JSON. Python takes up to a hundred bytes for each."""
MOST_HELD = 2_000_000
"""Most values in a log whose rows are kept in memory, where each row repeats the names of its fields."""
_DEEPEST = 64
"""Most levels of JSON; ours has seven. Python's stack ends at some hundred."""

_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_KINDS = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISDIR, "a folder"), (stat.S_ISLNK, "a link"))


def open_plain(path: Path, *, to_append: bool = False) -> BinaryIO:
    """Open a plain file without waiting for anything.

    Args:
        path: The file. A link to a plain file may be read, but not written to: it may lead anywhere.
        to_append: Open it to be read and appended to, and make it if it is missing.

    Raises:
        FileNotFoundError: There is no such file.
        RunError: It is a folder, a pipe, a device or a link to one, or may not be read.
        OSError: It may not be written to.
    """

    def opener(name: str, flags: int) -> int:
        handle = os.open(name, flags | _AT_ONCE | (_NO_LINK if to_append else 0), 0o666)
        if stat.S_ISREG(mode := os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        kind = next((words for is_one, words in _KINDS if is_one(mode)), "a device")
        raise RunError(f"{path}: expected a plain file, got {kind}. Remove it, or use another folder.")

    try:
        return open(path, "a+b" if to_append else "rb", opener=opener)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_dir():
            raise RunError(f"{path}: expected a plain file, got a folder. Remove it.") from None
        if to_append and path.is_symlink():
            raise RunError(
                f"{path}: expected a plain file, got a link, which is never followed for writing. Put a file "
                "there."
            ) from None
        if to_append:
            raise
        raise RunError(f"{path}: cannot be read: {error.strerror or error}.") from error


def read_plain(path: Path, most: int | None = None) -> bytes:
    """Return the content of a plain file.

    Args:
        path: The file.
        most: Largest size in bytes. Default: 64 MiB.

    Raises:
        FileNotFoundError: There is no such file.
        RunError: It is not a plain file, is larger, or cannot be read.
    """
    most = LARGEST if most is None else most
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        with _told(path):
            content = file.read(most + 1) if size <= most else b""
    if max(size, len(content)) > most:
        raise RunError(f"{path}: expected at most {most} bytes, got {max(size, len(content))}.")
    return content


def read_head(path: Path, most: int) -> bytes:
    """Return the first line of a plain file, but at most so many bytes of it.

    Raises:
        FileNotFoundError: There is no such file.
        RunError: It is not a plain file, or cannot be read.
    """
    with open_plain(path) as file, _told(path):
        return file.readline(most)


def lines_of(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the lines of an open file, none of which is longer than 64 MiB.

    Raises:
        RunError: A line is longer, or the file cannot be read.
    """
    number = 0
    while True:
        number += 1
        with _told(path):
            line = file.readline(LARGEST + 1)
        if len(line) > LARGEST:
            raise RunError(f"{path}, line {number}: expected at most {LARGEST} bytes, got a longer line.")
        if not line:
            return
        yield line


def few_lines_of(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the lines of an open file whose rows are kept in memory: 64 MiB and two million values at most.

    Raises:
        RunError: There is more, or the file cannot be read.
    """
    size = values = 0
    for line in lines_of(file, path):
        size, values = size + len(line), values + _values(line)
        if size > LARGEST or values > MOST_HELD:
            raise RunError(
                f"{path}: expected at most {LARGEST} bytes and {MOST_HELD} values in all, got more."
            )
        yield line


def refuse_excess(text: bytes) -> None:
    """Raise if JSON has too many values, or too deep ones, without parsing it.

    Raises:
        ValueError: It has.

    Example:
        >>> refuse_excess(b'[1, [2, 3]]')
        >>> refuse_excess(b"[" * 100)
        Traceback (most recent call last):
        ValueError: expected JSON of at most 64 levels
    """
    if _values(text) > MOST_VALUES:
        raise ValueError(f"expected JSON of at most {MOST_VALUES} values")
    if text.count(b"[") + text.count(b"{") > _DEEPEST and _depth(text) > _DEEPEST:
        raise ValueError(f"expected JSON of at most {_DEEPEST} levels")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # from a damaged disk, or a file that stands for something else
        raise RunError(f"{path}: cannot be read: {error.strerror or error}.") from error


def _values(text: bytes) -> int:
    """Return roughly how many values JSON has, or more, by its brackets and commas, in strings too."""
    return text.count(b"[") + text.count(b"{") + text.count(b",")


def _depth(text: bytes) -> int:
    """Return how deep brackets outside strings nest."""
    codes = np.frombuffer(text.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    outside = np.cumsum(codes == ord('"'), dtype=np.uint8) % 2 == 0  # it wraps round, and stays even or odd
    folded = codes | 32  # this makes the square ones curly
    opens, closes = folded == ord("{"), folded == ord("}")
    turns = np.flatnonzero((opens | closes) & outside)
    return int(np.cumsum(np.where(opens[turns], 1, -1)).max(initial=0))
