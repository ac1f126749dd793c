import numpy as np
import pytest
import torch
from cifar_files import write_list
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from svhn_files import digits, write_svhn

from asng.data import read_svhn
from asng.data.readers.checksums import Checksums
from asng.data.readers.svhn import _read
from asng.errors import InputError


@pytest.mark.parametrize("compressed", [False, True])
def test_pixels_and_labels_are_read_back_and_ten_is_zero(tmp_path, compressed):
    data = read_svhn(write_svhn(tmp_path, compressed=compressed))
    assert (len(data.train_images), len(data.test_images), data.name) == (12, 11, "SVHN")
    assert data.classes == tuple("0123456789")
    assert data.train_labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    for part, images in enumerate((data.train_images, data.test_images)):
        wanted = digits(12 - part, part)["X"]
        for index, image in enumerate(images):
            for channel in range(3):
                assert (image[channel].numpy() == wanted[:, :, channel, index]).all()


def test_extra_digits_join_the_training_part(tmp_path):
    plain, more = (read_svhn(write_svhn(tmp_path), extra=extra) for extra in (False, True))
    assert len(more.train_images) == 12 + 10
    assert torch.equal(more.train_images[:12], plain.train_images)
    assert more.name == "SVHN with extra"
    (tmp_path / "extra_32x32.mat").unlink()
    assert len(read_svhn(tmp_path).train_images) == 12
    with pytest.raises(InputError, match=r"extra_32x32\.mat: expected .* got no such file"):
        read_svhn(tmp_path, extra=True)


def test_labels_of_other_numeric_types_and_rows_are_taken(tmp_path):
    wanted = read_svhn(write_svhn(tmp_path)).train_labels
    for y in (digits()["y"].astype(float), digits()["y"].T.astype(np.int32)):
        savemat(tmp_path / "train_32x32.mat", digits() | {"y": y})
        assert torch.equal(read_svhn(tmp_path).train_labels, wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": digits()["X"].astype(float)}, r"X of type uint8 and shape \(32, 32, 3, N\), got float64"),
        ({"X": digits()["X"][:, :, :2]}, r"got uint8 of shape \(32, 32, 2, 12\)"),
        ({"X": digits()["X"][..., 0]}, r"got uint8 of shape \(32, 32, 3\)"),
        ({"X": digits()["X"][..., :0]}, "expected the variable X"),
        ({"X": {"a": 1}}, "expected the variables X and y, of numbers, got y"),
        ({"X": digits()["X"] * 1j}, "expected the variables X and y, of numbers, got y"),
        ({"y": digits(11)["y"]}, r"y of 12 numbers, one per image, got uint8 of shape \(11, 1\)"),
        ({"y": "twelve words"}, "expected the variables X and y, of numbers, got X"),
        ({"y": np.full((12, 1), 11)}, "expected labels from 1 to 10 in y, got 11"),
        ({"y": np.full((12, 1), 0)}, "got 0"),
        ({"y": np.full((12, 1), np.nan)}, "got nan"),
        ({"y": np.full((12, 1), 1.5)}, "got 1.5"),
    ],
)
def test_variables_of_another_form_are_refused(tmp_path, change, message):
    write_svhn(tmp_path)
    savemat(tmp_path / "train_32x32.mat", digits() | change)
    with pytest.raises(InputError, match=rf"train_32x32\.mat: .*{message}"):
        read_svhn(tmp_path)


def test_missing_variables_and_files_are_named(tmp_path):
    write_svhn(tmp_path)
    savemat(tmp_path / "test_32x32.mat", {"y": digits()["y"], "Z": 1})
    with pytest.raises(
        InputError, match=r"test_32x32\.mat: expected the variables X and y, of numbers, got y"
    ):
        read_svhn(tmp_path)
    (tmp_path / "train_32x32.mat").unlink()
    with pytest.raises(InputError, match=r"train_32x32\.mat: expected a file of SVHN.* got no such file"):
        read_svhn(tmp_path)


@pytest.mark.parametrize("before", [b"", b"MATLAB 7.3 MAT-file".ljust(512)])
def test_matlab_7_3_is_named(tmp_path, before):
    write_svhn(tmp_path)
    (tmp_path / "train_32x32.mat").write_bytes(before + b"\x89HDF\r\n\x1a\n" + bytes(600))
    with pytest.raises(InputError, match=r"got one of MATLAB 7\.3 \(HDF5\)\. Save it again"):
        read_svhn(tmp_path)


def encoded(folder, compressed):
    path = write_svhn(folder, compressed=compressed) / "train_32x32.mat"
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return {compressed: encoded(tmp_path_factory.mktemp("whole"), compressed) for compressed in (False, True)}


def read_one(folder, content):
    path = folder / "train_32x32.mat"
    path.write_bytes(content)
    return _read(path, Checksums(folder))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_cut_anywhere_is_an_input_error(tmp_path, whole, compressed):
    content = whole[compressed]
    # All of the first and the last bytes, and some between.
    lengths = {*range(300), *range(0, len(content), 997), *range(len(content) - 200, len(content))}
    for length in sorted(lengths):
        with pytest.raises(InputError, match=r"train_32x32\.mat: expected "):
            read_one(tmp_path, content[:length])


@settings(max_examples=60)
@given(data=st.data(), compressed=st.booleans())
def test_no_garbled_file_raises_anything_but_an_input_error(tmp_path_factory, whole, data, compressed):
    content = bytearray(whole[compressed])
    # Most bytes are pixels, which no one can tell from others: heads and ends are garbled above all.
    place = st.one_of(st.integers(0, 300), st.integers(1, 200).map(lambda n: len(content) - n))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(place)] = data.draw(st.integers(0, 255))
    try:
        images, labels = read_one(tmp_path_factory.mktemp("garbled"), bytes(content))
    except InputError as error:
        assert "train_32x32.mat: expected " in str(error)  # noqa: PT017 - it need not raise
    else:
        assert images.shape[1:] == (3, 32, 32)
        assert len(images) == len(labels)


def test_a_byte_changed_is_found_by_a_list(tmp_path):
    write_svhn(tmp_path)
    write_list(tmp_path)
    read_svhn(tmp_path)
    savemat(tmp_path / "test_32x32.mat", digits(seed=5))
    with pytest.raises(InputError, match=r"test_32x32\.mat: expected sha256"):
        read_svhn(tmp_path)
