"""Two runs of one seed are the same to the bit in all stages, whatever generators the data draw from."""

import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_tasks import SMALL
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split

import asng
from asng.nn import Choice
from asng.pipeline import Loaders, Task, retrain_run, run_task
from asng.pipeline.prepare import prepare
from asng.pipeline.retrain import read_architecture
from asng.pipeline.train_alone import fresh_child, scores_of
from asng.training import accuracy


class Changed(Dataset):
    """Items that each of the global generators changes."""

    def __len__(self):
        return 48

    def __getitem__(self, index):
        noise = random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002
        x = torch.tensor([index / 48, (index % 7) / 7, sum(noise)])
        return x, index % 2


def _loaders(seed):
    train, test = random_split(Changed(), [32, 16])  # by torch's global generator
    halves = random_split(train, [16, 16])
    own = torch.Generator()
    parts = [DataLoader(part, 8, shuffle=True) for part in (*halves, train)]
    return Loaders(*parts, DataLoader(test, 8, shuffle=True, generator=own))


def _network():
    choice = Choice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, label="act")
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), choice, nn.Dropout(0.2), nn.Linear(4, 2))


def _pictures(network, loaders):
    x, _ = next(iter(loaders.test))
    return {"caption": str(network(x).tolist()), "rows": []}


FAST = replace(SMALL, epochs=1, peers=1)
LOSS = asng.supervised(nn.functional.cross_entropy)
TASK = Task(
    name="user",
    data="noise",
    settings={},
    build=_network,
    child=lambda architecture: _network(),
    loaders=_loaders,
    loss=LOSS,
    maximize=accuracy,
    score=accuracy,
    metric="accuracy",
    others={"loss": LOSS},
    baseline=lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
    pictures=_pictures,
)


def _disturb(number):
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002


def _without_clocks(value):
    if isinstance(value, dict):
        return {key: _without_clocks(v) for key, v in value.items() if not key.endswith("seconds")}
    return [_without_clocks(one) for one in value] if isinstance(value, list) else value


def _weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def _same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of one seed, begun while the generators stand elsewhere, trained once more."""
    folders = [tmp_path_factory.mktemp("runs") / name for name in "ab"]
    for number, folder in enumerate(folders):
        _disturb(number)
        run_task(TASK, FAST, folder, progress=False)
        _disturb(number + 10)
        shutil.copytree(folder, folder / "again")
        retrain_run(TASK, FAST, folder / "again", progress=False)
    return folders


@pytest.mark.parametrize("name", ["checkpoint.pt", "child.pt", "again/child.pt"])
def test_weights_of_search_and_children_repeat(runs, name):
    one, other = (torch.load(folder / name, weights_only=True) for folder in runs)
    key = "model" if name == "checkpoint.pt" else "state_dict"
    assert _same(one[key], other[key])


@pytest.mark.parametrize("name", ["result.json", "pictures.json", "architecture.json", "again/result.json"])
def test_scores_of_all_networks_and_pictures_repeat(runs, name):
    one, other = (_without_clocks(json.loads((folder / name).read_text())) for folder in runs)
    assert one == other


def test_the_child_and_what_is_inherited_repeat_in_any_order():
    children = []
    for number in (0, 1):
        _disturb(0)
        search = asng.OneShotSearch(asng.nn.Supernet(_network()), LOSS, seed=0)
        result = search.fit(DataLoader(Changed(), 16, shuffle=True, generator=torch.Generator()), epochs=2)
        _disturb(number)
        first = result.inherited() if number else None
        children.append((result.child.state_dict(), (first or result.inherited()).state_dict()))
    assert all(_same(one, other) for one, other in zip(*children, strict=True))


def test_a_network_is_scored_as_it_was_in_the_run_whatever_was_drawn_before(runs):
    result = json.loads((runs[0] / "result.json").read_text())["found"]
    _disturb(5)
    child = fresh_child(
        TASK, read_architecture(runs[0]), prepare(TASK, SMALL, 0).loaders, torch.device("cpu")
    )
    child.load_state_dict(_weights(runs[0] / "child.pt"))
    found = [scores_of(child.eval(), TASK, prepare(TASK, SMALL, 0).loaders, 0) for _ in range(2)]
    assert found[0] == found[1] == (result["score"], result["others"])
