"""A worker of a loader that hangs ends a run after the loader's timeout, and is told by the loader's name."""

import time

import pytest
import torch
from problems import loader, searcher
from torch.utils.data import DataLoader, Dataset

from asng.errors import RunError
from asng.tasks.user.loaders import _in_order
from asng.training import recalibrate, score, supervised, train
from asng.training.data.halves import in_random_order, loader_like, split_loader
from asng.training.data.stream import BatchStream, with_new_workers

LOSS = supervised(torch.nn.functional.mse_loss)


class Hanging(Dataset):
    """One of its items never comes."""

    def __init__(self, item=None):
        self.item = item

    def __len__(self):
        return 64

    def __getitem__(self, index):
        if index == self.item:
            time.sleep(60)
        x = torch.full((3,), float(index))
        return x, x[:1]


def _nothing(items):
    return items


SETTINGS = {
    "num_workers": 2,
    "timeout": 7,
    "prefetch_factor": 3,
    "multiprocessing_context": "fork",
    "persistent_workers": True,
    "collate_fn": _nothing,
    "worker_init_fn": print,
}


@pytest.mark.parametrize(
    "make",
    [
        lambda whole: split_loader(whole)[0],
        lambda whole: split_loader(whole)[1],
        in_random_order,
        _in_order,
        lambda whole: loader_like(whole, whole.dataset, batch_size=4),
    ],
)
@pytest.mark.parametrize("name", SETTINGS)
def test_a_loader_made_of_another_is_set_as_that(make, name):
    whole = DataLoader(Hanging(), 8, **SETTINGS)
    assert getattr(make(whole), name) == getattr(whole, name)


def test_new_workers_have_the_timeout_too():
    assert with_new_workers(DataLoader(Hanging(), 8, **SETTINGS)).timeout == 7


class TimedOut(DataLoader):
    """Says what torch says after a timeout, at its second batch."""

    def __iter__(self):
        yield next(super().__iter__())
        raise RuntimeError("DataLoader timed out after 7 seconds")


STAGES = {
    "a search": lambda data: searcher().fit(data, loader(24), epochs=2, check=False, progress=False),
    "scoring in it": lambda data: searcher().fit(loader(), data, epochs=2, check=False, progress=False),
    "training": lambda data: train(torch.nn.Linear(3, 1), data, loss=LOSS, epochs=1),
    "scoring": lambda data: score(torch.nn.Linear(3, 1), data, LOSS),
    "averages": lambda data: recalibrate(
        torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1)), data, loss=LOSS
    ),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_timeout_is_told_in_each_stage(stage):
    with pytest.raises(RunError, match=r"loader: expected a batch within its timeout, .* 7 seconds: a w"):
        STAGES[stage](TimedOut(Hanging(), 8, shuffle=True))


def test_other_errors_of_a_loader_stay_as_they_are():
    class Broken(DataLoader):
        def __iter__(self):
            raise RuntimeError("no such file")
            yield

    with pytest.raises(RuntimeError, match=r"^no such file$"):
        BatchStream(Broken(Hanging(), 8), "train_loader").next()


@pytest.mark.slow
@pytest.mark.parametrize("halved", [False, True])
def test_a_worker_that_hangs_is_told_soon(halved):
    begun = time.monotonic()
    train_loader = DataLoader(Hanging(7), 8, shuffle=True, num_workers=1, timeout=1)
    with pytest.raises(RunError, match=r"(train|valid)_loader: expected a batch within its timeout"):
        searcher().fit(train_loader, None if halved else loader(24), epochs=2, progress=False)
    assert time.monotonic() - begun < 45
