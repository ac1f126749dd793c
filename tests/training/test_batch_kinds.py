"""A batch may be anything: a search and what follows it runs with each kind, also under costs."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils.data import DataLoader

from asng.costs import Budget
from asng.nn import Choice, Supernet
from asng.search import OneShotSearch
from asng.space import Architecture
from asng.training import recalibrate, score
from asng.training.inputs import by_position, example_inputs

LENGTHS = torch.randint(2, 7, (24,), generator=torch.Generator().manual_seed(1)).tolist()
SEQUENCES = [torch.randn(n, 3, generator=torch.Generator().manual_seed(i)) for i, n in enumerate(LENGTHS)]


def stacked(items):
    return torch.stack([x[:2].mean(dim=0) for x in items])


def target(x):
    return x.sum(dim=-1, keepdim=True)


class Dense(nn.Module):
    """Of a tensor (batch, 3)."""

    def __init__(self):
        super().__init__()
        wide = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.Linear(16, 1))
        self.op = Choice({"narrow": nn.Linear(3, 1), "wide": wide}, label="op")

    def forward(self, x):
        return self.op(x)


class OfDict(Dense):
    def forward(self, batch):
        return self.op(batch["x"])


class OfList(Dense):
    """Of a list of sequences of any length."""

    def forward(self, sequences):
        return self.op(torch.stack([x.mean(dim=0) for x in sequences]))


class OfPacked(nn.Module):
    """Of a packed sequence."""

    def __init__(self):
        super().__init__()
        self.op = Choice({"narrow": nn.GRU(3, 1), "wide": nn.GRU(3, 16)}, label="op")

    def forward(self, packed):
        return self.op(packed)[1][-1].sum(dim=1, keepdim=True)


def squared(output, expected):
    return (output - expected).square().mean()


# Kind of batch: model, collation, loss
KINDS = {
    "tensor": (Dense, stacked, lambda f, b: squared(f(b), target(b))),
    "tuple": (
        Dense,
        lambda items: (stacked(items), target(stacked(items))),
        lambda f, b: squared(f(b[0]), b[1]),
    ),
    "dictionary": (
        Dense,
        lambda items: {"x": stacked(items), "y": target(stacked(items)), "names": ["a"] * len(items)},
        lambda f, b: squared(f(b["x"]), b["y"]),
    ),
    "dictionary by name": (
        Dense,
        lambda items: {"x": stacked(items)},
        lambda f, b: squared(f(**b), target(b["x"])),
    ),
    "whole dictionary": (
        OfDict,
        lambda items: {"x": stacked(items)},
        lambda f, b: squared(f(b), target(b["x"])),
    ),
    "ragged list": (
        OfList,
        list,
        lambda f, b: squared(f(b), target(torch.stack([x.mean(dim=0) for x in b]))),
    ),
    "packed sequence": (
        OfPacked,
        lambda items: pack_sequence(items, enforce_sorted=False),
        lambda f, b: squared(f(b), torch.ones(len(b.unsorted_indices), 1)),
    ),
}


def loader(collate):
    return DataLoader(SEQUENCES, batch_size=6, shuffle=True, collate_fn=collate)


@pytest.mark.parametrize("rule", ["loss", "minimize", "maximize"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_search_and_what_follows_it_runs(kind, rule):
    model, collate, loss = KINDS[kind]
    torch.manual_seed(0)
    supernet = Supernet(model())
    rules = {} if rule == "loss" else {rule: lambda forward, batch: loss(forward, batch).item()}
    costs = [
        Budget(measure, limit=1e9)
        for measure in ("parameters", "multiply_adds", "activation_memory", "latency")
    ]
    search = OneShotSearch(supernet, loss, cost=costs, **rules)
    result = search.fit(loader(collate), loader(collate), epochs=3, progress=False)
    assert result.steps == 12
    assert result.cost.keys() == {"parameters", "multiply_adds", "activation_memory", "latency"}
    assert all(value > 0 for value in result.cost.values())
    assert score(result.child, loader(collate), loss) > 0
    recalibrate(result.child, loader(collate), loss=loss)
    if result.architecture["op"] == "wide" and model is not OfPacked:
        assert result.child.op[1].num_batches_tracked == 4


@pytest.mark.parametrize("kind", KINDS)
def test_example_inputs_are_what_the_loss_gives(kind):
    model, collate, loss = KINDS[kind]
    supernet = Supernet(model())
    calls = example_inputs(supernet, Architecture({"op": "wide"}), loss, loader(collate))
    given = by_position(supernet, calls[0])[0]
    expected = {"whole dictionary": dict, "ragged list": list, "packed sequence": PackedSequence}
    assert isinstance(given, expected.get(kind, torch.Tensor))


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_of_unequal_batches_is_that_of_all_items(kind):
    model, collate, loss = KINDS[kind]
    torch.manual_seed(0)
    child = Supernet(model()).extract({"op": "narrow"}).eval()
    whole = DataLoader(SEQUENCES, batch_size=24, collate_fn=collate)
    parts = DataLoader(SEQUENCES, batch_size=7, collate_fn=collate)
    assert score(child, parts, loss) == pytest.approx(score(child, whole, loss), rel=1e-5)


def test_the_costs_of_batches_of_any_length_are_those_of_the_first():
    torch.manual_seed(0)
    _, collate, loss = KINDS["packed sequence"]
    batches = loader(collate)
    result = OneShotSearch(
        Supernet(OfPacked()), loss, cost=Budget("multiply_adds", limit=1e9), warmup=0.0
    ).fit(batches, batches, epochs=2, progress=False)
    hidden = {"narrow": 1, "wide": 16}[result.architecture["op"]]
    tokens = result.cost["multiply_adds"] / (3 * hidden * (3 + hidden))
    assert tokens == int(tokens)
    assert 6 * 2 <= tokens <= 6 * 6


def test_an_example_of_ones_own_decides_what_is_counted():
    torch.manual_seed(0)
    _, collate, loss = KINDS["tensor"]
    for example, items in ((torch.ones(1, 3), 1), ((torch.ones(5, 3),), 5)):
        search = OneShotSearch(
            Supernet(Dense()), loss, cost=Budget("multiply_adds", limit=1e9), example=example
        )
        result = search.fit(loader(collate), epochs=1, progress=False)
        assert result.cost["multiply_adds"] == items * (3 if result.architecture["op"] == "narrow" else 64)


def test_a_packed_example_is_one_input():
    torch.manual_seed(0)
    _, collate, loss = KINDS["packed sequence"]
    search = OneShotSearch(
        Supernet(OfPacked()),
        loss,
        cost=Budget("parameters", limit=1e9),
        example=pack_sequence([torch.ones(4, 3)]),
    )
    result = search.fit(loader(collate), epochs=1, progress=False)
    assert result.cost["parameters"] == sum(p.numel() for p in result.child.parameters())
