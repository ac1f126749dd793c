"""Supernets whose weights are divided over two processes by torch's FSDP, beside the same in one."""

import shutil

import pytest
import torch
from processes import together, values
from small_search import rank
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng import Budget, Integer, Penalty
from asng.distributed import shard, whole
from asng.errors import InputError
from asng.nn import Choice, Linear, Supernet
from asng.search import Callback, OneShotSearch
from asng.training import supervised

mse = supervised(nn.functional.mse_loss)
STOPPED = 7


class Watched(nn.Module):
    """Looks at numbers, so that it does not run on the meta device."""

    def forward(self, x):
        return x if float(x.abs().max()) < 1e6 else x.clamp(-1e6, 1e6)


def supernet(first=nn.Identity):
    torch.manual_seed(3)
    wide = nn.Sequential(nn.Linear(6, 34), nn.Tanh(), nn.Linear(34, 6))
    op = Choice({"wide": wide, "plain": nn.Linear(6, 6), "none": nn.Identity()}, label="op")
    width = Integer(2, 30, label="width")
    return Supernet(nn.Sequential(first(), op, nn.BatchNorm1d(6), Linear(6, width), nn.ReLU(), Linear(30, 1)))


def loader(seed):
    x = torch.randn(36, 6, generator=torch.Generator().manual_seed(seed))
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=6, shuffle=True)


class Stopped(Exception):
    """What ends a search at a step."""


class StopAt(Callback):
    """Ends a search at a step, in the training of its second finalist, or nowhere."""

    def __init__(self, at=None):
        self.at = at

    def begin(self, loop):
        self.loop = loop

    def step(self, step, loss, objective):
        if step == self.at:
            raise Stopped

    def checkpoint(self, step, folder):
        if self.at == "final" and (self.loop.final.done, self.loop.final.taken) == (1, 5):
            raise Stopped


def by_rank(child, inputs):
    """A cost of a user that differs between processes, as a latency does."""
    return float(sum(p.numel() for p in child.parameters())) + 0.25 * rank()


FINAL = {
    "final": 0.6,
    "finalists": 2,
    "checkpoint_seconds": 1e6,
    "lam_x": 1,
    "cost": [Budget("multiply_adds", limit=3000), Penalty(by_rank, target=100, weight=1e-3)],
}
"""Finalists are trained alone, and costs are counted and measured with numbers."""
CASES = {"plain": {}, "final and costs": FINAL, "numbers": {**FINAL, "cost": FINAL["cost"][:1]}}
EPOCHS = {"plain": 2, "final and costs": 20, "numbers": 20}


def search_of(net, stop_at=None, **settings):
    settings = {"lam_x": 2, "warmup": 0.0, "final": 0.0, "checkpoint_seconds": 0.0} | settings
    settings["callbacks"] = [StopAt(stop_at)]
    return OneShotSearch(net, mse, **settings)


def fit(search, folder, *, resume=False, epochs=2):
    return search.fit(loader(1), loader(2), epochs=epochs, run_dir=folder, resume=resume, progress=False)


def stopped(folder, at, case="plain"):
    settings = CASES[case] | {"checkpoint_seconds": 0.0}
    fit(search_of(shard(supernet()), at, **settings), folder, epochs=EPOCHS[case])


def searched(size, folder, resume=False, case="plain"):
    net = supernet(Watched if case == "numbers" else nn.Identity)
    if size > 1:
        shard(net)
    held = sum(getattr(p, "_local_tensor", p).numel() for p in net.parameters())
    search = search_of(net, **CASES[case])
    result = fit(search, folder, resume=resume, epochs=EPOCHS[case])
    child = result.child
    return {
        "held": held,
        "architecture": dict(result.architecture),
        "cost": result.cost,
        "finalists": [dict(f.architecture) for f in result.finalists],
        "scores": [f.alone for f in result.finalists],
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
    assert [ended.error[:7] for ended in together(stopped, tmp_path, STOPPED)] == ["Stopped"] * 2
    copied = shutil.copytree(tmp_path, tmp_path / "copied")
    assert values(searched, 2, tmp_path, True) == two
    [alone] = values(searched, 1, copied, True, size=1)  # which has whole weights
    assert_alike(alone, two[0])


@pytest.mark.parametrize("case", ["final and costs", "numbers"])
def test_finalists_and_costs_of_a_sharded_search_are_those_of_one_process(case, tmp_path):
    [one] = values(searched, 1, tmp_path / "one", False, case, size=1)
    two = values(searched, 2, tmp_path / "two", False, case)
    assert len(one["finalists"]) >= 2
    for mine in two:
        assert_alike(mine, one)
        assert mine["finalists"] == one["finalists"]
        assert mine["cost"] == two[0]["cost"]
        assert mine["scores"] == pytest.approx(one["scores"], rel=1e-4)
    assert two[0]["weights"] == two[1]["weights"]


@pytest.mark.parametrize("size", [1, 2])
def test_a_sharded_search_that_was_stopped_in_its_final_goes_on_to_the_same_bits(size, tmp_path):
    case = "final and costs"
    never_stopped = values(searched, 2, tmp_path / "two", False, case)
    ended = together(stopped, tmp_path / "stopped", "final", case)
    assert [one.error[:7] for one in ended] == ["Stopped"] * 2
    resumed = values(searched, size, tmp_path / "stopped", True, case, size=size)
    if size == 2:
        assert resumed == never_stopped
    else:
        assert_alike(resumed[0], never_stopped[0])
        assert resumed[0]["finalists"] == never_stopped[0]["finalists"]


def retrained(sharded):
    net = shard(supernet()) if sharded else supernet()
    result = fit(search_of(net), None)
    alone = result.retrain(loader(1), loader(2), epochs=1, peers=1, progress=False)
    return {"child": alone.child(torch.ones(4, 6)).tolist(), "peers": [peer.score for peer in alone.peers]}


@pytest.mark.parametrize("sharded", [False, True])
def test_what_two_processes_found_they_train_from_scratch_as_one_does(sharded):
    [one] = values(retrained, False, size=1)
    two = values(retrained, sharded)
    assert two[0] == two[1]
    torch.testing.assert_close(torch.tensor(two[0]["child"]), torch.tensor(one["child"]))
    assert two[0]["peers"] == pytest.approx(one["peers"])


def refused():
    net = shard(supernet())
    told = []
    for work in (lambda: net.extract({"op": "plain", "width": 3}), lambda: shard(net)):
        with pytest.raises(InputError) as error:
            work()
        told.append(str(error.value))
    return told


def test_what_needs_whole_weights_says_so_before_any_work():
    for extracted, again in values(refused):
        assert "asng.distributed.whole(supernet)" in extracted
        assert "sharded already" in again


def test_in_one_process_there_is_nothing_to_divide_over():
    with pytest.raises(InputError, match="shard: expected several processes"):
        shard(supernet())


def test_a_whole_supernet_is_its_own_whole():
    net = supernet()
    assert whole(net) is net
