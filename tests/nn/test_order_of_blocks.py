"""A shallow child of a trained model keeps the blocks that matter most to it."""

from itertools import combinations

import pytest
import torch
from torch import nn

from asng import nn as snn
from asng.nn import Importance


class Adding(nn.Module):
    """A block that adds more or less to what it is given."""

    def __init__(self, scale, generator):
        super().__init__()
        self.inner, self.outer = nn.Linear(6, 8), nn.Linear(8, 6)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator) * scale)

    def forward(self, x):
        return x + self.outer(torch.tanh(self.inner(x)))


def model(scales, seed):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    return nn.Sequential(nn.Sequential(*(Adding(scale, generator) for scale in scales)), nn.Linear(6, 2))


def loss(forward, batch):
    return nn.functional.mse_loss(forward(batch[0]), batch[1])


SCALES = [0.2, 0.7, 0.05, 0.4, 0.5]


@pytest.mark.parametrize("kind", ["outputs", "taylor"])
@pytest.mark.parametrize("seed", range(3))
def test_the_first_to_go_is_the_one_that_is_missed_least_of_all(kind, seed):
    """By brute force, for each number of blocks from those that are left at the step before."""
    network, x = model(SCALES, seed), torch.randn(32, 6, generator=torch.Generator().manual_seed(seed))
    # Targets that the network is near, so that its loss tells what is missed.
    batch = (x, network(x).detach() + 0.01)
    order = Importance(kind, [batch], loss)
    supernet = snn.searchable(network, x[:3], order=order, least={"0": 0.2, "*": 1.0})
    (group,) = supernet.conversion.depths
    assert sorted(group.order) == ["0", "1", "2", "3", "4"]
    harms = {}
    for left in range(1, 5):
        for kept in combinations(network[0], left):
            shallow = nn.Sequential(*kept, network[1])
            harms[kept] = nn.functional.mse_loss(shallow(x), network(x) if kind == "outputs" else batch[1])
    there = tuple(network[0])
    for left in range(4, 0, -1):
        there = min((kept for kept in combinations(there, left)), key=harms.__getitem__)
        names = {str(list(network[0]).index(block)) for block in there}
        assert set(group.order[:left]) == names
        child = supernet.extract({"0.depth": left}, example=x[:3])
        assert torch.equal(child(x), nn.Sequential(*there, network[1])(x))


def test_without_an_order_or_by_one_of_channels_the_first_blocks_stay():
    network, x = model([0.01, 0.5, 0.5], 0), torch.randn(3, 6)
    for order in (None, lambda path, layer: torch.arange(len(layer.weight), dtype=torch.float32)):
        (group,) = snn.searchable(network, x, order=order).conversion.depths
        assert group.run.names == ("0", "1", "2")


class Zipped(nn.Module):
    """Without a block in the middle those behind it would have another scale."""

    def __init__(self):
        super().__init__()
        self.blocks, self.head = model([0.01, 0.5, 0.5], 0)[0], nn.Linear(6, 2)

    def forward(self, x):
        for block, scale in zip(self.blocks, (1.0, 0.5, 2.0), strict=False):
            x = block(x / scale) * scale
        return self.head(x)


def test_blocks_of_which_only_the_last_can_be_left_out_stay_in_their_order():
    (group,) = snn.searchable(Zipped(), torch.randn(3, 6), order="outputs").conversion.depths
    assert not group.movable
    assert group.run.names == ("0", "1", "2")


class Counted(nn.Module):
    """Without all of its blocks it runs on short sequences only."""

    def __init__(self):
        super().__init__()
        self.blocks, self.head = model([0.01, 0.5, 0.5], 0)[0], nn.Linear(6, 2)

    def forward(self, x):
        blocks = list(self.blocks)
        for block in blocks:
            x = block(x)
        return self.head(x if len(blocks) == 3 else x[:16])


def test_blocks_stay_in_their_order_if_the_batches_of_the_order_cannot_do_without_them():
    order = Importance(batches=[torch.randn(40, 6)])
    (group,) = snn.searchable(Counted(), torch.randn(3, 6), order=order).conversion.depths
    assert group.run.names == ("0", "1", "2")
