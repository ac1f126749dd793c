import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat

from asng.data.mat_file import parse_mat, read_mat
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


def test_a_missing_file_and_a_folder_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="got no such file"):
        read_mat(tmp_path / "none.mat", ["y"])
    with pytest.raises(InputError, match="expected a readable MATLAB file"):
        read_mat(tmp_path, ["y"])
