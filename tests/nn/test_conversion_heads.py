"""Attention that stores its number of heads and their size: whole heads go, and the number goes with them."""

import copy

import pytest
import torch
from conversions import check_children
from torch import nn
from torch.nn import functional

from asng import nn as snn


class Fused(nn.Module):
    """One layer for all three; the number of heads, their size, and their product are stored apart."""

    def __init__(self, heads=6, size=4, *, fused=False):
        super().__init__()
        self.num_heads, self.head_dim, self.attn_dim = heads, size, heads * size
        self.scale, self.fused = size**-0.5, fused
        self.qkv, self.proj = nn.Linear(20, 3 * heads * size), nn.Linear(heads * size, 20)

    def forward(self, x):
        parts = self.qkv(x).reshape(*x.shape[:2], 3, self.num_heads, self.head_dim)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        if self.fused:
            y = functional.scaled_dot_product_attention(q, k, v)
        else:
            y = (q @ k.transpose(-2, -1) * self.scale).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(*x.shape[:2], self.attn_dim))


class Apart(nn.Module):
    """A layer each, and other names; each head has a bias of its own for each pair of positions."""

    def __init__(self, heads=4, size=8):
        super().__init__()
        self.n_head, self.d_head = heads, size
        self.q, self.k, self.v = (nn.Linear(20, heads * size, bias=False) for _ in range(3))
        self.places = nn.Parameter(torch.randn(heads, 5, 5))
        self.proj = nn.Linear(heads * size, 20)

    def _heads(self, x):
        return x.view(len(x), -1, self.n_head, self.d_head).transpose(1, 2)

    def forward(self, x):
        q, k, v = (self._heads(layer(x)) for layer in (self.q, self.k, self.v))
        y = (q @ k.transpose(-2, -1) + self.places).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).flatten(2))


class Embedded(Apart):
    """The biases of heads come from an embedding of distances, and each head has a temperature."""

    def __init__(self):
        super().__init__(heads=6, size=2)
        del self.places
        self.distances, self.temperature = nn.Embedding(9, 6), nn.Parameter(torch.rand(6, 1, 1) + 1.0)

    def forward(self, x):
        q, k, v = (self._heads(layer(x)) for layer in (self.q, self.k, self.v))
        apart = torch.arange(5).unsqueeze(1) - torch.arange(5) + 4
        scores = q @ k.transpose(-2, -1) * self.temperature + self.distances(apart).permute(2, 0, 1)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class Cut(Fused):
    """Queries, keys and values are cut apart by a size that the module stores."""

    def __init__(self, *, sliced):
        super().__init__()
        self.sliced = sliced

    def forward(self, x):
        y, n = self.qkv(x), self.attn_dim
        parts = (y[..., :n], y[..., n : 2 * n], y[..., 2 * n :]) if self.sliced else y.split(n, dim=-1)
        q, k, v = (part.view(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2) for part in parts)
        y = (q @ k.transpose(-2, -1) * self.scale).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(*x.shape[:2], n))


class Biased(Fused):
    """One layer makes queries, keys and values in turn; a tensor and a layer have a place for each head."""

    def __init__(self):
        super().__init__()
        self.slopes, self.gate = nn.Parameter(torch.rand(6)), nn.Linear(20, 6)

    def forward(self, x):
        parts = self.qkv(x).reshape(*x.shape[:2], 3, self.num_heads, self.head_dim)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        apart = (torch.arange(5).unsqueeze(1) - torch.arange(5)).abs()
        y = (q @ k.transpose(-2, -1) * self.scale - self.slopes.view(-1, 1, 1) * apart).softmax(-1) @ v
        y = y.transpose(1, 2) * self.gate(x).sigmoid().unsqueeze(-1)
        return self.proj(y.reshape(*x.shape[:2], self.attn_dim))


class Named(nn.Module):
    """As in BERT: one of the layers is called `value`, and three numbers are stored."""

    def __init__(self, heads=4, size=8):
        super().__init__()
        self.num_attention_heads, self.attention_head_size, self.all_head_size = heads, size, heads * size
        self.query, self.key, self.value = (nn.Linear(20, heads * size) for _ in range(3))
        self.proj = nn.Linear(heads * size, 20)

    def forward(self, x):
        shape = (*x.shape[:2], self.num_attention_heads, self.attention_head_size)
        q, k, v = (getattr(self, name)(x).view(shape).transpose(1, 2) for name in ("query", "key", "value"))
        y = (q @ k.transpose(-2, -1) * self.attention_head_size**-0.5).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(*x.shape[:2], self.all_head_size))


class Odd(Fused):
    """Three heads, fewer than the three blocks of queries, keys and values have parts."""

    def __init__(self):
        super().__init__(heads=3, size=4, fused=True)


class Shared(nn.Module):
    """Several heads of queries share one of keys and values, and both numbers are stored."""

    def __init__(self, heads=8, few=4, size=4):
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_size = heads, few, size
        self.q, self.proj = nn.Linear(20, heads * size), nn.Linear(heads * size, 20)
        self.k, self.v = nn.Linear(20, few * size), nn.Linear(20, few * size)

    def forward(self, x):
        shape = x.shape[:2]
        q = self.q(x).view(*shape, self.num_heads, self.head_size).transpose(1, 2)
        k = self.k(x).view(*shape, self.num_kv_heads, self.head_size).transpose(1, 2)
        v = self.v(x).view(*shape, self.num_kv_heads, self.head_size).transpose(1, 2)
        y = functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return self.proj(y.transpose(1, 2).reshape(*shape, -1))


class Around(nn.Module):
    """Attention in a network, beside a residual path."""

    def __init__(self, attention):
        super().__init__()
        self.first, self.attention, self.head = nn.Linear(6, 20), attention, nn.Linear(20, 3)

    def forward(self, x):
        x = self.first(x)
        return self.head(torch.tanh(x + self.attention(x)))


MAKERS = {
    "fused": (Fused, "qkv", 6),
    "in a fused function": (lambda: Fused(fused=True), "qkv", 6),
    "apart": (Apart, "q", 4),
    "embedded": (Embedded, "q", 6),
    "odd": (Odd, "qkv", 3),
    "split": (lambda: Cut(sliced=False), "qkv", 6),
    "sliced": (lambda: Cut(sliced=True), "qkv", 6),
    "biased": (Biased, "qkv", 6),
    "named": (Named, "query", 4),
}


def converted(attention, **options):
    torch.manual_seed(0)
    model = Around(attention()).eval()
    x = torch.randn(2, 5, 6)
    return model, x, snn.searchable(model, x, depth=False, **options)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("order", [None, "magnitude"])
def test_whole_heads_are_searched_and_the_rest_computes_what_it_did(name, order):
    attention, layer, heads = MAKERS[name]
    model, x, supernet = converted(attention, order=order)
    group = next(g for g in supernet.conversion.groups if g.name == f"attention.{layer}")
    assert (group.units, group.step * heads) == (heads, group.widths[group.name])
    check_children(model, x, supernet)
    v = {"q": "attention.v", "query": "attention.value", "qkv": "attention.qkv"}[layer]
    for units in range(group.least, heads):
        largest = {key: variable.high for key, variable in supernet.space.items()}
        value = units * group.step if group.is_counted_in_channels else units
        child = supernet.extract({**largest, group.name: value}, example=x).eval()
        stored = vars(child.attention)
        assert [stored[key] for key in ("num_heads", "n_head", "num_attention_heads") if key in stored] == [
            units
        ]
        whole = copy.deepcopy(model)
        width = whole.attention.proj.in_features
        gone = ~torch.isin(torch.arange(width), group.made(units)[v] % width)
        if layer == "qkv":  # values come last
            made = group.made(units)[v]
            gone = ~torch.isin(torch.arange(width), made[made >= 2 * width] - 2 * width)
        with torch.no_grad():
            whole.attention.proj.weight[:, gone] = 0.0
        assert torch.allclose(child(x), whole(x), atol=1e-6)


def test_a_head_of_keys_goes_with_the_heads_of_queries_that_read_it():
    model, x, supernet = converted(Shared)
    group = next(g for g in supernet.conversion.groups if g.name == "attention.q")
    assert {"attention.k", "attention.v"} <= group.widths.keys()
    check_children(model, x, supernet)
    child = supernet.extract({key: v.low for key, v in supernet.space.items()}, example=x)
    assert (child.attention.num_heads, child.attention.num_kv_heads) == (2, 1)


def test_a_number_of_heads_that_decides_how_wide_they_are_stays():
    """As in most models: what is left is divided among as many heads as before."""

    class Divided(Fused):
        def forward(self, x):
            q, k, v = self.qkv(x).reshape(*x.shape[:2], 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
            y = (q @ k.transpose(-2, -1) * self.scale).softmax(-1) @ v
            return self.proj(y.transpose(1, 2).flatten(2))

    model, x, supernet = converted(lambda: Divided(heads=5, size=4))
    group = next(g for g in supernet.conversion.groups if g.name == "attention.qkv")
    assert not group.numbers
    check_children(model, x, supernet)
    child = supernet.extract({key: v.low for key, v in supernet.space.items()}, example=x)
    assert child.attention.num_heads == 5
    assert child.attention.qkv.out_features == 15


class Split(nn.Module):
    """As in nanoGPT: one layer for all three is split to a stored width."""

    def __init__(self, *, scale):
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(20, 60), nn.Linear(20, 20)
        self.n_head, self.n_embd, self.scale = 5, 20, scale

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (
            part.view(b, t, self.n_head, c // self.n_head).transpose(1, 2)
            for part in self.c_attn(x).split(self.n_embd, dim=2)
        )
        y = (q @ k.transpose(-2, -1) * self.scale(k)).softmax(-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, c))


SCALES = {
    "by its size": (lambda k: k.shape[-1] ** -0.5, (2, 8)),
    "by a number": (lambda k: 0.5, (5, 5)),
}


@pytest.mark.parametrize("scale", SCALES)
def test_a_layer_that_is_split_to_a_stored_width_is_narrowed(scale):
    """Heads lose channels, unless the code scales by their number: then whole heads go."""
    factor, sizes = SCALES[scale]
    model, x, supernet = converted(lambda: Split(scale=factor))
    (group,) = supernet.conversion.groups
    check_children(model, x, supernet)
    child = supernet.extract({"first": group.variable.low}, example=x).eval()
    assert (child.attention.n_head, child.attention.n_embd) == sizes
    whole, made = copy.deepcopy(model), group.made(group.least)
    gone = ~torch.isin(torch.arange(20), made["first"])
    with torch.no_grad():
        for layer in (whole.first, whole.attention.c_proj):
            layer.weight[gone], layer.bias[gone] = 0.0, 0.0
        rows = ~torch.isin(torch.arange(60), made["attention.c_attn"])
        whole.attention.c_attn.weight[rows], whole.attention.c_attn.bias[rows] = 0.0, 0.0
        values = ~torch.isin(torch.arange(40, 60), made["attention.c_attn"])
        whole.attention.c_proj.weight[:, values] = 0.0
    torch.testing.assert_close(child(x), whole(x))
