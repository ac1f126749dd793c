"""The most important channels come first: the whole network stays, and a child keeps what matters."""

import copy
import random
from functools import cache

import pytest
import torch
from test_conversion import MODELS, Attention, Block, Branches, Fused, alike, largest, outputs
from test_conversion_parameters import MODELS as OF_TENSORS
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from asng import nn as snn
from asng import supervised
from asng.errors import InputError
from asng.nn.conversion import cut_of, numbers_in, roles_in, shaken
from asng.nn.inputs import calls_of

KINDS = ("outputs", "taylor", "activation", "magnitude")


def total(outputs, batch):
    """Some loss of whatever a model gives."""
    return sum(t.square().mean() for t in snn_tensors(outputs) if t.is_floating_point())


def snn_tensors(value):
    return list(value.values()) if isinstance(value, dict) else [value]


def loss(forward, batch):
    return total(forward(batch), batch)


def importance(kind, inputs):
    torch.manual_seed(3)
    return snn.Importance(kind, [inputs() for _ in range(2)], loss)


@cache
def ordered(name, kind="outputs"):
    make, inputs, _ = MODELS[name]
    torch.manual_seed(1)
    model, x = make(), inputs()
    return model, x, snn.searchable(model, x, order=importance(kind, inputs))


every_model = pytest.mark.parametrize("name", MODELS)


@every_model
def test_the_whole_network_is_the_same_to_the_bit(name):
    model, x, supernet = ordered(name)
    child = supernet.extract(largest(supernet), example=x)
    for path, value in child.state_dict().items():
        assert torch.equal(value, model.state_dict()[path])
    before = outputs(copy.deepcopy(model).train(), x)
    for got, expected in zip(
        outputs(supernet.train(), x, architecture=largest(supernet)), before, strict=True
    ):
        assert torch.equal(got, expected)


@every_model
def test_the_same_widths_are_searched_as_without_an_order(name):
    _, _, supernet = ordered(name)
    assert {
        group.name: len(group.widths) + len(group.numbers) for group in supernet.conversion.groups
    } == MODELS[name][-1]
    assert all(group.ranks is not None for group in supernet.conversion.groups)


@every_model
def test_a_child_is_the_whole_network_whose_unimportant_channels_nobody_reads(name):
    """It has the weights that the proof leaves of the whole network, on inputs that it was not proved on."""
    model, x, supernet = ordered(name)
    torch.manual_seed(7)
    calls = calls_of(model, MODELS[name][1]())
    whole, twice = shaken(model, calls)
    for seed in range(3):
        architecture = supernet.space.sample(random.Random(seed))
        made = {}
        for group in supernet.conversion.groups:
            value = architecture[group.name]
            made |= group.made(value // group.step if group.is_counted_in_channels else value)
        layers = roles_in(whole)
        numbers = numbers_in(whole, layers)
        cut = cut_of(whole, twice, layers | numbers, made)
        child = supernet.extract(architecture, example=x)
        for path, kept in made.items():
            if path in numbers:
                assert getattr(child, path) == len(kept)
                continue
            layer, small = model.get_submodule(path), child.get_submodule(path)
            rows = layer.weight[:, kept] if isinstance(layer, nn.Embedding) else layer.weight
            if path in cut.read:
                rows = rows.index_select(0 if isinstance(layer, nn.ConvTranspose2d) else 1, cut.read[path])
            if not isinstance(layer, nn.Embedding):
                rows = rows.index_select(1 if isinstance(layer, nn.ConvTranspose2d) else 0, kept)
            assert torch.equal(small.weight, rows)


def idle(kind):
    """A block half of whose inner channels are read with weight zero, and its input."""
    torch.manual_seed(4)
    block = Block(8, 8, norm=nn.BatchNorm2d)
    gone = torch.tensor([0, 2, 3, 6])
    with torch.no_grad():
        block.conv2.weight[:, gone] = 0.0
        if kind == "magnitude":
            block.conv1.weight[gone] = 0.0
    return nn.Sequential(block, nn.Flatten(), nn.Linear(8 * 16, 3)), torch.randn(6, 8, 4, 4), gone


@pytest.mark.parametrize("kind", KINDS)
def test_channels_that_nobody_needs_go_first(kind):
    model, x, gone = idle(kind)
    batches = [torch.randn(6, 8, 4, 4) for _ in range(3)]
    supernet = snn.searchable(model, x, order=snn.Importance(kind, batches, loss))
    group = next(g for g in supernet.conversion.groups if g.name == "0.conv1")
    assert set(group.made(4)["0.conv1"].tolist()).isdisjoint(gone.tolist())
    child = supernet.extract({**largest(supernet), "0.conv1": 4}, example=x)
    assert alike(outputs(child.train(), x), outputs(copy.deepcopy(model).train(), x), atol=1e-5)


def last_first(path, layer):
    """An order of a user's own."""
    channels = layer.weight.shape[int(isinstance(layer, nn.Embedding) or hasattr(layer, "given"))]
    return torch.arange(float(channels))


@pytest.mark.parametrize("name", OF_TENSORS)
@pytest.mark.parametrize("kind", ["outputs", "activation", "magnitude", last_first])
def test_tensors_that_are_no_layers_go_in_the_order_of_their_width(kind, name):
    make, inputs, _ = OF_TENSORS[name]
    torch.manual_seed(2)
    model, x = make().eval(), inputs()
    supernet = snn.searchable(model, x, order=kind, depth=False).eval()
    architecture = {key: v.low for key, v in supernet.space.items()}
    child = supernet.extract(architecture, example=x).eval()
    for got, expected in zip(outputs(child, x), outputs(supernet, x, architecture=architecture), strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("kind", ["outputs", "activation", "magnitude"])
def test_the_example_does_for_the_batches(kind):
    model, x, gone = idle(kind)
    supernet = snn.searchable(model, x, order=kind)
    group = next(g for g in supernet.conversion.groups if g.name == "0.conv1")
    assert set(group.made(4)["0.conv1"].tolist()).isdisjoint(gone.tolist())


def test_the_order_is_that_of_the_loss_without_each_channel():
    """Of a linear network the first order is exact: the change of the outputs is the oracle."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3, bias=False))
    model[0].weight.data *= torch.tensor([1.0, 9.0, 3.0, 27.0, 0.1, 0.3])[:, None]
    model[0].bias.data *= torch.tensor([1.0, 9.0, 3.0, 27.0, 0.1, 0.3])
    batches = [torch.randn(500, 4) for _ in range(4)]
    group = snn.searchable(model, batches[0][:2], order=snn.Importance(batches=batches)).conversion.groups[0]
    x, changes = torch.cat(batches), []
    for channel in range(6):
        less = copy.deepcopy(model)
        less[1].weight.data[:, channel] = 0.0
        changes.append(sum(t.square().sum() for t in outputs(lambda x, less=less: model(x) - less(x), x)))
    assert list(group.ranks) == torch.stack(changes).argsort(descending=True).argsort().tolist()


def test_heads_move_as_a_whole():
    """The second of four heads is made idle; it goes first, though its channels lie within the layer."""

    class One(nn.Module):
        def __init__(self, kv):
            super().__init__()
            self.inside, self.layer, self.head = nn.Linear(3, 16), Attention(kv=kv), nn.Linear(16, 2)

        def forward(self, x):
            return self.head(self.layer(self.inside(x)))

    torch.manual_seed(5)
    model, x = One(16), torch.randn(4, 5, 3)
    with torch.no_grad():
        model.layer.o.weight[:, 4:8] = 0.0
    group = snn.searchable(model, x, only="layer.q", order="outputs").conversion.groups[0]
    assert len(group.ranks) == group.units == 4
    assert group.made(3)["layer.q"].tolist() == [*range(4), *range(8, 16)]

    model = One(8)  # two heads of queries share one of keys and values
    with torch.no_grad():
        model.layer.o.weight[:, :8] = 0.0
    group = snn.searchable(model, x, only="layer.q", order="outputs").conversion.groups[0]
    assert len(group.ranks) == 2
    assert {path: kept.tolist() for path, kept in group.made(1).items()} == {
        "layer.q": list(range(8, 16)),
        "layer.k": list(range(4, 8)),
        "layer.v": list(range(4, 8)),
    }


def test_places_within_heads_are_the_same_in_all_of_them():
    """Queries, keys and values of one layer, two heads: a channel goes or stays in all six blocks."""
    torch.manual_seed(6)
    model, x = Fused(), torch.randn(4, 5, 8)
    group = snn.searchable(model, x, only="qkv", order="outputs").conversion.groups[0]
    parts = group.parts("qkv").reshape(group.blocks, -1)
    assert group.blocks > 1
    assert bool((parts == parts[0]).all())
    assert sorted(group.ranks) == list(range(len(group.ranks)))


def test_columns_side_by_side_are_followed():
    torch.manual_seed(8)
    model, x = Branches(), torch.randn(3, 3, 8, 8)
    gone = torch.tensor([1, 4, 5, 7])
    with torch.no_grad():
        for reader in (model.deep, model.out):
            reader.weight[:, gone] = 0.0
        model.head.weight[:, 8 + gone] = 0.0
    supernet = snn.searchable(model, x, order="outputs")
    group = next(g for g in supernet.conversion.groups if g.name == "down")
    assert set(group.made(4)["down"].tolist()) == {0, 2, 3, 6}
    child = supernet.extract({**largest(supernet), "down": 4}, example=x)
    assert alike(outputs(child.train(), x), outputs(copy.deepcopy(model).train(), x), atol=1e-5)


def test_a_function_says_what_matters():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(2, 4)
    wanted = torch.tensor([0.0, 5.0, 1.0, 7.0, 2.0, 3.0, 4.0, 6.0])
    supernet = snn.searchable(model, x, order=lambda path, layer: wanted)
    child = supernet.extract({"0": 3}, example=x)
    assert torch.equal(child[0].weight, model[0].weight[[1, 3, 7]])


def test_the_table_says_which_widths_are_in_order():
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(2, 4)
    lines = [
        str(snn.searchable(model, x, order=order).conversion).splitlines() for order in (None, "magnitude")
    ]
    assert [line[1].split(maxsplit=1)[1] for line in lines] == ["2 to 8 by 1", "2 to 8 by 1, best first"]


def test_an_order_by_position_leaves_the_layers_as_cheap_as_without_one():
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(2, 4)
    falling = snn.searchable(model, x, order=lambda path, layer: -torch.arange(8.0))
    assert [type(layer) for layer in falling.model] == [snn.Linear, nn.ReLU, snn.Linear]


def test_a_model_is_left_as_it_was():
    model, x, _ = idle("outputs")
    model.train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    snn.searchable(model, x, order="outputs")
    assert all(torch.equal(value, before[path]) for path, value in model.state_dict().items())
    assert all(part.training for part in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def pairs():
    return [(torch.randn(4, 4), torch.randint(0, 3, (4,)))]


def two_layers():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("order", "match"),
    [
        (lambda: "size", "kind: expected one of outputs, taylor, activation, magnitude, got 'size'"),
        (lambda: 3, "order: expected one of outputs, .* got 3"),
        (lambda: "taylor", "loss: expected a function of .forward, batch. for kind='taylor', got None"),
        (lambda: snn.Importance(loss=loss), "batches: expected the batches to call the loss with, got None"),
        (lambda: snn.Importance(batches=[]), "batches: expected at least one, got none"),
        (lambda: snn.Importance(batches=pairs()), "batches: expected the model to run on each, got: .* loss"),
        (lambda: snn.Importance(at_most=0), "at_most: expected"),
        (lambda: snn.Importance("taylor", pairs(), 3), "loss: expected a function of .* got 3"),
        (
            lambda: snn.Importance("taylor", pairs(), lambda f, b: f(b[0]).detach().sum()),
            "expected a loss with derivatives, got",
        ),
        (
            lambda: lambda path, layer: torch.ones(3),
            r"order: expected a tensor of shape \(8,\) for 0, .* got \(3,\)",
        ),
        (lambda: lambda path, layer: torch.full((8,), torch.nan), "order: expected finite numbers for 0"),
    ],
)
def test_wrong_input_is_told(order, match):
    with pytest.raises(InputError, match=match):
        snn.searchable(two_layers(), torch.randn(2, 4), order=order())


def test_losses_of_the_library_say_how_a_batch_goes_through():
    order = snn.Importance("taylor", pairs(), supervised(cross_entropy))
    assert snn.searchable(two_layers(), torch.randn(2, 4), order=order).conversion.groups[0].ranks


class Checkpointed(nn.Module):
    """A network that keeps no activations of its middle, but runs it again for the gradient."""

    def __init__(self, again):
        super().__init__()
        self.first, self.middle = nn.Linear(4, 16), nn.Sequential(nn.Linear(16, 16), nn.ReLU())
        self.head, self.again = nn.Linear(16, 3), again

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = checkpoint(self.middle, x, use_reentrant=False) if self.again else self.middle(x)
        return self.head(x)


def test_activation_checkpoints_do_not_change_which_channels_matter():
    kept = []
    for again in (False, True):
        torch.manual_seed(0)
        model = Checkpointed(again)
        order = snn.Importance("outputs", [torch.randn(16, 4) for _ in range(2)])
        supernet = snn.searchable(model, torch.randn(4, 4), order=order)
        kept.append([group.made(2) for group in supernet.conversion.groups])
    assert len(kept[0]) == 2
    for one, other in zip(*kept, strict=True):
        assert all(torch.equal(one[path], other[path]) for path in one)
