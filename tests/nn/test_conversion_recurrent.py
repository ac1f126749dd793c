"""Recurrent layers of a model that exists: their hidden units are a width, wherever they are read."""

import copy
import random
from functools import cache

import pytest
import torch
from conversions import check_children, outputs
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asng import nn as snn
from asng.errors import InputError


class Tagger(nn.Module):
    """Two layers in both directions, whose dropout is off; what comes is as wide as they are not."""

    def __init__(self, kind=nn.LSTM, **options):
        super().__init__()
        self.tokens = nn.Embedding(9, 12)
        self.rnn = kind(12, 8, 2, bidirectional=True, batch_first=True, dropout=0.5, **options)
        self.head = nn.Linear(16, 3)

    def forward(self, ids):
        return self.head(self.rnn(self.tokens(ids))[0])


class Translator(nn.Module):
    """The decoder begins with the last states of the encoder."""

    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.tokens = nn.Embedding(9, 12)
        self.encoder, self.decoder = kind(12, 8), kind(12, 8)
        self.head = nn.Linear(8, 9)

    def forward(self, ids):
        _, states = self.encoder(self.tokens(ids))
        return self.head(self.decoder(self.tokens(ids.flip(0)), states)[0])


class LastState(nn.Module):
    """Sequences of several lengths, packed; the last state of each direction is read."""

    def __init__(self):
        super().__init__()
        self.tokens, self.rnn = nn.Embedding(9, 12), nn.GRU(12, 8, bidirectional=True)
        self.head, self.each = nn.Linear(16, 3), nn.Linear(16, 2)

    def forward(self, ids):
        packed = pack_padded_sequence(self.tokens(ids), torch.tensor([5, 4, 2]))
        steps, last = self.rnn(packed)
        return self.head(torch.cat([*last], dim=1)), self.each(pad_packed_sequence(steps)[0])


class Residual(nn.Module):
    """Both directions together are as wide as what they are added to; a norm comes behind."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(5, 16), nn.Linear(16, 3)
        self.layers = nn.ModuleList(nn.GRU(16, 8, bidirectional=True, bias=False) for _ in range(2))
        self.norm = nn.LayerNorm(16)

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = x + layer(x)[0]
        return self.head(self.norm(x))


class Convolved(nn.Module):
    """A channel of the images is several features of the sequence; a state is learnt."""

    def __init__(self):
        super().__init__()
        self.conv, self.rnn, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.RNN(4 * 6, 8), nn.Linear(8, 3)
        self.state = nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, x):
        y = torch.relu(self.conv(x)).flatten(1, 2).permute(2, 0, 1)
        return self.head(self.rnn(y, self.state.repeat(1, len(x), 1))[0])


class Tied(nn.Module):
    """A language model: the embedding is the head, so it is as wide as the recurrent layer."""

    def __init__(self):
        super().__init__()
        self.tokens, self.rnn, self.head = nn.Embedding(9, 8), nn.LSTM(8, 8), nn.Linear(8, 9)
        self.head.weight = self.tokens.weight

    def forward(self, ids):
        return self.head(self.rnn(self.tokens(ids))[0])


class Begun(nn.Module):
    """A first state of zeros, of a size that the model keeps, and a view of that size, as in tutorials."""

    def __init__(self):
        super().__init__()
        self.hidden_dim, self.num_layers = 8, 2
        self.rnn, self.head = nn.GRU(5, 8, 2, bidirectional=True), nn.Linear(16, 3)

    def forward(self, x):
        state = torch.zeros(2 * self.num_layers, x.shape[1], self.hidden_dim, dtype=x.dtype)
        steps, _ = self.rnn(x, state)
        return self.head(steps.view(-1, 2 * self.hidden_dim))


class Stepping(nn.Module):
    """Cells step by step: one begins with zeros of its own, the other with those of the model."""

    def __init__(self, kind=nn.LSTMCell, **options):
        super().__init__()
        self.hidden_size, self.both = 8, kind is nn.LSTMCell
        self.first, self.lower, self.upper = nn.Linear(5, 12), kind(12, 8, **options), nn.GRUCell(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        low, state = torch.zeros(x.shape[1], self.hidden_size, dtype=x.dtype), None
        low = (low, low.clone()) if self.both else low
        for step in torch.relu(self.first(x)):
            low = self.lower(step, low)
            state = self.upper(low[0] if self.both else low, state)
        return self.head(state)


def tokens():
    return torch.randint(0, 9, (3, 5))


def long_first():
    return torch.randint(0, 9, (5, 3))


MODELS = {
    "LSTM": (Tagger, tokens, {"tokens": 1, "rnn": 1}),
    "GRU": (lambda: Tagger(nn.GRU), tokens, {"tokens": 1, "rnn": 1}),
    "RNN": (lambda: Tagger(nn.RNN, nonlinearity="relu"), tokens, {"tokens": 1, "rnn": 1}),
    "states": (Translator, tokens, {"tokens": 1, "encoder": 2}),
    "states of a GRU": (lambda: Translator(nn.GRU), tokens, {"tokens": 1, "encoder": 2}),
    "packed": (LastState, long_first, {"tokens": 1, "rnn": 1}),
    "residual": (Residual, lambda: torch.randn(4, 3, 5), {"first": 3}),
    "convolved": (Convolved, lambda: torch.randn(3, 1, 6, 7), {"conv": 1, "rnn": 2}),
    "tied": (Tied, tokens, {"tokens": 2}),
    "cells": (Stepping, lambda: torch.randn(4, 3, 5), {"first": 1, "lower": 2, "upper": 1}),
    "simple cells": (
        lambda: Stepping(nn.RNNCell, bias=False),
        lambda: torch.randn(4, 3, 5),
        {"first": 1, "lower": 2, "upper": 1},
    ),
    "begun": (Begun, lambda: torch.randn(4, 3, 5), {"rnn": 2}),
}
every_model = pytest.mark.parametrize("name", MODELS)


@cache
def converted(name, order=None):
    make, inputs, _ = MODELS[name]
    torch.manual_seed(1)
    model, x = make().eval(), inputs()
    return model, x, snn.searchable(model, x, depth=False, order=order)


@every_model
def test_hidden_units_are_found_with_what_belongs_to_them(name):
    found = converted(name)[-1].conversion.groups
    assert {group.name: len(group.widths) + len(group.numbers) for group in found} == MODELS[name][-1]


@every_model
@pytest.mark.parametrize("order", [None, "outputs", "magnitude"])
def test_children_are_plain_and_compute_what_the_supernet_computes(name, order):
    check_children(*converted(name, order))


def silenced(layer, kept):
    """Have a layer make nought of the channels that are lost: no gate of theirs opens for anything."""
    if isinstance(layer, (nn.RNNBase, nn.RNNCellBase)):
        runs = 2 if getattr(layer, "bidirectional", False) else 1
        gone = ~torch.isin(torch.arange(layer.hidden_size * runs), kept)[: layer.hidden_size]
        rows = {name: gone.repeat(len(w) // len(gone)) for name, w in layer.named_parameters()}
    elif isinstance(layer, nn.Embedding):
        layer.weight[:, ~torch.isin(torch.arange(layer.embedding_dim), kept)] = 0.0
        return
    else:
        rows = {name: ~torch.isin(torch.arange(len(w)), kept) for name, w in layer.named_parameters()}
    for name, gone in rows.items():
        getattr(layer, name)[gone] = 0.0


@pytest.mark.parametrize(
    "name", ["LSTM", "GRU", "RNN", "states", "states of a GRU", "packed", "begun", "cells", "simple cells"]
)
@pytest.mark.parametrize("order", [None, "magnitude"])
def test_a_child_is_the_whole_network_whose_lost_units_are_nought(name, order):
    """Told from outside: a unit all of whose gates get nought stays at nought, and so adds nothing."""
    model, x, supernet = converted(name, order)
    for seed in range(3):
        architecture, whole = supernet.space.sample(random.Random(seed)), copy.deepcopy(model)
        for group in supernet.conversion.groups:
            value = architecture[group.name]
            units = value // group.step if group.is_counted_in_channels else value
            for path, kept in group.made(units).items():
                if path.startswith("hidden"):  # a number of the model
                    continue
                with torch.no_grad():
                    silenced(whole.get_submodule(path), kept)
        child = supernet.extract(architecture, example=x).eval()
        for got, expected in zip(outputs(child, x), outputs(whole, x), strict=True):
            assert torch.allclose(got, expected, atol=1e-6)


def test_a_number_of_the_model_is_that_of_the_child():
    model, x, supernet = converted("begun")
    child = supernet.extract({"rnn": 8}, example=x)  # of both directions
    assert (child.hidden_dim, child.num_layers, child.rnn.hidden_size) == (4, 2, 4)
    assert (model.hidden_dim, copy.deepcopy(supernet).model.hidden_dim) == (8, 8)


def test_a_number_of_steps_is_no_width():
    """A pass without numbers would take eighty thousand steps."""

    class Steps(Begun):
        def __init__(self):
            super().__init__()
            self.hidden_size = 8

        def forward(self, x):
            for _ in range(self.hidden_size):
                x = x + torch.tanh(x)
            return super().forward(x) + torch.zeros(3)

    conversion = snn.searchable(Steps(), torch.randn(4, 3, 5), depth=False).conversion
    assert [[*group.widths, *group.numbers] for group in conversion.groups] == [["rnn", "hidden_dim"]]


def test_units_that_nobody_needs_go_first():
    model, x, _ = converted("LSTM")
    model = copy.deepcopy(model)
    idle = torch.tensor([0, 3, 4, 6])
    with torch.no_grad():
        for name, weight in model.rnn.named_parameters():
            if name.startswith("weight_hh"):
                weight[:, idle] = 0.0
            elif name.startswith("weight_ih_l1"):
                weight[:, idle], weight[:, idle + 8] = 0.0, 0.0
        model.head.weight[:, idle], model.head.weight[:, idle + 8] = 0.0, 0.0
    supernet = snn.searchable(model, x, order="outputs")
    child = supernet.extract({"tokens": 12, "rnn": 8}, example=x).eval()
    assert child.rnn.hidden_size == 4
    assert torch.allclose(child(x), model(x), atol=1e-6)


def test_gradients_reach_the_units_that_are_there():
    _, x, supernet = converted("LSTM")
    supernet.zero_grad()
    supernet(x, architecture={"tokens": 6, "rnn": 6}).square().sum().backward()
    reached = supernet.model.rnn.weight_hh_l1_reverse.grad.unflatten(0, (4, 8)) != 0.0
    assert bool(reached[:, :3, :3].all())
    assert int(reached.sum()) == 4 * 3 * 3


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (lambda self, x: self.head(self.rnn(x)[0].softmax(-1)), "nothing is left for head to read"),
        (
            lambda self, x: self.head(self.rnn(x, torch.zeros(1, x.shape[1], 8))[0]),
            "its first state wants as many as a tensor that no layer makes",
        ),
    ],
)
def test_units_that_are_mixed_or_that_a_state_counts_stay(forward, why):
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(5, 8), nn.Linear(8, 3)

    One.forward = forward
    with pytest.raises(InputError, match=rf"got none in One\..*rnn: .*({why})"):
        snn.searchable(One(), torch.randn(4, 3, 5))


def test_layers_that_are_not_cut_are_told():
    model = nn.Sequential(
        nn.Linear(5, 8), nn.Linear(8, 8), nn.utils.parametrizations.weight_norm(nn.Linear(8, 2))
    )
    fixed = snn.searchable(model, torch.randn(3, 5)).conversion.fixed
    assert "remove_parametrizations" in fixed["2"]

    class Paired(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.pair = nn.Linear(5, 8), nn.Bilinear(8, 8, 3)

        def forward(self, x):
            return self.pair(self.first(x), self.first(x))

    with pytest.raises(InputError, match="pair: Bilinear is not cut"):
        snn.searchable(Paired(), torch.randn(3, 5))
