import numpy as np
import pytest
import torch
from cifar_files import write_cifar, write_list
from idx_files import write_mnist_like
from PIL import Image
from svhn_files import write_svhn

from asng.data import read_cifar, read_image_folder, read_images, read_mnist_like, read_svhn
from asng.errors import InputError


def write_classes(folder, side=4):
    for part in ("train", "test"):
        for shade, name in enumerate(("cat", "dog")):
            path = folder / part / name / "0.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(np.full((side, side + shade, 3), 100 * shade, np.uint8)).save(path)
    return folder


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (write_mnist_like, read_mnist_like),
        (write_cifar, read_cifar),
        (lambda folder: write_cifar(folder / "cifar-100-binary", hundred=True).parent, read_cifar),
        (write_svhn, read_svhn),
    ],
)
def test_each_format_is_read_by_its_reader(tmp_path, write, read):
    folder = write(tmp_path / "set")
    found, wanted = read_images(folder), read(folder)
    assert (found.name, found.classes, found.fingerprint) == (wanted.name, wanted.classes, wanted.fingerprint)


def test_pictures_in_folders_are_read_with_classes(tmp_path):
    folder = write_classes(tmp_path / "pets")
    with pytest.raises(InputError, match="Give a size"):
        read_images(folder)
    data = read_images(folder, size=3)
    assert (data.classes, data.shape, data.name) == (("cat", "dog"), (3, 3, 3), "pets")
    assert data.train_labels.tolist() == [0, 1]
    assert torch.equal(data.train_images, read_image_folder(folder, size=3).train_images)


def test_what_was_looked_for_is_said(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        read_images(tmp_path)
    for word in ("IDX", "CIFAR-10", "CIFAR-100", "SVHN", "train_32x32.mat", ".png", "got none of them"):
        assert word in str(caught.value)
    with pytest.raises(InputError, match="got no such folder"):
        read_images(tmp_path / "none")


def test_two_formats_in_one_folder_are_refused(tmp_path):
    write_svhn(write_mnist_like(tmp_path))
    with pytest.raises(InputError, match="files of MNIST's and of SVHN's format"):
        read_images(tmp_path)


def test_a_part_of_a_format_is_an_error_of_its_reader_not_of_another_format(tmp_path):
    folder = write_svhn(tmp_path)
    (folder / "train_32x32.mat").unlink()
    write_classes(folder)
    with pytest.raises(InputError, match=r"train_32x32\.mat: expected a file of SVHN"):
        read_images(folder)


def test_a_size_is_for_pictures_alone(tmp_path):
    with pytest.raises(InputError, match="size: expected none, because images of MNIST's format"):
        read_images(write_mnist_like(tmp_path), size=8)


def test_idx_files_heed_a_list_of_checksums(tmp_path):
    write_mnist_like(tmp_path)
    write_list(tmp_path)
    read_images(tmp_path)
    write_mnist_like(tmp_path, seed=1)
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz: expected sha256"):
        read_images(tmp_path)


def test_the_archive_is_recognised(tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"cut")
    with pytest.raises(InputError, match="expected the published archive"):
        read_images(tmp_path)
