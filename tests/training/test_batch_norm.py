"""Batch norm: by the batch during the search, by the child's own averages after it."""

import pytest
import torch
from problems import data, fit, loader, mse, searcher, two_layers
from torch import nn
from torch.utils.data import DataLoader

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
    """Mean and unbiased variance of each batch, before the norm, averaged over the batches."""
    inputs = [layers(x).detach() for x, _ in batches]
    return torch.stack([x.mean(0) for x in inputs]).mean(0), torch.stack([x.var(0) for x in inputs]).mean(0)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracks", [True, False])
@pytest.mark.parametrize("batches", [None, 2])
def test_recalibration_takes_the_plain_mean_over_batches(affine, tracks, batches):
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
