"""Repeat, as a module that is called and as a list of blocks."""

import pytest
import torch
from torch import fx, nn

from asng import nn as snn
from asng.errors import InputError
from asng.nn import Supernet
from asng.space import Integer

X, EDGES = torch.randn(3, 4), torch.randn(3, 3)
DEPTH = Integer(0, 3, label="d")


class Block(nn.Module):
    def __init__(self, index):
        super().__init__()
        self.linear, self.index = nn.Linear(4, 4), index

    def forward(self, x, edges, scale=1.0):
        return x + scale * edges @ self.linear(x)


class Called(nn.Module):
    """Passes further arguments, some by name."""

    def __init__(self):
        super().__init__()
        self.blocks = snn.Repeat(Block, DEPTH)

    def forward(self, x, edges):
        return self.blocks(x, edges, scale=0.5)


class Looped(nn.Module):
    """Goes through the blocks itself, as libraries do."""

    def __init__(self):
        super().__init__()
        self.blocks = snn.Repeat(Block, DEPTH)

    def forward(self, x, edges):
        states = []
        for index, block in enumerate(self.blocks[:2]):
            x = block(x, edges)
            states.append((index, x))
        for index in range(2, len(self.blocks)):
            x = self.blocks[index](x, edges, scale=2.0)
        return x, len(states)


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("make", [Called, Looped])
def test_child_of_either_use_computes_the_same(make, depth):
    supernet = Supernet(make())
    child, y = (
        supernet.extract({"d": depth}, example=(X, EDGES)),
        supernet(X, EDGES, architecture={"d": depth}),
    )
    pairs = zip(
        (child(X, EDGES),) if make is Called else child(X, EDGES), (y,) if make is Called else y, strict=True
    )
    assert all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)
    assert len(list(child.parameters())) == 2 * depth


def test_child_is_a_sequence_unless_it_is_called_with_more():
    looped = Supernet(Looped()).extract({"d": 2}, example=(X, EDGES)).blocks
    called = Supernet(Called()).extract({"d": 2}, example=(X, EDGES)).blocks
    assert type(looped) is nn.Sequential
    assert isinstance(called, fx.GraphModule)
    assert list(looped.state_dict()) == list(called.state_dict())


def test_outside_of_a_pass_it_has_all_its_blocks():
    blocks = snn.Repeat(Block, DEPTH)
    assert [block.index for block in blocks] == [0, 1, 2]
    assert len(blocks) == 3
    assert [block.index for block in blocks[1:]] == [1, 2]


def test_repeat_of_depth_zero_is_no_false_value():
    blocks = snn.Repeat(Block, DEPTH)
    with Supernet(blocks).following({"d": 0}):
        assert (len(blocks), bool(blocks), list(blocks)) == (0, True, [])


def test_one_module_is_copied_as_often_as_it_may_run():
    block = nn.Linear(4, 4)
    blocks = snn.Repeat(block, DEPTH)
    assert blocks[0] is block
    assert len({id(b.weight) for b in blocks}) == 3
    assert all(torch.equal(b.weight, block.weight) for b in blocks)


def test_lists_of_torch_are_lists_of_blocks():
    for kind in (nn.ModuleList, lambda blocks: nn.Sequential(*blocks)):
        assert len(snn.Repeat(kind([nn.Linear(4, 4) for _ in range(3)]), DEPTH)) == 3


def test_calls_with_unlike_arguments_have_no_plain_form():
    class Unlike(Called):
        def forward(self, x, edges):
            return self.blocks(self.blocks(x, edges), edges, scale=0.5)

    with pytest.raises(InputError, match=r"module 'blocks' .*expected calls with the same arguments"):
        Supernet(Unlike()).extract({"d": 2}, example=(X, EDGES))


def test_a_sequential_is_a_list_of_blocks_and_a_wrong_length_says_how_to_copy_it():
    blocks = nn.Sequential(snn.Linear(4, 4), nn.ReLU())
    assert [type(block) for block in snn.Repeat(blocks, Integer(0, 2)).blocks] == [snn.Linear, nn.ReLU]
    message = (
        r"^blocks: expected 3, the greatest depth, got 2 in a Sequential, .* list of blocks\. "
        r"To repeat it as a whole, pass a function .*: Repeat\(lambda index: Sequential\(\.\.\.\), depth\)"
    )
    with pytest.raises(InputError, match=message):
        snn.Repeat(blocks, Integer(0, 3))
    with pytest.raises(InputError, match=r"expected 3, the greatest depth, got 2\.$"):
        snn.Repeat(list(blocks), Integer(0, 3))
    whole = snn.Repeat(lambda _: nn.Sequential(nn.Linear(4, 4), nn.ReLU()), Integer(0, 3))
    assert [len(block) for block in whole.blocks] == [2, 2, 2]


def test_a_list_of_a_class_of_your_own_is_named_and_one_that_cannot_be_called_is_not_to_be_repeated():
    class Body(nn.Sequential):
        pass

    with pytest.raises(
        InputError, match=r"got 1 in a Body, .* Repeat\(lambda index: Body\(\.\.\.\), depth\)"
    ):
        snn.Repeat(Body(nn.ReLU()), Integer(0, 3))
    with pytest.raises(InputError, match=r"expected 3, the greatest depth, got 1\.$"):
        snn.Repeat(nn.ModuleList([nn.ReLU()]), Integer(0, 3))
