"""What fails while networks are trained alone, scored or shown says of which one, and can be gone on with."""

import json
import re
import traceback
from dataclasses import replace

import pytest
import torch
from small_tasks import SMALL
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng.nn import Choice
from asng.pipeline import Loaders, Task, run_task
from asng.pipeline.task import Recipe
from asng.training import accuracy, supervised

LOSS = supervised(nn.functional.cross_entropy)
SETTINGS = replace(SMALL, epochs=1, peers=1)


def _loader(seed):
    x = torch.rand(32, 3, generator=torch.Generator().manual_seed(seed))
    return DataLoader(TensorDataset(x, (x.sum(1) > 1.5).long()), 8, shuffle=True)


def _network():
    op = Choice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, label="act")
    return nn.Sequential(nn.LazyLinear(4), op, nn.LazyLinear(2))  # lazy: made whole at each stage


TASK = Task(
    name="user",
    data="noise",
    settings={},
    build=_network,
    child=lambda architecture: _network(),
    loaders=lambda seed: Loaders(*(_loader(seed + n) for n in range(4))),
    loss=LOSS,
    maximize=accuracy,
    score=accuracy,
    metric="accuracy",
    baseline=lambda: nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2)),
    pictures=lambda network, loaders: {"caption": "none", "rows": []},
)


def _fail(*arguments):
    raise ZeroDivisionError("no such thing")


def _fails_at(call):
    calls = 0

    def fail(network, steps, of):
        nonlocal calls
        calls += 1
        if calls == call:
            _fail()

    return fail


FAULTS = {
    "training": (Recipe(before_step=_fails_at(3)), {}, r"In 'train found', after 2 of 4 training steps\."),
    "a peer": (
        Recipe(before_step=_fails_at(6)),
        {},
        r"While the network 'random 1 of 1' of the architecture \{'act': '\w+'\}",
    ),
    "an optimiser": (
        Recipe(optimizer=_fail),
        {},
        r"While the network 'found' of the architecture \{'act': '\w+'\} was tr",
    ),
    "pictures": (Recipe(), {"pictures": _fail}, r"While pictures were made of what the found network does\."),
    "a score": (
        Recipe(),
        {"others": {"F1": _fail}},
        r"While a network was scored by \S*_fail, after 0 b",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_says_of_which_network_and_the_mended_run_goes_on(fault, tmp_path):
    recipe, changes, where = FAULTS[fault]
    task = replace(TASK, recipe=recipe, baseline=None if fault == "a peer" else TASK.baseline, **changes)
    with pytest.raises(ZeroDivisionError) as caught:
        run_task(task, SETTINGS, tmp_path / "run", progress=False)
    # Python 3.10 has no notes: there they are causes of causes, and the traceback shows all of them.
    assert re.search(where, "".join(traceback.format_exception(caught.value)))
    mended = replace(task, recipe=Recipe(), pictures=TASK.pictures, others={})
    for folder, resume in ((tmp_path / "run", True), (tmp_path / "whole", False)):
        run_task(mended, SETTINGS, folder, resume=resume, progress=False)
    one, other = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("run", "whole"))
    assert one["found"]["score"] == other["found"]["score"]
    assert [peer["score"] for peer in one["random"]] == [peer["score"] for peer in other["random"]]
