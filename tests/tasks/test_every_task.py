"""What every task promises. A new one joins by a line in TASKS."""

import pytest
import torch
from PIL import Image
from small_tasks import small_cells

from asng.tasks import reopen
from asng.tasks.classification import classification
from asng.tasks.inpainting import InpaintingSettings, inpainting
from asng.tasks.user import UserSettings, user_task
from asng.testing import TASK_CLAIMS


def _pictures(folder):
    generator = torch.Generator().manual_seed(0)
    for part, n in (("train", 16), ("test", 4)):
        (folder / part).mkdir(parents=True)
        for i in range(n):
            pixels = torch.randint(0, 256, (10, 10, 3), generator=generator).to(torch.uint8)
            Image.fromarray(pixels.numpy()).save(folder / part / f"{i}.png")
    return InpaintingSettings(data_dir=str(folder), image_size=10, columns=3, channels=[2, 4], batch_size=8)


def _user(_):
    return UserSettings(model={"import": "user_things.Net"}, data={"import": "user_things.loaders"})


TASKS = {
    "classification": (classification, small_cells),
    "inpainting": (inpainting, _pictures),
    "user": (user_task, _user),
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return {name: write(tmp_path_factory.mktemp("data") / name) for name, (_, write) in TASKS.items()}


@pytest.mark.parametrize("claim", TASK_CLAIMS, ids=lambda claim: claim.__name__)
@pytest.mark.parametrize("name", TASKS)
def test_every_task_keeps_what_it_promises(name, claim, settings):
    claim(lambda: TASKS[name][0](settings[name]))


def test_every_task_that_a_run_folder_can_name_is_held_to_them():
    assert set(TASKS) == set(reopen.TASKS)
