"""Write files of torch.save whole or not at all, and read them as untrusted input."""

import os
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from asng.errors import InputError, RunError, in_one_line
from asng.runs.files import write_atomically
from asng.runs.guarded import open_plain

__all__ = ["check_format", "read_tensors", "write_tensors"]


_PLAIN = {bool, int, float, str, type(None), bytes, complex, torch.Size, torch.dtype, torch.device}
"""Types without parts that torch reads back safely; not those derived from them."""

_LONGEST_NAME = 200
"""Most letters that the name of a class or function in a file may have, with its module."""


def write_tensors(path: Path, content: dict[str, Any], *, rotate_to: Path | None = None) -> Path:
    """Write tensors, numbers, strings, and lists and dictionaries of them.

    Args:
        path: The file.
        content: What to write.
        rotate_to: Where to keep the file now at `path`, if any. It moves once the new one is on disk.

    Returns:
        `path`.

    Raises:
        InputError: The content holds something that could not be read back. What was there stays.
        RunError: The file cannot be written. What was there stays.
    """
    for where, part in _unreadable(content, ""):
        kind = type(part)
        raise InputError(
            f"{path}: expected tensors, numbers, text, and lists and dictionaries of them, which can be read "
            f"back safely, got {kind.__module__}.{kind.__qualname__} at {in_one_line(where, 200)}. Put a "
            "plain value there, such as value.item() or value.tolist()."
        )

    def write(temporary: Path) -> None:
        # By our own handle: given a path, torch.save reports a full disk by errors of its own.
        with temporary.open("wb") as handle:
            try:
                torch.save(content, handle)
            except RuntimeError as error:  # torch's own error here too, if a disk fails once
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

    return write_atomically(path, write, rotate_to=rotate_to)


def _unreadable(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a content that could not be read back, with their places."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, torch.Tensor):
        return
    if kind in (dict, OrderedDict):
        for key, part in value.items():
            yield from _unreadable(key, f"the key {key!r} of {where or 'the content'}")
            yield from _unreadable(part, f"{where}[{key!r}]")
    elif kind in (list, tuple, set):
        for number, part in enumerate(value):
            yield from _unreadable(part, f"{where}[{number}]")
    elif not _reads_back(value):
        yield where, value


def _reads_back(value: Any) -> bool:
    """Whether torch reads a value of a rare type back: of one that it knows, or that the user trusts."""
    file = BytesIO()
    try:
        torch.save(value, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception:  # whatever pickle raises
        return False
    return True


def read_tensors(path: Path, kind: str) -> dict[str, Any]:
    """Return what `write_tensors` wrote, on the CPU.

    Args:
        path: The file.
        kind: What it is, for messages.

    Raises:
        RunError: The file is missing, torn, foreign, or changed on the disk.
    """
    try:
        with open_plain(path) as file:
            with zipfile.ZipFile(file) as archive:
                _refuse_bomb(archive.infolist(), os.fstat(file.fileno()).st_size)
                _refuse_long_names(archive)
                torn = archive.testzip()  # torch.load does not verify the checksums
            if torn is None:
                file.seek(0)
                content = torch.load(file, map_location="cpu", weights_only=True)
    except RunError:
        raise
    except FileNotFoundError:
        raise RunError(f"{path}: expected {kind}, found no file. Check the path.") from None
    except Exception as error:  # whatever zipfile and torch.load raise on a foreign file
        name = type(error).__name__
        raise RunError(f"{path}: expected {kind}, got a truncated or foreign file ({name}).") from error
    if torn is not None:
        raise RunError(f"{path}: expected {kind}, got a damaged file: its part {torn!r} fails its checksum.")
    if not isinstance(content, dict):
        raise RunError(f"{path}: expected {kind}, got a file that holds {type(content).__name__}.")
    return content


def check_format(path: Path, kind: str, content: dict[str, Any], known: int) -> None:
    """Raise if the format of `content` is not the one that this asng knows.

    Raises:
        RunError: The format is another one.
    """
    number = content.get("format")
    if not isinstance(number, int) or number != known:
        raise RunError(
            f"{path}: expected {kind} of format {known}, got {in_one_line(repr(number), 80)}. Update asng?"
        )


def _refuse_long_names(archive: zipfile.ZipFile) -> None:
    """Raise if a class or function in a file has a very long name, as none of torch's has.

    torch.load refuses it too, but searches its own message by regular expressions in quadratic time: 14
    seconds for a name of 40,000 letters.
    """
    for part in archive.namelist():
        for code, argument, _ in pickletools.genops(archive.read(part)) if part.endswith("data.pkl") else ():
            if code.name in ("GLOBAL", "INST") and len(argument or "") > _LONGEST_NAME:
                raise ValueError(f"a name of {len(argument or '')} letters")


def _refuse_bomb(parts: list[zipfile.ZipInfo], size: int) -> None:
    """Raise if the parts would take more memory than the file has bytes: torch.save compresses nothing."""
    packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if packed or sum(part.file_size for part in parts) > size:
        raise ValueError("compressed, or parts that overlap")
