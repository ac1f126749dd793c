"""Training from scratch starts from the buffers that a model had when it was made a supernet."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.nn import BatchNorm1d, Choice, Linear, Supernet
from asng.pipeline.found import drawn_anew
from asng.training import accuracy

X = torch.randn(32, 3, generator=torch.Generator().manual_seed(0)) + 3.0
LOADER = DataLoader(TensorDataset(X, torch.arange(32) % 2), batch_size=8)


class Counting(nn.Module):
    """Counts its passes in training, in place and by new tensors, and keeps a moving average."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.layer = Choice({"wide": nn.Linear(3, 2), "norm": nn.Sequential(Linear(3, 2), nn.BatchNorm1d(2))})
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.full((3,), 0.5), persistent=False)
        self.register_buffer("new", torch.zeros(1))

    def forward(self, x):
        self.seen.append(int(self.count))
        if self.training:
            self.count += 1
            self.mean.lerp_(x.detach().mean(0), 0.1)
            self.new = self.new + 1
        return self.layer(x - self.mean)


def test_all_buffers_are_as_at_the_start():
    supernet = Supernet(Counting())
    before = copy.deepcopy(dict(supernet.model.named_buffers()))
    for op in ("wide", "norm"):
        supernet(X, architecture={"layer": op})
    after = dict(supernet.model.named_buffers())
    fresh = drawn_anew(supernet)
    got = dict(fresh.named_buffers())
    assert got.keys() == before.keys()
    assert all(torch.equal(got[name], before[name]) for name in before)
    assert all(one.data_ptr() != after[name].data_ptr() for name, one in got.items() if one.numel())


class Late(nn.Linear):
    """Makes its buffers in a first pass."""

    def __init__(self):
        super().__init__(3, 2)
        self.register_buffer("late", None)

    def forward(self, x):
        self.late = torch.ones(1)
        self.register_buffer("unplanned", torch.ones(1))
        return super().forward(x)


class Filled(nn.Linear):
    """Fills a table in its first pass, which a flag notes, and counts passes in a number and in a tensor."""

    def __init__(self):
        super().__init__(3, 2)
        self.register_buffer("table", torch.zeros(2), persistent=False)
        self.filled, self.count, self.sum, self.last = False, 0, torch.zeros(1), None

    def forward(self, x):
        if not self.filled:
            self.table, self.filled = self.table + 1.0, True
        self.count += 1
        self.sum.add_(1.0)
        self.last = x.detach()
        return super().forward(x) / self.table


def test_attributes_are_as_at_the_start():
    supernet = Supernet(Choice({"filled": Filled(), "linear": nn.Linear(3, 2)}, label="op"))
    for _ in range(2):
        assert torch.isfinite(supernet(X, architecture={"op": "filled"})).all()
    supernet.eval()
    fresh = drawn_anew(supernet)
    one = fresh.candidates["filled"]
    assert (one.filled, one.count, float(one.sum), one.last, one.training) == (False, 0, 0.0, None, False)
    assert torch.isfinite(Supernet(fresh)(X, architecture={"op": "filled"})).all()


def test_buffers_that_a_pass_made_are_gone():
    supernet = Supernet(Choice({"late": Late(), "linear": nn.Linear(3, 2)}, label="op"))
    supernet(X, architecture={"op": "late"})
    fresh = drawn_anew(supernet)
    assert not list(fresh.buffers())
    Supernet(fresh)(X, architecture={"op": "late"})


def test_what_is_trained_from_the_buffers_does_not_change_them():
    supernet = Supernet(Counting())
    for _ in range(2):
        fresh = drawn_anew(supernet)
        assert int(fresh.count) == 0
        Supernet(fresh)(X, architecture={"layer": "norm"})
        assert int(fresh.count) == int(fresh.layer.candidates["norm"][1].num_batches_tracked) == 1


def test_statistics_from_before_the_search_are_kept():
    norm = nn.BatchNorm1d(2)
    norm.running_mean.fill_(4.0)
    supernet = Supernet(nn.Sequential(Choice({"a": nn.Linear(3, 2), "b": Linear(3, 2)}, label="op"), norm))
    supernet(X, architecture={"op": "a"})
    assert torch.equal(drawn_anew(supernet)[1].running_mean, torch.full((2,), 4.0))


def test_buffers_follow_the_device_the_type_and_the_ties_of_the_model():
    model = nn.Sequential(Choice({"a": nn.Linear(3, 2), "b": nn.Linear(3, 2)}), nn.Tanh(), nn.Tanh())
    model[1].register_buffer("scale", torch.ones(2))
    model[2].register_buffer("scale", model[1].scale)
    supernet = Supernet(model).double()
    fresh = drawn_anew(supernet)
    assert fresh[1].scale is fresh[2].scale
    assert fresh[1].scale.dtype == torch.float64


def test_lazy_norms_begin_with_the_averages_of_their_class():
    supernet = Supernet(nn.Sequential(Choice({"a": nn.Identity(), "b": nn.Tanh()}), nn.LazyBatchNorm1d()))
    supernet(X, architecture={"0": "a"})
    fresh = drawn_anew(supernet)
    assert torch.equal(fresh[1].running_mean, torch.zeros(3))
    assert int(fresh[1].num_batches_tracked) == 0


def test_norms_of_a_supernet_get_fresh_averages():
    supernet = Supernet(nn.Sequential(Linear(3, asng.Integer(2, 4, label="w")), BatchNorm1d(4)))
    supernet(X, architecture={"w": 3})
    assert drawn_anew(supernet)[1].running_mean is None


@pytest.mark.parametrize("final", [0.0, 0.7])
def test_retraining_counts_from_the_start(final):
    search = asng.OneShotSearch(
        Supernet(Counting()), asng.supervised(nn.functional.cross_entropy), maximize=accuracy, final=final
    )
    result = search.fit(LOADER, LOADER, epochs=4, progress=False, check=False)
    assert int(result.supernet.model.count) > 8
    alone = result.retrain(LOADER, LOADER, epochs=2, peers=1, progress=False)
    assert int(alone.child.count) == int(alone.child.new) == 8
