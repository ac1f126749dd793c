"""A child to be trained alone: its layers are whole ones of the supernet, or drawn for their width."""

from random import Random

import pytest
import torch
from torch import nn

from asng.nn import Supernet
from asng.supernets import ConvAutoencoder, EnasCellNetwork


def _cells():
    return EnasCellNetwork(in_channels=1, classes=3, image_size=8, cells=3, nodes=4, channels=4), (1, 1, 8, 8)


def _autoencoder():
    network = ConvAutoencoder(in_channels=3, image_size=8, columns=3, channels=[4, 8])
    return network, (1, 3, 8, 8)


def _convolutions(child):
    return [m for m in child.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def _parts(weight, whole):
    """Whether a weight is a part of a larger one, wherever its input and output channels begin."""
    if weight.shape[2:] != whole.shape[2:] or weight.shape == whole.shape:
        return False
    fits = all(small <= large for small, large in zip(weight.shape, whole.shape, strict=True))
    return fits and bool(torch.isin(weight, whole).all())


@pytest.mark.parametrize("make", [_cells, _autoencoder])
def test_a_fresh_child_has_no_part_of_a_weight_of_its_supernet(make):
    torch.manual_seed(0)
    network, shape = make()
    supernet = Supernet(network)
    weights = dict(supernet.model.named_parameters())
    cut = 0
    for seed in range(2):
        a = supernet.space.sample(Random(seed))
        plain, fresh = (supernet.extract(a, example=torch.ones(shape), fresh=f) for f in (False, True))
        cut += sum(any(_parts(m.weight, w) for w in weights.values()) for m in _convolutions(plain))
        for module in _convolutions(fresh):
            assert not any(_parts(module.weight, whole) for whole in weights.values())
        addresses = {weight.untyped_storage().data_ptr() for weight in weights.values()}
        assert all(p.untyped_storage().data_ptr() not in addresses for p in fresh.parameters())
    assert cut > 2  # the claim is of something: unless fresh, there are such parts


def test_the_convolution_over_unused_nodes_is_drawn_for_those_it_reads():
    # Torch's bound is 1 / sqrt(channels read): half as large for the four nodes that there may be as for one.
    # That none of 16 draws comes above half of the bound has a chance of 2^-16 for each of three cells.
    torch.manual_seed(0)
    supernet = Supernet(_cells()[0])
    chain = {
        name: f"node{int(name.partition('node')[2].partition('.')[0]) - 1}" for name in _inputs(supernet)
    }
    a = {**supernet.space.sample(Random(0)), **{n: s.replace("node0", "cell-1") for n, s in chain.items()}}
    child = supernet.extract(a, fresh=True)
    for cell in range(3):
        conv = child.get_submodule(f"cells.{cell}.conv")
        channels = conv.out_channels
        assert conv.in_channels == channels  # one node's
        assert 0.5 < conv.weight.abs().max() * channels**0.5 <= 1


def test_where_all_nodes_are_unused_the_first_weights_are_kept():
    supernet = Supernet(_cells()[0])
    a = {**supernet.space.sample(Random(0)), **dict.fromkeys(_inputs(supernet), "cell-1")}
    child = supernet.extract(a, fresh=True)
    assert torch.equal(child.get_submodule("cells.2.conv").weight, supernet.model.cells[2].conv.weight)


def _inputs(supernet):
    return [name for name in supernet.space if ".input" in name]
