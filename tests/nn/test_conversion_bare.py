"""Layers whose weights the model's code reads without calling them: they are narrowed with what they meet."""

import copy

import pytest
import torch
from conversions import check_children
from torch import nn
from torch.nn import functional

from asng import nn as snn


class Language(nn.Module):
    """Its last layer is its embedding, which is also called."""

    def __init__(self, read):
        super().__init__()
        self.embed, self.read = nn.Embedding(9, 16), read
        self.up, self.down = nn.Linear(16, 24), nn.Linear(24, 16)

    def forward(self, ids):
        x = self.embed(ids)
        return self.read(x + self.down(self.up(x).relu()), self.embed.weight)


class Biases(nn.Module):
    """As in BEiT: queries, keys and values have biases of their own."""

    def __init__(self, width=24, heads=4, *, normed=False):
        super().__init__()
        self.num_heads, self.normed = heads, normed
        self.qkv, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.q_bias, self.v_bias = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))
        self.register_buffer("k_bias", torch.zeros(width))
        self.scales = nn.Parameter(torch.rand(heads, 1, 1) + 3.0)

    def forward(self, x):
        bias = torch.cat((self.q_bias, self.k_bias, self.v_bias))
        y = functional.linear(input=x, weight=self.qkv.weight, bias=bias)
        q, k, v = y.reshape(*x.shape[:2], 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        if self.normed:  # as in Swin v2; a head cannot lose some of its channels
            q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        y = (q @ k.transpose(-2, -1) * self.scales).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(x.shape))


class Residual(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.first, self.attention, self.last = nn.Linear(6, 24), attention, nn.Linear(24, 3)

    def forward(self, x):
        x = self.first(x)
        return self.last(x + self.attention(x))


class Turned(nn.Module):
    """Rotary positions, which fix the size of a head, and a view as wide as the residual path."""

    def __init__(self):
        super().__init__()
        self.num_heads = 4
        self.qkv, self.proj = nn.Linear(24, 72), nn.Linear(24, 24)
        self.register_buffer("turns", torch.randn(5, 6))

    def forward(self, x):
        q, k, v = self.qkv(x).reshape(*x.shape[:2], 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k = q * self.turns, k * self.turns
        y = functional.scaled_dot_product_attention(query=q, key=k, value=v)
        return self.proj(y.transpose(1, 2).reshape(*x.shape))


class Pictures(nn.Module):
    """A convolution whose weight is doubled before it is used."""

    def __init__(self):
        super().__init__()
        self.first, self.bare = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3, bias=False)
        self.last = nn.Linear(12, 2)

    def forward(self, x):
        y = functional.conv2d(self.first(x).relu(), self.bare.weight * 2.0)
        return self.last(y.mean((2, 3)))


READS = {
    "linear": functional.linear,
    "by name": lambda x, weight: functional.linear(input=x, weight=weight),
    "transposed": lambda x, weight: x @ weight.T,
    "matmul": lambda x, weight: torch.matmul(x, weight.transpose(0, 1)),
    "einsum": lambda x, weight: torch.einsum("btc, vc -> btv", x, weight),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("order", [None, "magnitude"])
def test_an_embedding_that_is_also_the_last_layer_is_narrowed(read, order):
    torch.manual_seed(0)
    model, ids = Language(READS[read]).eval(), torch.randint(0, 9, (2, 5))
    supernet = snn.searchable(model, ids, depth=False, order=order)
    group = next(g for g in supernet.conversion.groups if g.name == "embed")
    assert list(group.widths) == ["embed", "down"]
    check_children(model, ids, supernet)
    for units in range(group.least, group.units):
        whole, gone = copy.deepcopy(model), ~torch.isin(torch.arange(16), group.made(units)["embed"])
        with torch.no_grad():
            whole.embed.weight[:, gone] = 0.0
            whole.down.weight[gone], whole.down.bias[gone] = 0.0, 0.0
        child = supernet.extract({"embed": units * group.step, "up": 24}, example=ids).eval()
        assert child.embed.embedding_dim == units * group.step
        torch.testing.assert_close(child(ids), whole(ids))


def test_gradients_reach_an_embedding_from_both_of_its_uses():
    torch.manual_seed(0)
    model, ids = Language(functional.linear), torch.tensor([[0, 1]])
    supernet = snn.searchable(model, ids.expand(2, -1), depth=False)
    supernet(ids, architecture={"embed": 8, "up": 24}).square().sum().backward()
    grad = supernet.model.embed.weight.grad
    assert bool((grad[:, :8] != 0.0).all())
    assert bool((grad[:, 8:] == 0.0).all())


MADE = {
    "biases": (lambda: Residual(Biases()), (2, 5, 6), "first"),
    "normed": (lambda: Residual(Biases(normed=True)), (2, 5, 6), "first"),
    "turned": (lambda: Residual(Turned()), (2, 5, 6), "first"),
    "convolution": (Pictures, (2, 3, 7, 7), "first"),
}


@pytest.mark.parametrize("name", MADE)
def test_what_meets_a_weight_that_is_read_is_narrowed(name):
    torch.manual_seed(0)
    make, shape, first = MADE[name]
    model, x = make().eval(), torch.randn(shape)
    supernet = snn.searchable(model, x, depth=False)
    group = supernet.conversion.groups[0]
    assert group.name == first
    check_children(model, x, supernet)
    child = supernet.extract({key: v.low for key, v in supernet.space.items()}, example=x)
    for path, layer in child.named_modules():  # attributes say what the weights are
        if isinstance(layer, nn.Linear):
            assert layer.weight.shape == (layer.out_features, layer.in_features), path
    if name in ("normed", "turned"):
        assert (child.attention.num_heads, child.first.out_features) == (1, 6)
