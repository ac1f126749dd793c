"""The auxiliary head: it trains the trunk, and is gone from the network that is kept."""

from random import Random

import pytest
import torch

from asng.nn import Supernet
from asng.supernets import EnasCellNetwork
from asng.supernets.enas.retraining import AuxiliaryHead
from asng.supernets.enas.wiring import least_side_after


def _supernet(**changes):
    torch.manual_seed(0)
    settings = {"in_channels": 1, "classes": 10, "image_size": 14, "cells": 6, "nodes": 2, "channels": 4}
    return Supernet(EnasCellNetwork(**settings | {"retraining": True, "auxiliary": True} | changes))


def _reading(supernet, source):
    return {name: source if ".input" in name else "sep_conv_3x3" for name in supernet.space}


def _x(side=14, batch=3):
    return torch.randn(batch, 1, side, side, generator=torch.Generator().manual_seed(0))


def test_its_gradient_reaches_the_cells_before_it_and_none_behind():
    supernet = _supernet().train()
    logits, auxiliary = supernet(_x(), architecture=_reading(supernet, "cell-1"))
    auxiliary.sum().backward()
    assert logits.shape == auxiliary.shape == (3, 10)
    cells = supernet.model.cells
    for index in range(6):
        reached = any(p.grad is not None and p.grad.abs().sum() > 0 for p in cells[index].parameters())
        assert reached == (index <= 4), index  # 4 = 2 * 6 // 3, the second reduction
    assert supernet.model.stem[0].weight.grad.abs().sum() > 0
    assert supernet.model.head.weight.grad is None


@pytest.mark.parametrize("seed", range(2))
def test_the_plain_child_takes_the_trained_weights_and_misses_none(seed):
    trained, plain = _supernet(drop_path=True).train(), _supernet(auxiliary=False)
    a = trained.space.sample(Random(seed))
    child, kept = trained.extract(a), plain.extract(a)
    child(_x())  # moves the averages
    missing, unexpected = kept.load_state_dict(child.state_dict(), strict=False)
    assert missing == []
    assert any(name.startswith("auxiliary.") for name in unexpected)
    assert not any("auxiliary" in name for name in kept.state_dict())
    assert torch.equal(kept.eval()(_x()), child.eval()(_x())[0])


def test_the_other_weights_are_drawn_as_without_it():
    with_head, without = _supernet().state_dict(), _supernet(auxiliary=False).state_dict()
    assert all(torch.equal(with_head[name], tensor) for name, tensor in without.items())


def test_a_cell_that_the_head_alone_reads_is_run():
    supernet = _supernet(cells=6)  # cells 5, 3, 1 lead to the logits, 4 to the head
    _, auxiliary = supernet(_x(), architecture=_reading(supernet, "cell-2"))
    auxiliary.sum().backward()
    assert supernet.model.cells[4].norm.weight.grad is not None


@pytest.mark.parametrize(
    ("size", "side"), [(32, 8), (28, 7), (14, 4), (7, 2), (3, 1), (64, 16), ((32, 14), 4)]
)
def test_every_image_size_has_room_for_it(size, side):
    assert least_side_after(size, 13, reducing={6, 13}) == side
    height, width = size if isinstance(size, tuple) else (size, size)
    supernet = _supernet(image_size=size, cells=3, nodes=1)
    _, auxiliary = supernet(torch.ones(2, 1, height, width), architecture=supernet.space.sample(Random(0)))
    assert auxiliary.shape == (2, 10)


def test_it_has_the_weights_of_the_authors():
    # Counted by hand: two convolutions without bias, their normalisations, a linear layer.
    expected = 64 * 128 + 2 * 128 + 128 * 768 * 4 + 2 * 768 + 768 * 10 + 10
    assert sum(p.numel() for p in AuxiliaryHead(64, classes=10, side=8).parameters()) == expected
