"""The IDX file format: a big-endian header, then the numbers of one array.

Bytes 0-1 are zero, byte 2 is the type of the numbers, byte 3 the number of dimensions. Then follow one
unsigned 32-bit integer per dimension and the numbers, last dimension fastest.

References:
    Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".
"""

import gzip
import io
import lzma
import math
import struct
import zlib
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asng.checks import as_path
from asng.errors import InputError

__all__ = ["read_idx", "parse_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"
_ALWAYS_UNPACKED, _MOST_UNPACKED = 64 * 2**20, 100
"""A compressed file may unpack to so many bytes, or to so many times its own size, whichever is more."""

# NumPy 1.26 allows no more.
_MOST_DIMENSIONS = 32


def read_idx(path: str | PathLike[str], *, ndim: int | None = None) -> NDArray[Any]:
    """Read the array of one IDX file, plain or compressed with gzip or xz.

    Compression is detected from the first bytes, not from the name, since downloads are often renamed.

    Args:
        path: The file.
        ndim: How many dimensions the array must have. Default: any.

    Returns:
        A writable array of the file's own shape; uint8, int8, int16, int32, float32 or float64.

    Raises:
        InputError: The file is missing, unreadable, not an IDX file, truncated, or longer than its header
            says; it unpacks to too many bytes; or it has another number of dimensions.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp(), "labels.idx")
        >>> _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
        >>> read_idx(file).tolist()
        [7, 8, 9]
    """
    path = as_path("path", path, to_read=True)
    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: expected an IDX file, got no such file. Check the path.") from None
    except OSError as error:
        raise InputError(f"{path}: expected a readable IDX file, got: {error.strerror}.") from error
    return parse_idx(packed, str(path), ndim=ndim)


def parse_idx(packed: bytes, name: str, *, ndim: int | None = None) -> NDArray[Any]:
    """Return the array that the bytes of an IDX file hold.

    Args:
        packed: The file's bytes, plain or compressed with gzip or xz.
        name: Name of the file in error messages.
        ndim: How many dimensions the array must have. Default: any.

    Returns:
        A writable array of the file's own shape and type, in the machine's byte order.

    Raises:
        InputError: As for `read_idx`.
    """
    data = _unpack(packed, name)
    dtype, shape = _header(data, name)
    if ndim is not None and len(shape) != ndim:
        raise InputError(
            f"{name}: expected {ndim} dimension(s), got {len(shape)} (shape {shape}). "
            "Images have 3, labels 1: check that the two files are not swapped."
        )
    start = 4 + 4 * len(shape)
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        fault = "The file is cut short" if len(data) < expected else "There are extra bytes after the array"
        raise InputError(
            f"{name}: expected {expected} bytes for shape {shape} of {dtype.newbyteorder('=').name}, "
            f"got {len(data)}. {fault}: fetch it again."
        )
    try:
        array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    except ValueError:
        # A header with huge dimensions, one of them 0, announces no bytes, and yet no array can have them.
        raise InputError(f"{name}: expected a shape that fits in memory, got {shape}.") from None
    return array.astype(dtype.newbyteorder("="))


def _unpack(packed: bytes, name: str) -> bytes:
    if not packed.startswith((_GZIP, _XZ)):
        return packed
    most = max(_ALWAYS_UNPACKED, _MOST_UNPACKED * len(packed))
    opened = gzip.open if packed.startswith(_GZIP) else lzma.open
    try:
        with opened(io.BytesIO(packed)) as file:
            data = file.read(most + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(
            f"{name}: expected a whole compressed file, got one that fails to unpack ({error}). "
            "Fetch it again."
        ) from error
    if len(data) > most:
        raise InputError(
            f"{name}: expected at most {most} bytes in a compressed file of {len(packed)}, got more. A "
            "small file that unpacks to so much may be an attack; unpack it yourself if you trust it."
        )
    return data


def _header(data: bytes, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    types = ", ".join(f"0x{code:02x}" for code in _TYPES)
    right = len(data) >= 4 and data[:2] == b"\0\0" and data[2] in _TYPES and 1 <= data[3] <= _MOST_DIMENSIONS
    if not right:
        raise InputError(
            f"{name}: expected an IDX file, which starts with 00 00, a type (one of {types}) and a number of "
            f"dimensions (1 to {_MOST_DIMENSIONS}), got {data[:4].hex(' ') or 'an empty file'}. "
            "Is it a file of another format?"
        )
    ndim = data[3]
    if len(data) < 4 + 4 * ndim:
        raise InputError(
            f"{name}: expected a header of {4 + 4 * ndim} bytes for {ndim} dimension(s), got {len(data)} "
            "bytes. The file is cut short: fetch it again."
        )
    return np.dtype(_TYPES[data[2]]), struct.unpack_from(f">{ndim}I", data, 4)
