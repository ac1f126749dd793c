"""The peak of a forward pass is what one adds up by hand."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from asng.costs import activation_memory
from asng.costs.places import meta_copy

FLOAT = 4


class Keeps(nn.Module):
    """Holds the outputs of all its layers to the end."""

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        outputs = [x]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        return outputs[-1]


widths = st.lists(st.integers(1, 9), min_size=2, max_size=6)


def linear_layers(sizes):
    return [nn.Linear(a, b) for a, b in pairwise(sizes)]


@pytest.mark.parametrize("where", ["cpu", "meta"])
@given(sizes=widths, batch=st.integers(1, 5))
def test_a_chain_needs_its_input_and_two_neighbours_at_once(where, sizes, batch):
    model, x = nn.Sequential(*linear_layers(sizes)), torch.ones(batch, sizes[0])
    if where == "meta":
        model, x = meta_copy(model), x.to("meta")
    pairs = [a + b for a, b in pairwise(sizes[1:])]  # besides the input, which stays
    assert activation_memory(model, (x,)) == FLOAT * batch * (sizes[0] + max([sizes[1], *pairs]))


@given(sizes=widths, batch=st.integers(1, 5))
def test_what_a_network_holds_on_to_adds_up(sizes, batch):
    model = Keeps(linear_layers(sizes))
    assert activation_memory(model, (torch.ones(batch, sizes[0]),)) == FLOAT * batch * sum(sizes)


@pytest.mark.parametrize(
    "free", [nn.ReLU(inplace=True), nn.Flatten(), nn.Unflatten(1, (5, 1)), nn.Identity()]
)
def test_views_and_changes_in_place_add_nothing(free):
    bare = activation_memory(Keeps([nn.Linear(3, 5)]), (torch.ones(2, 3),))
    assert (
        activation_memory(Keeps([nn.Linear(3, 5), free]), (torch.ones(2, 3),)) == bare == 2 * (3 + 5) * FLOAT
    )


def test_an_output_of_many_parts_counts_each_once():
    class Parts(nn.Module):
        def forward(self, pair):
            left, right = pair["x"].chunk(2)  # views
            values, indices = left.max(dim=1)
            return values, indices, right

    x = torch.ones(4, 6)
    assert activation_memory(Parts(), ({"x": x, "again": [x]},)) == 24 * FLOAT + 2 * FLOAT + 2 * 8


def test_weights_and_their_views_count_nothing():
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(100, 100))
            self.register_buffer("kept", torch.ones(50))

        def forward(self, x):
            return x * self.weight.t()[0, :1] + self.kept[:1]

    assert activation_memory(Table(), (torch.ones(8),)) == 3 * 8 * FLOAT


def test_half_precision_needs_half():
    model, x = nn.Sequential(nn.ReLU(), nn.Linear(64, 8)), torch.ones(2, 64)
    full = activation_memory(model, (x,))
    assert activation_memory(model.bfloat16(), (x.bfloat16(),)) == full / 2
