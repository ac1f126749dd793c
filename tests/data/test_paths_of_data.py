"""Each reader refuses what is no path, and a path that the system cannot look for."""

import pytest

from asng import data
from asng.errors import InputError

READERS = [
    data.read_cifar,
    data.read_idx,
    data.read_image_folder,
    data.read_images,
    data.read_mnist_like,
    data.read_svhn,
    data.read_ts,
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("path", [None, 3, b"data", ["data"], "", "da\0ta"])
def test_what_is_no_path_is_refused(read, path):
    with pytest.raises(InputError, match=r"(folder|path): expected a path, got .* folder is '\.'"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_a_path_that_cannot_be_looked_for_is_named(read, tmp_path):
    (tmp_path / "round").symlink_to(tmp_path / "round")
    for name, advice in (("x" * 300, "Choose a shorter name"), ("round", "Check the path")):
        with pytest.raises(InputError, match=rf"{name}: cannot be read: .*\. {advice}\."):
            read(tmp_path / name)


@pytest.mark.parametrize("read", READERS)
def test_a_missing_path_is_told_with_what_was_looked_for(read, tmp_path):
    with pytest.raises(InputError, match=r"none(/train\w*\.mat)?: expected .*got no such"):
        read(tmp_path / "none")
