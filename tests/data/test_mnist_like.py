import numpy as np
import pytest
import torch
from idx_files import write_idx, write_mnist_like

from asng.data import read_mnist_like
from asng.errors import InputError


@pytest.mark.parametrize("pack", ["", ".gz", ".xz"])
def test_four_files_become_one_data_set(tmp_path, pack):
    data = read_mnist_like(write_mnist_like(tmp_path / "tiny", pack=pack))
    assert data.shape == (1, 4, 6)
    assert data.train_images.dtype == torch.uint8
    assert data.train_labels.tolist() == [0, 1] * 4
    assert (len(data.train_images), len(data.test_images)) == (8, 4)
    assert (data.classes, data.name) == (("0", "1"), "tiny")


def test_classes_and_name_may_be_given(tmp_path):
    data = read_mnist_like(write_mnist_like(tmp_path), classes=["cat", "dog", "owl"], name="pets")
    assert (data.classes, data.name) == (("cat", "dog", "owl"), "pets")


def test_a_missing_file_is_named(tmp_path):
    folder = write_mnist_like(tmp_path)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"the file t10k-labels-idx1-ubyte .*got a folder without it"):
        read_mnist_like(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="got no such folder"):
        read_mnist_like(tmp_path / "none")


def test_counts_that_disagree_are_refused(tmp_path):
    folder = write_mnist_like(tmp_path)
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(7, np.uint8), ".gz")
    with pytest.raises(InputError, match="train: expected one label per image, got 8 images and 7 labels"):
        read_mnist_like(folder)


def test_a_test_label_beyond_the_training_classes_is_refused(tmp_path):
    folder = write_mnist_like(tmp_path)
    write_idx(folder / "t10k-labels-idx1-ubyte", np.array([0, 1, 2, 0], np.uint8), ".gz")
    with pytest.raises(InputError, match=r"test_labels: expected labels in \[0, 1\] .* from 0 to 2"):
        read_mnist_like(folder)


def test_images_of_two_sizes_are_refused(tmp_path):
    folder = write_mnist_like(tmp_path, shapes={"train": (8, 4, 6), "t10k": (4, 6, 4)})
    with pytest.raises(InputError, match=r"one size, got \(1, 4, 6\) and \(1, 6, 4\)"):
        read_mnist_like(folder)


def test_swapped_files_are_refused(tmp_path):
    folder = write_mnist_like(tmp_path)
    write_idx(folder / "train-images-idx3-ubyte", np.zeros(8, np.uint8), ".gz")
    with pytest.raises(InputError, match=r"expected 3 dimension\(s\), got 1"):
        read_mnist_like(folder)


def test_other_types_than_bytes_and_empty_arrays_are_refused(tmp_path):
    folder = write_mnist_like(tmp_path)
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(8, np.int32), ".gz")
    with pytest.raises(InputError, match="of type uint8, got int32"):
        read_mnist_like(folder)
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(0, np.uint8), ".gz")
    with pytest.raises(InputError, match="at least one number"):
        read_mnist_like(folder)


@pytest.mark.parametrize("labels", [[0, 255] * 4, [7] * 8])
def test_labels_that_are_not_counted_up_are_refused_unless_classes_are_named(tmp_path, labels):
    folder = write_mnist_like(tmp_path)
    write_idx(folder / "train-labels-idx1-ubyte", np.array(labels, np.uint8), ".gz")
    most = max(labels)
    with pytest.raises(InputError, match=f"expected labels 0, 1, .* got {len(set(labels))} .* up to {most}"):
        read_mnist_like(folder)
    assert len(read_mnist_like(folder, classes=[str(i) for i in range(most + 1)]).classes) == most + 1


def test_labels_may_begin_at_1_and_leave_some_out(tmp_path):
    folder = write_mnist_like(tmp_path)
    write_idx(folder / "train-labels-idx1-ubyte", np.array([1, 2, 3, 5] * 2, np.uint8), ".gz")
    assert len(read_mnist_like(folder).classes) == 6
