"""What a failing pass is said to fail of: a width only if it is one, and what is advised exists."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from asng import nn as snn
from asng.errors import InputError
from asng.nn import Supernet
from asng.space import Integer

IMAGES, TOKENS, ITEMS = torch.randn(4, 1, 6, 6), torch.randn(2, 5, 4), torch.randn(3, 4)
WIDTH, OTHER = Integer(2, 8, label="w"), Integer(2, 8, label="v")


class Applied(nn.Module):
    """A function of one searched layer's output, or of two."""

    def __init__(self, function, *others):
        super().__init__()
        self.layer, self.other, self.function = snn.Linear(4, WIDTH), snn.Linear(4, OTHER), function
        self.more = nn.ModuleList(others)
        self.weight = nn.Parameter(torch.ones(1, 5, 8))

    def forward(self, *inputs):
        return self.function(self, *inputs)


def run(model, *inputs, **architecture):
    supernet = Supernet(model)
    a = {n: v for n, v in ({"w": 3, "v": 5} | architecture).items() if n in supernet.space}
    return supernet(*inputs, architecture=a)


def conv(*behind):
    return nn.Sequential(snn.Conv2d(1, WIDTH, 3), *behind)


def linear(*behind):
    return nn.Sequential(snn.Linear(4, WIDTH), *behind)


BEHIND = {
    "LSTM": (linear(nn.LSTM(8, 5)), TOKENS),
    "GRU": (linear(nn.GRU(8, 5)), TOKENS),
    "LayerNorm": (linear(nn.LayerNorm(8)), TOKENS),
    "RMSNorm": (linear(nn.RMSNorm(8)), TOKENS),
    "TransformerEncoderLayer": (linear(nn.TransformerEncoderLayer(8, 2, 16)), TOKENS),
    "GroupNorm": (conv(nn.GroupNorm(2, 8)), IMAGES),
    "PReLU": (conv(nn.PReLU(8)), IMAGES),
    "InstanceNorm2d": (conv(nn.InstanceNorm2d(8, affine=True)), IMAGES),
    "BatchNorm2d": (conv(nn.BatchNorm2d(8)), IMAGES),
    "ConvTranspose2d": (conv(nn.ConvTranspose2d(8, 2, 3)), IMAGES),
}


@pytest.mark.parametrize("name", BEHIND)
def test_plain_layer_behind_a_searched_width_is_named_with_its_twin(name):
    model, inputs = BEHIND[name]
    with pytest.raises(
        InputError, match=rf"module '1' \(torch\.nn\.{name}\).*module '0'.* Use asng\.nn\.{name},"
    ):
        run(model, inputs)
    assert hasattr(snn, name)


def test_plain_layer_without_a_twin_is_named_without_one():
    with pytest.raises(
        InputError, match=r"module '1' \(torch\.nn\.PixelShuffle\).*asng\.nn has no twin of it"
    ):
        run(conv(nn.PixelShuffle(2)), IMAGES)


def test_attention_that_is_called_with_a_searched_width_is_named():
    attend = Applied(lambda m, x: m.more[0](*[m.layer(x)] * 3), nn.MultiheadAttention(8, 2))
    with pytest.raises(InputError, match=r"module 'more\.0' .*Use asng\.nn\.MultiheadAttention"):
        run(attend, TOKENS)


CLASHES = {
    "sum": (lambda m, x: m.layer(x) + m.other(x), r"add: .*module 'layer' and .*module 'other'.*same label"),
    "greatest": (lambda m, x: torch.maximum(m.layer(x), m.other(x)), r"maximum: .*same label"),
    "weight": (
        lambda m, x: m.layer(x) + m.weight,
        r"add: .*module 'layer'.* weight of module '' \(Applied\)",
    ),
    "tied": (
        lambda m, x: m.layer(x) @ m.other.weight,
        r"matmul: .*whole weight of module 'other'.* searched too",
    ),
    "fixed size": (
        lambda m, x: m.layer(x).view(2, 5, 2, 4),
        r"view: .* largest one, 8, only.*x\.shape\[-1\]",
    ),
}


@pytest.mark.parametrize("name", CLASHES)
def test_widths_that_clash_in_a_function_are_named(name):
    function, match = CLASHES[name]
    with pytest.raises(InputError, match=match):
        run(Applied(function), TOKENS)


OTHERWISE = {
    "batch norm of one item": (linear(nn.BatchNorm1d(3)), (ITEMS[:1],), "more than 1 value per channel"),
    "searched batch norm of one item": (
        linear(snn.BatchNorm1d(8)),
        (ITEMS[:1],),
        "more than 1 value per channel",
    ),
    "pooling to nothing": (conv(nn.MaxPool2d(9)), (IMAGES,), "Output size is too small"),
    "pooling to nothing by a function": (
        Applied(lambda m, x: functional.max_pool1d(m.layer(x), 9)),
        (TOKENS,),
        "max_pool1d|too small",
    ),
    "type of a plain layer": (linear(nn.Linear(3, 2).double()), (ITEMS,), "dtype"),
    "type of a twin": (linear(snn.Linear(8, 2).double()), (ITEMS,), "dtype"),
    "type of the input": (linear(snn.Linear(8, 2)), (ITEMS.double(),), "dtype"),
    "labels of another batch": (
        Applied(lambda m, x, y: functional.cross_entropy(m.layer(x), y)),
        (ITEMS, torch.tensor([0, 1])),
        r"batch_size \(3\) to match target batch_size \(2\)",
    ),
    "batches of two lengths": (
        Applied(lambda m, x, y: m.layer(x) + m.other(y)),
        (ITEMS, ITEMS[:2]),
        "dimension 0",
    ),
    "lengths of two sequences": (
        Applied(lambda m, x: m.layer(x) + m.weight),
        (TOKENS[:, :4],),
        "dimension 1",
    ),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_other_faults_are_told_as_torch_tells_them(name):
    model, inputs, match = OTHERWISE[name]
    widths = {"w": 8, "v": 8} if name == "lengths of two sequences" else {"w": 3, "v": 3}
    with pytest.raises((RuntimeError, ValueError), match=match) as caught:
        run(model, *inputs, **widths)
    assert not isinstance(caught.value, InputError)


def test_users_own_assertion_stays_what_it_is():
    def fails(module, x):
        raise AssertionError("mine")

    with pytest.raises(AssertionError, match="mine"):
        run(Applied(fails), ITEMS)
