import gzip
import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from idx_files import CODES, idx_bytes, write_idx

from asng.data.readers import idx
from asng.data.readers.idx import parse_idx, read_idx
from asng.errors import InputError

SMALL = np.arange(12, dtype=np.int16).reshape(2, 2, 3)


@given(st.data(), st.sampled_from(sorted(CODES)))
def test_what_was_written_is_read_back(data, dtype):
    shape = hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4)
    array = data.draw(hnp.arrays(dtype, shape, elements=hnp.from_dtype(np.dtype(dtype), allow_nan=False)))
    back = parse_idx(idx_bytes(array), "file")
    assert back.dtype == array.dtype
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("pack", ["", ".gz", ".xz"])
def test_compression_is_told_by_content_not_by_name(tmp_path, pack):
    path = write_idx(tmp_path / "array", SMALL, pack).rename(tmp_path / "renamed")
    np.testing.assert_array_equal(read_idx(path, ndim=3), SMALL)


def test_an_array_read_is_writable(tmp_path):
    read_idx(write_idx(tmp_path / "array", SMALL))[0] = 7


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_file_cut_at_any_byte_is_an_input_error(tmp_path, pack):
    whole = pack(idx_bytes(SMALL))
    path = tmp_path / "cut"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut: expected .* got"):
            read_idx(path)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_an_input_error(tail):
    for head in (b"", b"\0\0\x08", b"\0\0\x0d\x02", b"\x1f\x8b", b"\xfd7zXZ\x00"):
        try:
            parse_idx(head + tail, "file")
        except InputError as error:
            assert str(error).startswith("file: expected ")  # noqa: PT017 - it need not raise


def test_a_damaged_compressed_file_is_an_input_error():
    for pack in (gzip.compress, lzma.compress):
        packed = bytearray(pack(idx_bytes(SMALL)))
        packed[len(packed) // 2] ^= 0xFF
        with pytest.raises(InputError, match="fails to unpack"):
            parse_idx(bytes(packed), "file")


def test_trailing_bytes_are_refused():
    with pytest.raises(
        InputError, match=r"expected 40 bytes for shape \(2, 2, 3\) of int16, got 41\. There are extra bytes"
    ):
        parse_idx(idx_bytes(SMALL) + b"\0", "file")


@pytest.mark.parametrize("start", [b"\0\1\x08\1", b"\0\0\x0a\1", b"\0\0\x08\0", b"\0\0\x08\x21", b"\x89PNG"])
def test_a_wrong_magic_is_named(start):
    with pytest.raises(InputError, match=f"got {start.hex(' ')}. Is it a file of another format"):
        parse_idx(start + bytes(200), "file")


def test_a_wrong_number_of_dimensions_is_named():
    with pytest.raises(InputError, match=r"expected 1 dimension\(s\), got 3 .*swapped"):
        parse_idx(idx_bytes(SMALL), "file", ndim=1)


def test_a_shape_too_big_for_an_array_is_an_input_error():
    header = b"\0\0\x08\3" + b"\xff" * 8 + b"\0" * 4
    with pytest.raises(InputError, match="fits in memory"):
        parse_idx(header, "file")


def test_a_missing_file_and_a_folder_are_input_errors(tmp_path):
    with pytest.raises(InputError, match=r"none\.gz: expected an IDX file, got no such file"):
        read_idx(tmp_path / "none.gz")
    with pytest.raises(InputError, match="expected a readable IDX file"):
        read_idx(tmp_path)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_small_file_that_unpacks_to_much_is_refused_before_it_fills_the_memory(pack, monkeypatch):
    monkeypatch.setattr(idx, "_ALWAYS_UNPACKED", 10_000)
    zeros = idx_bytes(np.zeros((1_000, 1_000), np.uint8))
    with pytest.raises(InputError, match=r"expected at most \d+ bytes in a compressed file of \d+, got more"):
        parse_idx(pack(zeros), "file")
    few = np.zeros((90, 100), np.uint8)
    assert parse_idx(pack(idx_bytes(few)), "file").shape == (90, 100)
