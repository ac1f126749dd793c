"""Files of torch.save that are written whole and read with suspicion."""

import os
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch

from asng.errors import RunError, in_one_line
from asng.runs.files import write_atomically
from asng.runs.guarded import open_plain

__all__ = ["check_format", "read_tensors", "write_tensors"]


_LONGEST_NAME = 200
"""Letters of the module and the name of a class or function in a file."""


def write_tensors(path: Path, content: dict[str, Any], *, rotate_to: Path | None = None) -> Path:
    """Write tensors, numbers, strings, and lists and dictionaries of them.

    Args:
        path: Where.
        content: What.
        rotate_to: Where the file now at `path`, if any, is to stay. It moves once the new one is on the disk.

    Returns:
        `path`.

    Raises:
        RunError: The file cannot be written. What was there stays.
    """

    def write(temporary: Path) -> None:
        # A handle of ours: given a path, torch.save tells of a full disk by errors of its own.
        with temporary.open("wb") as handle:
            try:
                torch.save(content, handle)
            except RuntimeError as error:  # of its own too, where a disk fails once
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

    return write_atomically(path, write, rotate_to=rotate_to)


def read_tensors(path: Path, kind: str) -> dict[str, Any]:
    """Return what `write_tensors` wrote, on the CPU.

    Args:
        path: Where.
        kind: What it is, for messages.

    Raises:
        RunError: The file is torn, foreign, or changed on the disk.
    """
    try:
        with open_plain(path) as file:
            with zipfile.ZipFile(file) as archive:
                _refuse_bomb(archive.infolist(), os.fstat(file.fileno()).st_size)
                _refuse_long_names(archive)
                torn = archive.testzip()  # torch.load does not look at the checksums
            if torn is None:
                file.seek(0)
                content = torch.load(file, map_location="cpu", weights_only=True)
    except RunError:
        raise
    except Exception as error:  # whatever a foreign file makes of zipfile and torch.load
        name = type(error).__name__
        raise RunError(f"{path}: expected {kind}, got a torn or foreign file ({name}).") from error
    if torn is not None:
        raise RunError(f"{path}: expected {kind}, got a damaged file: its part {torn!r} fails its checksum.")
    if not isinstance(content, dict):
        raise RunError(f"{path}: expected {kind}, got a file that holds {type(content).__name__}.")
    return content


def check_format(path: Path, kind: str, content: dict[str, Any], known: int) -> None:
    """Raise if the format of `content` is not the one that this asng knows.

    Raises:
        RunError: It is another one.
    """
    number = content.get("format")
    if not isinstance(number, int) or number != known:
        raise RunError(
            f"{path}: expected {kind} of format {known}, got {in_one_line(repr(number), 80)}. Update asng?"
        )


def _refuse_long_names(archive: zipfile.ZipFile) -> None:
    """Raise if a file names a class or function of many letters, as none of torch's has.

    torch.load refuses it too, but looks for the reason in its own message by expressions that take time with
    the square of its length: 14 seconds for a name of 40,000 letters.
    """
    for part in archive.namelist():
        for code, argument, _ in pickletools.genops(archive.read(part)) if part.endswith("data.pkl") else ():
            if code.name in ("GLOBAL", "INST") and len(argument or "") > _LONGEST_NAME:
                raise ValueError(f"a name of {len(argument or '')} letters")


def _refuse_bomb(parts: list[zipfile.ZipInfo], size: int) -> None:
    """Raise if reading the parts would take more than the file: torch.save compresses nothing."""
    packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if packed or sum(part.file_size for part in parts) > size:
        raise ValueError("compressed, or parts that lie over each other")
