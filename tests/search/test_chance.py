"""A network that has learnt nothing is told from one that has, whatever the objective."""

import random
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.runs.events import Chance
from asng.search.chance import _p
from asng.training import accuracy

CLASSES = asng.supervised(cross_entropy)


def network(inputs=4, outputs=3):
    paths = {"short": nn.Linear(inputs, outputs), "wide": nn.Linear(inputs, outputs, bias=False)}
    return asng.nn.Supernet(asng.nn.Choice(paths, label="path"))


def classes(*, learnable, items=240):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(items, 4, generator=generator)
    y = x[:, :3].argmax(dim=1) if learnable else torch.randint(3, (items,), generator=generator)
    return DataLoader(TensorDataset(x, y), batch_size=20, shuffle=True)


def found(loader, loss=CLASSES, *, progress=False, supernet=None, **settings):
    torch.manual_seed(0)
    search = asng.OneShotSearch(supernet or network(), loss, finalists=4, **settings)
    return search.fit(loader, epochs=30, progress=progress)


@pytest.mark.parametrize("objective", [{}, {"maximize": accuracy}], ids=["loss", "accuracy"])
@pytest.mark.parametrize("learnable", [True, False])
def test_what_can_be_learnt_is_told_from_what_cannot(learnable, objective):
    chance = found(classes(learnable=learnable), **objective).chance
    assert chance.near is not learnable


def test_a_reconstruction_is_told_from_chance_too():
    def loss(forward, batch):
        return mse_loss(forward(batch[0]), batch[0])

    assert not found(classes(learnable=True), loss, supernet=network(outputs=4)).chance.near


def test_orders_that_chance_deals_are_near_chance_in_nineteen_of_twenty():
    rng = random.Random(0)
    ps = [_p(1.0, *_dealt(rng)) for _ in range(2000)]
    # By chance 0.05 +- 0.005; a false alarm once in some thousands.
    assert 0.03 < sum(p <= 0.05 for p in ps) / len(ps) < 0.07


def _dealt(rng, batches=4, orders=16):
    """Return scores of right and of wrong orders, all from one distribution a batch."""
    right, wrong = [], []
    for _ in range(batches):
        level = rng.gauss(0.0, 10.0)  # batches differ by far more than orders
        first, *others = (level + rng.gauss(0.0, 1.0) for _ in range(orders + 1))
        right.append(first)
        wrong.append(others)
    return right, wrong


def test_outputs_without_a_row_an_item_tell_nothing():
    def loss(forward, batch):
        return forward(batch[0]).mean() ** 2 + forward(batch[0]).square().mean()

    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.path = asng.nn.Choice({"a": nn.Linear(4, 3), "b": nn.Linear(4, 3)}, label="path")

        def forward(self, x):
            return self.path(x).mean(dim=0, keepdim=True)

    assert found(classes(learnable=True), loss, supernet=asng.nn.Supernet(Pooled())).chance is None


def test_a_search_that_learnt_nothing_warns_and_its_report_says_so(tmp_path):
    with pytest.warns(UserWarning, match="learnt nothing measurable"):
        result = found(classes(learnable=False), progress=True)
    assert result.chance.near
    run = partial(asng.OneShotSearch, network(), CLASSES, finalists=4)
    run().fit(classes(learnable=False), epochs=30, progress=False, run_dir=tmp_path)
    assert "learnt nothing measurable" in asng.report.write_report(tmp_path).read_text()


def test_a_constant_objective_is_near_chance():
    assert Chance(0.1, 0.1, _p(1.0, [0.1], [[0.1] * 16])).near
    assert not Chance(0.1, 0.2, _p(1.0, [0.1], [[0.2] * 16])).near
