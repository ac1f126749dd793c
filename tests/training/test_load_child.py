"""`load_child` gives a stored child back in a fresh process, which has the model's code alone."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng import nn as snn
from asng.errors import RunError, SpaceError
from asng.training import load_child, save_child

X = torch.randn(24, 4, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Norms of all kinds, and a buffer that a first pass fills."""

    def __init__(self, most=6, *, norm=snn.BatchNorm1d):
        super().__init__()
        self.first = snn.Linear(4, asng.Integer(2, most, label="width"))
        self.norm = norm(most)
        self.act = snn.Choice(
            {"plain": nn.Tanh(), "normed": nn.Sequential(snn.BatchNorm1d(most))}, label="act"
        )
        self.last = snn.Linear(most, 2)
        self.register_buffer("centre", None)

    def forward(self, x):
        if self.centre is None:
            self.centre = x.detach().mean(0)
        return self.last(self.act(self.norm(self.first(x - self.centre))))


@pytest.fixture(scope="module")
def loader():
    return DataLoader(TensorDataset(X, X.sum(1).gt(0).long()), batch_size=8)


@pytest.mark.parametrize("net", [Net, lambda: Net(norm=lambda most: nn.Identity())])
def test_the_child_of_a_search_comes_back(net, loader, tmp_path):
    supernet = snn.Supernet(net())
    supernet(X, architecture={"width": 2, "act": "plain"})
    search = asng.OneShotSearch(supernet, asng.supervised(nn.functional.cross_entropy), final=0.0)
    result = search.fit(loader, loader, epochs=2, progress=False, check=False)
    path = result.save(str(tmp_path / "child.pt"))
    child = load_child(str(path), snn.Supernet(net()), example=X[:2])
    assert not child.training
    assert torch.equal(child(X), result.child(X))
    assert child.state_dict().keys() == result.child.state_dict().keys()


class Counting(nn.Module):
    """Keeps something in its extra state that is no tensor."""

    def __init__(self):
        super().__init__()
        self.layer, self.seen = snn.Linear(4, asng.Integer(2, 6, label="width")), {"items": 0}

    def get_extra_state(self):
        return self.seen

    def set_extra_state(self, state):
        self.seen = state

    def forward(self, x):
        self.seen = {"items": self.seen["items"] + len(x)}
        return self.layer(x).sum(1).abs()


def test_extra_state_goes_through_a_search_and_comes_back(loader, tmp_path):
    loss = asng.supervised(lambda out, label: (out - label).square().mean())
    search = asng.OneShotSearch(snn.Supernet(Counting()), loss, final=0.0)
    result = search.fit(loader, loader, epochs=2, run_dir=tmp_path / "run", progress=False)
    again = search.fit(loader, loader, epochs=2, run_dir=tmp_path / "run", resume=True, progress=False)
    assert again.supernet.model.seen["items"] >= 48
    result.child.seen = {"items": 7}
    child = load_child(result.save(tmp_path / "child.pt"), snn.Supernet(Counting()), example=X[:2])
    assert child.seen == {"items": 7}


def test_a_child_without_averages_comes_back_without(tmp_path):
    supernet, a = snn.Supernet(Net()), asng.Architecture({"width": 3, "act": "normed"})
    child = supernet.extract(a, example=X).eval()
    path = save_child(tmp_path / "child.pt", child, a)
    back = load_child(path, snn.Supernet(Net()), example=X)
    assert back.norm.running_mean is None
    assert torch.equal(back(X), child(X))


def test_a_layer_without_sizes_needs_no_example(tmp_path):
    op = snn.Choice({"a": nn.Linear(4, 2), "b": nn.Linear(4, 2)}, label="op")
    a = asng.Architecture({"op": "b"})
    child = snn.Supernet(op).extract(a)
    back = load_child(save_child(tmp_path / "c.pt", child, a), snn.Supernet(op))
    assert torch.equal(back(X), child(X))


def test_another_model_is_told(tmp_path):
    supernet, a = snn.Supernet(Net()), asng.Architecture({"width": 3, "act": "normed"})
    path = save_child(tmp_path / "child.pt", supernet.extract(a, example=X), a)
    with pytest.raises(RunError, match=r"child.pt: does not fit the network that is described"):
        load_child(path, snn.Supernet(Net(norm=lambda most: nn.Identity())), example=X)
    other = snn.Supernet(snn.Choice([nn.Tanh(), nn.ReLU()], label="op"))
    with pytest.raises(SpaceError, match="the space has no such variable"):
        load_child(path, other)
