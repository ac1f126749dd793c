"""Data that a search of classes could not learn from are refused before it begins."""

import numpy as np
import pytest
from PIL import Image

from asng.errors import InputError
from asng.settings import ClassificationSettings
from asng.tasks.classification import classification


@pytest.mark.parametrize("parts", [["."], ["train", "test"]])
def test_pictures_of_a_single_class_are_refused(parts, tmp_path):
    for part in parts:
        for name in ("rose", "tulip"):  # one folder too deep
            folder = tmp_path / part / "flowers" / name
            folder.mkdir(parents=True)
            for number in range(6):
                Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / f"{number}.png")
    with pytest.raises(InputError, match=r"at least two classes, got only 'flowers'\. Give the folder that"):
        classification(ClassificationSettings(data_dir=str(tmp_path)))
