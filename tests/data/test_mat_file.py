import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat

from asng.data.readers.mat_file import parse_mat, read_mat
from asng.errors import InputError

TYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


def mat_bytes(variables, compressed=False):
    packed = io.BytesIO()
    savemat(packed, variables, do_compression=compressed)
    return packed.getvalue()


@given(st.data(), st.sampled_from(TYPES), st.booleans())
def test_what_scipy_writes_is_read_back(data, dtype, compressed):
    shape = hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4)
    array = data.draw(hnp.arrays(dtype, shape))
    content = mat_bytes({"other": "words", "a": array, "more": {"a": 1}}, compressed)
    found = parse_mat(content, "file", ["a", "missing"])
    assert found.keys() == {"a"}
    assert found["a"].dtype == array.dtype
    np.testing.assert_array_equal(found["a"], array)


def element(kind, body):
    return struct.pack(">2I", kind, len(body)) + body + bytes(-len(body) % 8)


def big_endian(stored, numbers, matlab_class=6):
    parts = [
        element(6, struct.pack(">2I", matlab_class, 0)),
        element(5, struct.pack(">2i", 1, 2)),
        struct.pack(">2H4s", 1, 1, b"y"),  # a small element: 1 byte of type int8
        element(stored, numbers),
    ]
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + element(14, b"".join(parts))


def test_big_endian_files_and_doubles_stored_in_fewer_bytes_are_read():
    for content in (big_endian(4, struct.pack(">2H", 1, 700)), big_endian(9, struct.pack(">2d", 1, 700))):
        y = parse_mat(content, "file", ["y"])["y"]
        assert (y.tolist(), y.dtype) == ([[1.0, 700.0]], np.float64)
    (byte,) = parse_mat(big_endian(2, bytes([3, 4]), 9), "file", "y").values()
    assert (byte.tolist(), byte.dtype) == ([[3, 4]], np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (big_endian(9, bytes(16), 9), "numbers of type float64 in a variable of uint8"),
        (big_endian(2, bytes(3)), r"3 bytes for shape \(1, 2\) of uint8"),
        (big_endian(14, bytes(2)), "numbers of the unknown type 14"),
        (big_endian(2, bytes(2))[:-12], "of which"),
        (b"MATLAB 5.0".ljust(126) + b"IM" + struct.pack("<2I", 1 | 5 << 16, 0), "a small element of 5 bytes"),
        (b"MATLAB 5.0".ljust(126) + b"IM" + struct.pack("<2I", 14, 0), "without one of its parts"),
    ],
)
def test_what_is_wrong_is_named(content, message):
    with pytest.raises(InputError, match=rf"file: expected a whole MATLAB file.*{message}"):
        parse_mat(content, "file", ["y"])


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0", bytes(128)])
def test_other_formats_are_refused(content):
    with pytest.raises(InputError, match=r"file: expected a file of MATLAB 5 to 7, with IM or MI"):
        parse_mat(content, "file", ["y"])


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_an_input_error(tail):
    for head in (b"", b"".ljust(126) + b"IM", big_endian(2, bytes(2))[:150]):
        try:
            parse_mat(head + tail, "file", ["y"])
        except InputError as error:
            assert str(error).startswith("file: expected ")  # noqa: PT017 - it need not raise


def zeros(size):
    """The head of a variable y of zeros, an element of so many bytes; the zeros are to follow."""
    shape = size - 48
    parts = (
        struct.pack("<4I", 6, 8, 9, 0),
        struct.pack("<2I2i", 5, 8, shape, 1),
        struct.pack("<2Hc3x", 1, 1, b"y"),
    )
    return struct.pack("<2I", 14, size) + b"".join(parts) + struct.pack("<2I", 2, shape)


def compressed(body):
    return b"MATLAB 5.0".ljust(126) + b"IM" + struct.pack("<2I", 15, len(body)) + body


def bomb(size):
    """A file that says `size` and would expand to 2 GB: one block of zeros, repeated as it is compressed."""
    squeeze = zlib.compressobj(9)
    head = squeeze.compress(zeros(size)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    block = squeeze.compress(bytes(2**20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return compressed(head + 2**11 * block + squeeze.flush())


def test_zeros_in_small_numbers_are_read_however_well_they_are_compressed():
    y = parse_mat(compressed(zlib.compress(zeros(2**22) + bytes(2**22 - 48))), "file", ["y"])["y"]
    assert (y.size, y.any()) == (2**22 - 48, np.False_)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (2**31 - 8, r"an element of 2147483640 bytes, compressed to 2\d{6}"),
        (2**20, "more than the 1048576 bytes of a compressed element"),
    ],
)
def test_a_small_file_of_two_gigabytes_of_zeros_is_refused_before_it_takes_memory(size, message):
    content = bomb(size)
    assert len(content) < 2**22
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=rf"file: expected a whole MATLAB file.*{message}"):
            parse_mat(content, "file", ["y"])
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 2**24


def test_a_compressed_element_without_its_end_or_with_another_checksum_is_refused():
    body = zlib.compress(zeros(1024) + bytes(1024 - 48))
    assert parse_mat(compressed(body), "file", ["y"])["y"].size == 976
    for torn in (body[:-1], body[:-6], body[:-1] + bytes([body[-1] ^ 1])):
        with pytest.raises(InputError, match=r"1024 bytes, of which \d+ are there|incorrect data check"):
            parse_mat(compressed(torn), "file", ["y"])


def test_a_missing_file_and_a_folder_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="got no such file"):
        read_mat(tmp_path / "none.mat", ["y"])
    with pytest.raises(InputError, match="expected a readable MATLAB file"):
        read_mat(tmp_path, ["y"])
