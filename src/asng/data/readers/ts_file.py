"""Read the .ts format of the UCR and UEA archives, as sktime and aeon do.

Comments begin with # or %, header lines with @. After @data, every line is a case: its dimensions separated
by colons, the numbers of a dimension by commas, the class label last.

References:
    M. Middlehurst et al. (2024), "aeon: a Python toolkit for learning from time series", JMLR 25(289).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from asng.checks import as_path, nearest
from asng.data.time_series import TimeSeries
from asng.errors import InputError, in_one_line

__all__ = ["read_ts"]

_LARGEST = torch.finfo(torch.float32).max


def read_ts(path: str | PathLike[str]) -> TimeSeries:
    r"""Read the labelled time series of one .ts file, of one length or of several.

    Args:
        path: The file.

    Returns:
        The series, with classes in the order of the header. The training and the test file of a problem list
        the same classes.

    Raises:
        InputError: The file is missing or unreadable, has time stamps, or lacks a header, class labels or
            cases. Or a case has dimensions of several lengths, a wrong number of them, an entry that is not a
            finite number, or an unknown label. The message names the file, and the line if there is one.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "tiny.ts")
        >>> _ = file.write_text("@problemName Tiny\n@classLabel true a b\n@data\n1,2,3:4,5,6:b\n")
        >>> data = read_ts(file)
        >>> data.name, data.series[0].shape, data.classes[data.labels[0]]
        ('Tiny', torch.Size([3, 2]), 'b')
    """
    path = as_path("path", path, to_read=True)
    lines = _lines(path)
    header = _read_header(path, lines)
    series: list[Tensor] = []
    labels: list[int] = []
    for number, line in lines:
        where = f"{path}, line {number}"
        dimensions, label = _split(where, line, header)
        series.append(_to_tensor(where, dimensions))
        labels.append(header.classes.index(label))
        if series[-1].shape[1] != series[0].shape[1]:
            raise InputError(
                f"{where}: expected {series[0].shape[1]} dimension(s), as in the first case, got "
                f"{series[-1].shape[1]}."
            )
    if not series:
        raise InputError(f"{path}: expected at least one case after @data, got none. Is the file cut short?")
    return TimeSeries(tuple(series), torch.tensor(labels), header.classes, header.name)


@dataclass(frozen=True)
class _Header:
    """The header entries that are needed to read the cases."""

    name: str
    classes: tuple[str, ...]
    dimensions: int | None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line that is neither empty nor a comment."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows add a mark
    except FileNotFoundError:
        raise InputError(f"{path}: expected a .ts file, got no such file. Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a readable .ts file, got: {error}.") from error
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith(("#", "%")):
            yield number, stripped


def _read_header(path: Path, lines: Iterator[tuple[int, str]]) -> _Header:
    """Read the lines up to @data."""
    entries: dict[str, str] = {}
    for number, line in lines:
        key, *value = line.split(maxsplit=1)
        if key.lower() == "@data":
            return _header_of(path, entries)
        if not key.startswith("@"):
            raise InputError(
                f"{path}, line {number}: expected the header, lines that begin with @ up to @data, got "
                f"{line[:40]!r}. Is it a file of another format?"
            )
        entries[key[1:].lower()] = "".join(value)
    raise InputError(f"{path}: expected a header that ends with @data, got none. Is the file cut short?")


def _header_of(path: Path, entries: dict[str, str]) -> _Header:
    if entries.get("timestamps", "false").lower() == "true":
        raise InputError(f"{path}: expected series without time stamps, got @timeStamps true.")
    labelled, *classes = entries.get("classlabel", "").split() or [""]
    if labelled.lower() != "true" or not classes:
        found = "@targetLabel, a regression" if "targetlabel" in entries else "none"
        raise InputError(
            f"{path}: expected class labels, a header line such as '@classLabel true a b c', got {found}."
        )
    if twice := next((name for name in classes if classes.count(name) > 1), None):
        raise InputError(
            f"{path}: expected each class once in the header, got {twice!r:.40} twice. Take one of them out."
        )
    dimensions = entries.get("dimensions", "")
    count = int(dimensions) if dimensions.isdecimal() and len(dimensions) < 10 else None
    return _Header(entries.get("problemname", path.stem), tuple(classes), count)


def _split(where: str, line: str, header: _Header) -> tuple[list[str], str]:
    """Return the dimensions and the label of a case."""
    *dimensions, label = (part.strip() for part in line.split(":"))
    if not dimensions or label not in header.classes:
        classes = in_one_line(", ".join(header.classes))
        raise InputError(
            f"{where}: expected dimensions, a colon and one of the classes {classes}, got "
            f"{label[-40:]!r} at the end.{nearest(label, header.classes)}"
        )
    if header.dimensions is not None and len(dimensions) != header.dimensions:
        raise InputError(
            f"{where}: expected {header.dimensions} dimension(s), as the header says, got {len(dimensions)}."
        )
    return dimensions, label


def _to_tensor(where: str, dimensions: list[str]) -> Tensor:
    """Return the numbers of a case, (time, channels)."""
    columns = [
        [_number(where, text, dimension) for text in column.split(",")]
        for dimension, column in enumerate(dimensions, start=1)
    ]
    lengths = sorted({len(column) for column in columns})
    if len(lengths) > 1:
        raise InputError(
            f"{where}: expected dimensions of one length, got lengths from {lengths[0]} to {lengths[-1]}. "
            "Only whole cases may be shorter than others."
        )
    return torch.tensor(columns).T.contiguous()


def _number(where: str, text: str, dimension: int) -> float:
    try:
        value = math.nan if "_" in text or not text.isascii() else float(text)  # 1_0 is 10 for Python alone
    except ValueError:
        value = math.nan
    if not abs(value) <= _LARGEST:  # true of NaN too
        hint = " It is a missing value: fill it in first." if text.strip() in {"?", "NaN", "nan"} else ""
        hint = " It is too large for 32 bits: scale the series." if math.isfinite(value) else hint
        raise InputError(f"{where}, dimension {dimension}: expected a finite number, got {text!r:.40}.{hint}")
    return value
