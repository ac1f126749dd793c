"""Drop path in a cell network and in the child that is trained."""

from random import Random

import pytest
import torch
from torch import nn

from asng.nn import Supernet
from asng.supernets import EnasCellNetwork, set_drop_path
from asng.supernets.enas.retraining import DropPath


def _supernet(**changes):
    torch.manual_seed(0)
    settings = {"in_channels": 1, "classes": 10, "image_size": 14, "cells": 3, "nodes": 2, "channels": 4}
    return Supernet(EnasCellNetwork(**settings | {"retraining": True, "drop_path": True} | changes))


def _all(supernet, operation, source="cell-1"):
    return {name: source if ".input" in name else operation for name in supernet.space}


def _x(batch=3):
    return torch.randn(batch, 1, 14, 14, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_dropping_keeps_the_expectation(rate):
    # 40,000 masks: the mean is within 5 of its standard errors but for one seed in a million.
    drop = DropPath().train()
    set_drop_path(drop, rate)
    torch.manual_seed(0)
    kept = drop(torch.ones(40_000, 1, 1, 1)).flatten()
    assert float(kept.mean()) == pytest.approx(1.0, abs=5 * (rate / (1 - rate) / 40_000) ** 0.5)
    assert set(kept.tolist()) == {0.0, kept.max().item()}
    assert kept.max().item() == pytest.approx(1 / (1 - rate))


def test_an_image_is_dropped_as_a_whole():
    drop = DropPath().train()
    set_drop_path(drop, 0.5)
    torch.manual_seed(0)
    dropped = drop(torch.ones(32, 3, 2, 2)).flatten(1)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert 0 < int(dropped[:, 0].count_nonzero()) < 32


def test_nothing_is_dropped_in_evaluation():
    supernet = _supernet().eval()
    a = supernet.space.sample(Random(1))
    child = supernet.extract(a)
    before = child(_x())
    set_drop_path(child, 0.9)
    assert torch.equal(child(_x()), before)
    plain = _supernet(drop_path=False).eval()
    assert torch.equal(plain(_x(), architecture=a), before)


def test_the_traced_child_drops_in_training_and_holds_torch_only():
    supernet = _supernet().train()
    child = supernet.extract(_all(supernet, "avg_pool_3x3"))
    assert {type(m).__module__.partition(".")[0] for m in child.modules()} == {"torch"}
    drops = [m for m in child.modules() if isinstance(m, nn.Dropout)]
    assert len(drops) == 2 * 3  # a node of each cell
    set_drop_path(child, 0.5)
    assert all(drop.p == 0.5 for drop in drops)
    torch.manual_seed(0)
    first, second = child(_x(16)), child(_x(16))
    assert not torch.equal(first, second)
    assert child(_x(5)).shape == (5, 10)  # a batch of another size than any before


def test_both_sides_of_a_node_are_dropped_apart_though_the_operation_is_run_once():
    supernet = _supernet(cells=1, nodes=1).train()
    set_drop_path(supernet, 0.5)
    node, seen = supernet.model.cells[0].nodes[0], []
    node.register_forward_hook(lambda _, __, output: seen.append(output))
    pool = node.edges["cell-1"]["avg_pool_3x3"]
    pool.register_forward_hook(lambda _, __, output: seen.append(output))
    torch.manual_seed(0)
    supernet(_x(64), architecture=_all(supernet, "avg_pool_3x3"))
    once, summed = seen
    scales = (summed / once).flatten(1)[:, 0].round(decimals=3)
    assert set(scales.tolist()) == {0.0, 2.0, 4.0}  # both dropped, one, none


def test_the_identity_is_never_dropped_but_its_reduction_is():
    supernet = _supernet().train()
    child = supernet.extract(_all(supernet, "identity"))
    dropped = {name.split(".")[1] for name, m in child.named_modules() if isinstance(m, nn.Dropout)}
    assert dropped == {"1", "2"}  # cells 1 and 2 reduce, where the identity is a factorised reduction


def test_drop_path_has_no_weights():
    assert _supernet().state_dict().keys() == _supernet(drop_path=False).state_dict().keys()
