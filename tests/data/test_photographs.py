import importlib.util
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from asng.data import PHOTOGRAPHS, load_photographs, photographs, split_groups
from asng.data.readers import image_file as extra
from asng.errors import InputError, RunError


@pytest.fixture(scope="module")
def data():
    return load_photographs()


def test_there_are_1378_patches_of_32_by_32(data):
    assert (len(data.train_images), len(data.test_images)) == (992, 386)
    assert (data.shape, data.train_images.dtype) == ((3, 32, 32), torch.uint8)
    counts = torch.bincount(torch.cat([data.train_labels, data.test_labels]), minlength=6)
    assert dict(zip(data.classes, counts.tolist(), strict=True)) == {
        "astronaut": 256,
        "chelsea": 126,
        "china": 260,
        "coffee": 216,
        "flower": 260,
        "rocket": 260,
    }


def test_no_photograph_is_in_both_parts(data):
    assert set(data.test_labels.tolist()) == {PHOTOGRAPHS.index("chelsea"), PHOTOGRAPHS.index("flower")}
    assert not set(data.train_labels.tolist()) & set(data.test_labels.tolist())
    other = load_photographs(test=["rocket"])
    assert set(other.test_labels.tolist()) == {PHOTOGRAPHS.index("rocket")}
    assert len(other.train_images) == 1378 - 260


@pytest.mark.parametrize("seed", range(5))
def test_the_training_part_splits_by_photograph_too(data, seed):
    train, valid = split_groups(data.train_labels, seed=seed)
    assert not set(data.train_labels[train].tolist()) & set(data.train_labels[valid].tolist())
    assert len(train) + len(valid) == 992


@pytest.mark.parametrize("size", [32, 50])
def test_patches_laid_side_by_side_are_the_photograph(size):
    data = load_photographs(size, test=["chelsea"])
    with Image.open(extra.installed_folder("skimage") / "data" / "chelsea.png") as image:
        whole = np.array(image)  # 300 rows, 451 columns
    rows, columns = 300 // size, 451 // size
    assert len(data.test_images) == rows * columns
    for index, patch in enumerate(data.test_images):
        y, x = index // columns * size, index % columns * size
        assert (patch.permute(1, 2, 0).numpy() == whole[y : y + size, x : x + size]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size: expected an integer >= 1"),
        ({"size": 301}, "size: expected at most 300, the least side of the photograph 'chelsea', got 301"),
        ({"test": []}, r"test: expected 1 to 5 of .* got \[\]"),
        ({"test": PHOTOGRAPHS}, "Both parts need a photograph"),
        ({"test": ["flowr"]}, "Did you mean 'flower'"),
        ({"test": "flower"}, r"test: expected a sequence of names, got 'flower'.*give \[name\]"),
        ({"test": None}, "test: expected a sequence of names, got None"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        load_photographs(**arguments)


@pytest.mark.parametrize("package", ["skimage", "sklearn"])
def test_a_missing_package_says_what_to_install(monkeypatch, package):
    found = importlib.util.find_spec
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(RunError, match=rf"expected the package {package}.*pip install 'asng\[images\]'"):
        load_photographs()


def test_missing_pillow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(RunError, match=r"expected the library PIL.*pip install 'asng\[images\]'"):
        load_photographs()


def test_a_missing_or_damaged_photograph_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(photographs, "installed_folder", lambda package: tmp_path)
    with pytest.raises(RunError, match=r"astronaut\.png: expected a photograph of the package skimage"):
        load_photographs()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "astronaut.png").write_bytes(b"none")
    with pytest.raises(RunError, match=r"astronaut\.png: expected a photograph .*Install it again"):
        load_photographs()


def test_the_packages_are_not_imported(run_script, tmp_path):
    code = "import sys; from asng.data import load_photographs; load_photographs(); print(*sys.modules)"
    loaded = run_script(code, tmp_path).out.split()
    assert "PIL.Image" in loaded
    assert not {"skimage", "sklearn"} & set(loaded)
