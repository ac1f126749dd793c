"""Supernets whose weights are divided over two processes by torch's FSDP, beside the same in one."""

import shutil

import pytest
import torch
from processes import together, values
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng import Integer
from asng.distributed import shard, whole
from asng.errors import InputError
from asng.nn import Choice, Linear, Supernet
from asng.search import Callback, OneShotSearch
from asng.training import supervised

mse = supervised(nn.functional.mse_loss)
STOPPED = 7


def supernet():
    torch.manual_seed(3)
    wide = nn.Sequential(nn.Linear(6, 34), nn.Tanh(), nn.Linear(34, 6))
    op = Choice({"wide": wide, "plain": nn.Linear(6, 6), "none": nn.Identity()}, label="op")
    width = Integer(2, 30, label="width")
    return Supernet(nn.Sequential(op, nn.BatchNorm1d(6), Linear(6, width), nn.ReLU(), Linear(30, 1)))


def loader(seed):
    x = torch.randn(36, 6, generator=torch.Generator().manual_seed(seed))
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=6, shuffle=True)


class Stopped(Exception):
    """What ends a search at a step."""


class StopAt(Callback):
    def __init__(self, at):
        self.at = at

    def step(self, step, loss, objective):
        if step == self.at:
            raise Stopped


def search_of(net, stop_at=0, **settings):
    settings = {"lam_x": 2, "warmup": 0.0, "final": 0.0, "checkpoint_seconds": 0.0} | settings
    settings["callbacks"] = [StopAt(stop_at)]
    return OneShotSearch(net, mse, **settings)


def fit(search, folder, *, resume=False):
    return search.fit(loader(1), loader(2), epochs=2, run_dir=folder, resume=resume, progress=False)


def stopped(folder):
    fit(search_of(shard(supernet()), STOPPED), folder)


def searched(size, folder, resume=False):
    net = shard(supernet()) if size > 1 else supernet()
    held = sum(getattr(p, "_local_tensor", p).numel() for p in net.parameters())
    search = search_of(net)
    result = fit(search, folder, resume=resume)
    child = result.child
    return {
        "held": held,
        "architecture": dict(result.architecture),
        "theta": search.architecture_optimizer.state_dict()["theta"],
        "weights": {name: value.tolist() for name, value in whole(net).state_dict().items()},
        "child": child(torch.ones(4, 6)).tolist(),
        "kinds": sorted({type(module).__name__ for module in child.modules()}),
    }


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return values(searched, 1, tmp_path_factory.mktemp("one"), size=1)[0]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return values(searched, 2, tmp_path_factory.mktemp("two"))


def assert_alike(mine, other):
    assert mine["theta"] == other["theta"]
    assert mine["architecture"] == other["architecture"]
    assert mine["kinds"] == other["kinds"]
    torch.testing.assert_close(torch.tensor(mine["child"]), torch.tensor(other["child"]))
    for name, value in other["weights"].items():
        torch.testing.assert_close(torch.tensor(mine["weights"][name]), torch.tensor(value))


def test_two_processes_with_half_of_the_weights_each_find_what_one_does(one, two):
    for mine in two:
        assert_alike(mine, one)
        assert mine["held"] <= 0.55 * one["held"]
    assert two[0]["weights"] == two[1]["weights"]


def test_a_sharded_search_that_was_stopped_goes_on_to_the_same_bits(two, tmp_path):
    assert [ended.error[:7] for ended in together(stopped, tmp_path)] == ["Stopped"] * 2
    copied = shutil.copytree(tmp_path, tmp_path / "copied")
    assert values(searched, 2, tmp_path, True) == two
    [alone] = values(searched, 1, copied, True, size=1)  # which has whole weights
    assert_alike(alone, two[0])


def refused(final):
    net = shard(supernet())
    told = []
    for work in (
        lambda: net.extract({"op": "plain", "width": 3}),
        lambda: shard(net),
        lambda: fit(search_of(net, final=final), None),  # which parts the processes
    ):
        with pytest.raises(InputError) as error:
            work()
        told.append(str(error.value))
    return told


def test_what_needs_whole_weights_says_so_before_any_work():
    for extracted, again, final in values(refused, 0.5):
        assert final.startswith("final: expected none with sharded weights")
        assert "asng.distributed.whole(supernet)" in extracted
        assert "sharded already" in again


def test_in_one_process_there_is_nothing_to_divide_over():
    with pytest.raises(InputError, match="shard: expected several processes"):
        shard(supernet())


def test_a_whole_supernet_is_its_own_whole():
    net = supernet()
    assert whole(net) is net
