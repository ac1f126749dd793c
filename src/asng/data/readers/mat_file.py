"""Read arrays of numbers from MATLAB files of versions 5 to 7 ("Level 5"), plain or compressed.

A header of 128 bytes precedes the elements: type and length, 4 bytes each, and a body padded to a multiple
of 8. A variable is an element of elements: class, dimensions, name, numbers with the first dimension fastest.
Only such arrays are read; everything else is skipped: structures, objects, anything that could run.

`scipy.io.loadmat` reads much more, but a single wrong byte can make it crash the whole process. Of 760 files
with one altered byte in a header, 14 did so, by SIGSEGV or SIGBUS (scipy 1.17.1).

References:
    The MathWorks, "MAT-File Format", chapter "Level 5 MAT-File Format".
"""

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asng.errors import InputError

__all__ = ["read_mat", "parse_mat"]

_HEAD = 128
_MATRIX, _COMPRESSED = 14, 15
# How numbers are stored, and the class of a variable: doubles that are whole may be stored as bytes.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX = 0x08
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MOST_DIMENSIONS = 32
_FILLED_UP = 8
_ALWAYS_EXPANDED, _MOST_EXPANDED = 64 * 2**20, 100
"""An element may expand to so many bytes, or to so many times its compressed size, whichever is more.

Images compress to a tenth at best, zeros to a thousandth: a small array may consist of zeros."""


def read_mat(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Read arrays of numbers by their names.

    Args:
        path: The file.
        names: Names of the variables. Others are skipped.

    Returns:
        Those that the file holds as real numbers, by name; arrays may be read-only.

    Raises:
        InputError: The file is missing, unreadable, of another format or version, truncated or damaged.

    Example:
        >>> import tempfile
        >>> from scipy.io import savemat
        >>> file = Path(tempfile.mkdtemp(), "some.mat")
        >>> savemat(file, {"y": [[1, 2], [3, 4]]})
        >>> read_mat(file, ["y"])["y"].tolist()
        [[1, 2], [3, 4]]
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: expected a MATLAB file, got no such file. Check the path.") from None
    except OSError as error:
        raise InputError(f"{path}: expected a readable MATLAB file, got: {error.strerror}.") from error
    return parse_mat(content, str(path), names)


def parse_mat(content: bytes, name: str, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays that the bytes of a MATLAB file hold.

    Args:
        content: The file's bytes.
        name: Name of the file in error messages.
        names: As for `read_mat`.

    Raises:
        InputError: As for `read_mat`.
    """
    order = _byte_order(content, name)
    found = {}
    try:
        for kind, body in _elements(memoryview(content)[_HEAD:], order):
            if kind == _COMPRESSED:
                kind, body = _expanded(body, order)
            if kind == _MATRIX:
                variable, array = _variable(body, order, names)
                if array is not None:
                    found[variable] = array
    except (ValueError, struct.error, zlib.error) as error:
        raise InputError(
            f"{name}: expected a whole MATLAB file, got one that fails to read ({error}). It is cut short or "
            "damaged: fetch it again."
        ) from error
    return found


def _byte_order(content: bytes, name: str) -> str:
    # MATLAB 7.3 writes 512 bytes of its own before the HDF5 file.
    if content.startswith(_HDF5) or content.startswith(_HDF5, 512):
        raise InputError(
            f"{name}: expected a file of MATLAB 5 to 7, got one of MATLAB 7.3 (HDF5). Save it again: "
            "save(..., '-v7')."
        )
    mark = content[_HEAD - 2 : _HEAD]
    if mark not in (b"IM", b"MI"):
        raise InputError(
            f"{name}: expected a file of MATLAB 5 to 7, with IM or MI at byte 126, got {mark!r}. Is it "
            "cut short or a file of another format?"
        )
    return "<" if mark == b"IM" else ">"


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield the type and body of each element."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}2I", data, at)
        start = at + 8
        if kind >> 16:  # a small one: type and size in 2 bytes each, and the body where the size would be
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            if size > 4:
                raise ValueError(f"a small element of {size} bytes")
        if start + size > len(data):
            raise ValueError(f"an element of {size} bytes, of which {len(data) - start} are there")
        yield kind, data[start : start + size]
        end = start + size
        at = end if kind == _COMPRESSED else end + -end % 8


def _expanded(body: memoryview, order: str) -> tuple[int, memoryview]:
    """Return the type and body of a compressed element, expanding no more than its header announces.

    A small file may hold gigabytes of zeros. So the announced size must be plausible, and at most a few bytes
    beyond it are expanded.
    """
    expand = zlib.decompressobj()
    head = expand.decompress(body, 8)
    kind, size = struct.unpack(f"{order}2I", head)
    if kind >> 16:  # a small one, whole in its head
        return _next(_elements(memoryview(head), order))
    if size > max(_ALWAYS_EXPANDED, _MOST_EXPANDED * len(body)):
        raise ValueError(f"an element of {size} bytes, compressed to {len(body)}")
    content = expand.decompress(expand.unconsumed_tail, size + _FILLED_UP + 1)
    if len(content) > size + _FILLED_UP:
        raise ValueError(f"more than the {size} bytes of a compressed element")
    if len(content) < size or not expand.eof:  # at its end, zlib has verified the checksum
        raise ValueError(f"a compressed element of {size} bytes, of which {len(content)} are there")
    return kind, memoryview(content)[:size]


def _variable(body: memoryview, order: str, names: Collection[str]) -> tuple[str, NDArray[Any] | None]:
    """Return the name and array of a variable; None for the array if it is not wanted or not real numbers."""
    elements = _elements(body, order)
    (_, flags), (_, dimensions), (_, label) = (_next(elements) for _ in range(3))
    variable = bytes(label).decode("latin-1")
    (word,) = struct.unpack_from(f"{order}I", flags)
    matlab_class, attributes = word & 0xFF, word >> 8 & 0xFF
    if variable not in names or matlab_class not in _CLASSES or attributes & _COMPLEX:
        return variable, None
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    kind, numbers = _next(elements)
    if kind not in _STORED:
        raise ValueError(f"{variable}: numbers of the unknown type {kind}")
    stored, dtype = np.dtype(f"{order}{_STORED[kind]}"), np.dtype(_CLASSES[matlab_class])
    if stored.itemsize > dtype.itemsize or not np.can_cast(stored, dtype, "same_kind"):
        raise ValueError(f"{variable}: numbers of type {stored.name} in a variable of {dtype.name}")
    if not 0 < len(shape) <= _MOST_DIMENSIONS or min(shape) < 0:
        raise ValueError(f"{variable}: the shape {shape}")
    if math.prod(shape) * stored.itemsize != len(numbers):
        raise ValueError(f"{variable}: {len(numbers)} bytes for shape {shape} of {stored.name}")
    array = np.frombuffer(numbers, stored).reshape(shape, order="F")
    return variable, array.astype(dtype, copy=False)


def _next(elements: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    try:
        return next(elements)
    except StopIteration:
        raise ValueError("a variable without one of its parts") from None
