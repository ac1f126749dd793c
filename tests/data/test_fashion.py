import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
from idx_files import write_mnist_like

import asng.data.fashion as fashion
from asng.data import FASHION_MNIST_CLASSES, load_fashion_mnist_subset, read_mnist_like
from asng.errors import InputError

TOOL = Path(__file__).parents[2] / "tools" / "build_fashion_mnist_subset.py"
EMBEDDED = Path(fashion.__file__).parent / "fashion_mnist"
BIG = {"train": (40, 4, 6), "t10k": (12, 4, 6)}


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("build_fashion_mnist_subset", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_embedded_set_is_balanced_and_of_the_promised_size():
    data = load_fashion_mnist_subset()
    assert data.shape == (1, 14, 14)
    assert data.train_labels.bincount().tolist() == [500] * 10
    assert data.test_labels.bincount().tolist() == [100] * 10
    assert data.classes == FASHION_MNIST_CLASSES


def test_no_embedded_test_image_is_a_training_image():
    data = load_fashion_mnist_subset()
    train, test = (
        {image.numpy().tobytes() for image in images} for images in (data.train_images, data.test_images)
    )
    assert not train & test


def test_a_changed_embedded_file_is_refused(tmp_path):
    folder = shutil.copytree(EMBEDDED, tmp_path / "copy")
    file = folder / "t10k-labels-idx1-ubyte.xz"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(InputError, match=r"t10k-labels.*expected SHA-256 73ccb739.*install asng again"):
        fashion._load(folder, fashion._SHA256)
    file.unlink()
    with pytest.raises(InputError, match="got no such file"):
        fashion._load(folder, fashion._SHA256)


def test_the_embedded_folder_carries_the_notice_of_its_makers():
    assert "Copyright (c) 2017 Zalando SE" in (EMBEDDED / "LICENSE").read_text()


def test_building_twice_gives_the_same_bytes(tool, tmp_path):
    source = write_mnist_like(tmp_path / "full", shapes=BIG)
    sums = [tool.build(source, tmp_path / name, train_per_class=3, test_per_class=2) for name in "ab"]
    assert sums[0] == sums[1]
    for stem in sums[0]:
        assert (tmp_path / "a" / f"{stem}.xz").read_bytes() == (tmp_path / "b" / f"{stem}.xz").read_bytes()


def test_a_build_takes_the_first_of_each_class_and_pools_them(tool, tmp_path):
    source = write_mnist_like(tmp_path / "full", shapes=BIG, n_classes=4)
    tool.build(source, tmp_path / "small", train_per_class=3, test_per_class=2)
    full, small = read_mnist_like(source), read_mnist_like(tmp_path / "small")
    assert small.train_labels.tolist() == [0, 1, 2, 3] * 3
    assert small.shape == (1, 2, 3)
    block = full.test_images[5, 0, 2:4, 4:6].to(torch.float64).mean()
    assert small.test_images[5, 0, 1, 2] == (block + 0.5).floor()


def test_pooling_rounds_half_up(tool):
    images = torch.tensor([[[0, 0], [1, 1]], [[255, 255], [255, 255]], [[0, 0], [0, 1]]], dtype=torch.uint8)
    assert tool.pool(images).flatten().tolist() == [1, 255, 0]


def test_a_class_with_too_few_images_stops_the_build(tool, tmp_path):
    source = write_mnist_like(tmp_path / "full")
    with pytest.raises(SystemExit, match="class 0: expected at least 9 images, got 4"):
        tool.build(source, tmp_path / "small", train_per_class=9)
