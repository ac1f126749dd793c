"""Batch norm: by the batch during the search, by the child's own averages after it."""

import pytest
import torch
from problems import data, fit, loader, mse, searcher, two_layers
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng import nn as snn
from asng.nn import Supernet
from asng.training import batch_statistics, recalibrate


def test_a_search_leaves_running_averages_alone():
    supernet = two_layers(norm=True)
    norm = supernet.model[1]
    norm.running_mean.fill_(3.0)
    norm.running_var.fill_(7.0)
    fit(searcher(supernet))
    assert (norm.running_mean == 3).all()
    assert (norm.running_var == 7).all()
    assert norm.num_batches_tracked == 0
    assert norm.track_running_stats


def test_every_pass_of_a_search_uses_its_own_batch():
    supernet, seen = two_layers(norm=True), []

    def note(norm, inputs, output):
        x = inputs[0]
        own = (x - x.mean(0)) / (x.var(0, unbiased=False) + norm.eps).sqrt() * norm.weight + norm.bias
        torch.testing.assert_close(output, own)
        seen.append(torch.is_grad_enabled())

    supernet.model[1].register_forward_hook(note)
    fit(searcher(supernet))
    assert seen.count(True) == 24
    assert seen.count(False) == 24


def test_batch_statistics_puts_modes_back_although_the_block_fails():
    norm = nn.BatchNorm1d(2).eval()

    def block():
        with batch_statistics(norm) as norms:
            assert norms == [norm]
            assert norm.training
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        block()
    assert (norm.training, norm.track_running_stats) == (False, True)


def _means_over_batches(layers, batches):
    """Mean and unbiased variance of each batch, before the norm, averaged over the batches by items."""
    inputs = [layers(x).detach() for x, _ in batches]
    shares = torch.tensor([len(x) for x in inputs]).div(sum(map(len, inputs))).unsqueeze(1)
    means, variances = torch.stack([x.mean(0) for x in inputs]), torch.stack([x.var(0) for x in inputs])
    return (shares * means).sum(0), (shares * variances).sum(0)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracks", [True, False])
@pytest.mark.parametrize("batches", [None, 2])
def test_recalibration_takes_the_mean_over_batches_by_items(affine, tracks, batches):
    torch.manual_seed(0)
    first = nn.BatchNorm1d(4, affine=affine, track_running_stats=tracks)
    second = nn.BatchNorm1d(5, affine=affine, track_running_stats=tracks)
    model = nn.Sequential(nn.Linear(3, 4), first, nn.Dropout(0.5), nn.Linear(4, 5), second, nn.Linear(5, 1))
    ordered = DataLoader(data(), 10)  # the last batch has 8
    used = list(ordered)[:batches]
    twin = [nn.BatchNorm1d(4, affine=affine, track_running_stats=False)]
    before = {name: value.clone() for name, value in model.named_parameters()}
    model(torch.randn(9, 3) + 5)  # averages of before, which are to be forgotten

    assert recalibrate(model.train(), ordered, loss=mse, batches=batches) is model
    for norm, layers in ((first, model[0]), (second, nn.Sequential(model[0], *twin, model[3]))):
        mean, variance = _means_over_batches(layers, used)
        torch.testing.assert_close(norm.running_mean, mean)
        torch.testing.assert_close(norm.running_var, variance)
        assert (norm.momentum, norm.track_running_stats, norm.training) == (0.1, True, False)
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())


def test_recalibration_reads_no_data_where_there_is_no_norm():
    model = nn.Linear(3, 1)
    assert recalibrate(model, iter(()), loss=mse) is model


def test_a_failing_loss_leaves_the_momentum():
    norm = nn.BatchNorm1d(3)
    with pytest.raises(ZeroDivisionError, match="division"):
        recalibrate(norm, loader(), loss=lambda forward, batch: 1 / 0)
    assert norm.momentum == 0.1


def test_the_child_of_a_search_is_plain_and_has_averages_of_its_own():
    result = fit(searcher(two_layers(norm=True)))
    child = result.child
    assert not any(module.training for module in child.modules())
    assert not any(type(module).__module__.startswith("asng") for module in child.modules())
    mean, _ = _means_over_batches(child[0], loader())
    torch.testing.assert_close(child[1].running_mean, mean)  # batches of equal size: whatever the order
    assert child[1].num_batches_tracked == 6


class Frozen(nn.Module):
    """A backbone whose norms keep the averages of its earlier training."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.body[1].running_mean.fill_(3.0)
        self.body[1].running_var.fill_(7.0)
        self.head = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        if way == "instance":
            self.body.eval().train = lambda mode=True: self.body

    def train(self, mode=True):
        super().train(mode)
        if self.way == "class":
            self.body.eval()
        return self

    def forward(self, x):
        if self.way == "forward":
            self.body.eval()
        return self.head(self.body(x))


@pytest.mark.parametrize("way", ["class", "instance", "forward"])
def test_frozen_norms_are_left_alone_in_a_child(way):
    model = Frozen(way)
    x = torch.cat([x for x, _ in loader()])
    hidden = model.eval().body(x).detach()
    recalibrate(model, loader(), loss=mse)
    assert torch.equal(model.body(x), hidden)
    assert model.body[1].num_batches_tracked == 0
    torch.testing.assert_close(model.head[1].running_mean, model.head[0](hidden).mean(0).detach())


def test_frozen_norms_use_their_averages_in_a_search():
    model, seen = Frozen("class"), []
    supernet = Supernet(nn.Sequential(model, snn.Choice([nn.Identity(), nn.Linear(1, 1)], label="c")))

    def note(norm, inputs, output):
        own = (inputs[0] - 3) / (7 + norm.eps) ** 0.5 * norm.weight + norm.bias
        torch.testing.assert_close(output, own)
        seen.append(norm.training)

    model.body[1].register_forward_hook(note)
    child = fit(searcher(supernet)).child
    assert not any(seen)
    assert len(seen) > 10
    assert (child[0].body[1].running_mean == 3).all()
    assert child[0].head[1].num_batches_tracked > 0


def test_a_norm_that_no_batch_reaches_keeps_its_averages():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    model.spare = nn.BatchNorm1d(3)
    model.spare.running_mean.fill_(2.0)
    model.forward = lambda x: model[1](model[0](x))
    recalibrate(model, loader(), loss=mse)
    assert (model.spare.running_mean == 2).all()
    assert model[0].num_batches_tracked == 6


def test_a_norm_that_is_passed_twice_averages_over_all_passes():
    norm = nn.BatchNorm1d(3)
    batches = DataLoader(data(), 10)
    recalibrate(norm, batches, loss=lambda forward, batch: forward(batch[0]).sum() + forward(-batch[0]).sum())
    torch.testing.assert_close(norm.running_mean, torch.zeros(3))


def test_recalibration_weighs_batches_as_it_is_told():
    x = torch.tensor([[1.0], [3.0], [5.0], [7.0]])
    loader = DataLoader(TensorDataset(x), batch_size=2)
    count = lambda batch: float(batch[0].sum())  # noqa: E731
    child = recalibrate(nn.BatchNorm1d(1), loader, loss=lambda forward, batch: forward(*batch), items=count)
    assert child.running_mean == pytest.approx((4 * 2 + 12 * 6) / 16)


class Detector(nn.Module):
    """Returns losses in training mode and predictions in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 4), nn.BatchNorm1d(4)
        )

    def forward(self, x, y=None):
        out = self.body(x).sum(dim=1, keepdim=True)
        return {"mse": torch.nn.functional.mse_loss(out, y)} if self.training else [out]


def test_recalibration_calls_the_loss_in_training_mode_and_averages_without_dropout():
    model, modes = Detector(), []

    def loss(forward, batch):
        modes.append(model.training)
        return sum(forward(*batch).values())

    recalibrate(model, DataLoader(data(), 8), loss=loss)
    assert modes == [True] * 6
    assert not model.training
    assert model.body[1].num_batches_tracked == 6
    plain = nn.Sequential(model.body[0], nn.BatchNorm1d(4, track_running_stats=False), model.body[3])
    means = torch.stack([plain(x).mean(0) for x, _ in DataLoader(data(), 8)])
    torch.testing.assert_close(model.body[4].running_mean, means.mean(0).detach())


def test_the_second_pass_of_recalibration_draws_no_number_that_the_data_miss():
    def after(model):
        torch.manual_seed(0)
        recalibrate(
            model, DataLoader(data(), 8, shuffle=True), loss=lambda forward, batch: forward(batch[0]).sum()
        )
        return torch.rand(1)

    norm = nn.BatchNorm1d(3)
    assert torch.equal(after(nn.Sequential(norm, nn.Dropout(0.5))), after(norm))
