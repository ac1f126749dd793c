"""Blocks of a model that exists can be left out: which ones is proved, and a child has fewer of them."""

import copy
import pickle
import random
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn

from asng import nn as snn
from asng.errors import InputError
from asng.nn.conversion import with_depths
from asng.nn.conversion.depth import reduced
from asng.nn.inputs import tensors_of


class Block(nn.Module):
    """Of a residual network, its activation behind the sum."""

    def __init__(self, width=4, out=4, stride=1):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, out, 3, stride, 1), nn.BatchNorm2d(out)
        self.conv2, self.norm2 = nn.Conv2d(out, out, 3, 1, 1), nn.BatchNorm2d(out)
        self.short = nn.Identity() if width == out else nn.Conv2d(width, out, 1, stride)

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.short(x))


def images():
    return torch.randn(3, 3, 8, 8)


def residual():
    stem, pool = (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    first, second = nn.Sequential(Block(), Block()), nn.Sequential(Block(4, 8, 2), Block(8, 8), Block(8, 8))
    return nn.Sequential(stem, first, second, pool, nn.Linear(8, 2))


def flat():
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)]
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Block(), Block(), Block(4, 8), Block(8, 8), *tail)


class Layer(nn.Module):
    """Of a language model."""

    def __init__(self, *, post=False, several=False):
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(6), nn.Linear(6, 8), nn.Linear(8, 6)
        self.post, self.several = post, several

    def forward(self, hidden, mask=None):
        if self.post:
            return self.norm(hidden + self.outer(torch.tanh(self.inner(hidden))))
        hidden = hidden + self.outer(torch.tanh(self.inner(self.norm(hidden))))
        return (hidden, mask) if self.several else hidden


class Encoder(nn.Module):
    def __init__(self, make, *, way="each", n=3, norm=True):
        super().__init__()
        self.tokens, self.norm = nn.Embedding(9, 6), nn.LayerNorm(6) if norm else nn.Identity()
        self.layers = nn.ModuleList(make(number) for number in range(n))
        self.scales, self.way = [1.0, 0.5, 2.0][:n], way
        self.head = nn.Linear(6, 3)

    def forward(self, ids):
        x = self.norm(self.tokens(ids))
        if self.way == "each":
            for layer in self.layers:
                x = layer(x)
        elif self.way == "slice":
            for layer in self.layers[: len(self.scales)]:
                x = layer(x)
        elif self.way == "tuple":
            for layer in self.layers:
                x, _ = layer(hidden=x, mask=None)
        elif self.way == "by number":
            for number in range(3):
                x = self.layers[number](x)
        elif self.way == "parts":
            for inner, outer in self.layers:
                x = x + outer(torch.tanh(inner(x)))
        elif self.way == "sum outside":
            for layer in self.layers:
                x = x + layer(x)
        elif self.way == "zipped":
            for layer, scale in zip(self.layers, self.scales, strict=False):
                x = layer(x / scale) * scale
        return {"logits": self.head(x)}


def tokens():
    return torch.randint(0, 9, (3, 5))


def parts(_):
    return nn.ModuleList([nn.Linear(6, 8), nn.Linear(8, 6)])


def plain(_):
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 6))


MODELS = {
    "stages": (residual, images, {"1.depth": (1, ["1.0", "1.1"]), "2.depth": (0, ["2.1", "2.2"])}),
    "a row of all": (flat, images, {"2-3.depth": (0, ["2", "3"]), "5-5.depth": (0, ["5"])}),
    "norm before": (lambda: Encoder(lambda _: Layer()), tokens, {"layers.depth": 3}),
    "norm behind": (lambda: Encoder(lambda _: Layer(post=True)), tokens, {"layers.depth": 3}),
    "norm behind, none before": (
        lambda: Encoder(lambda _: Layer(post=True), norm=False),
        tokens,
        {"layers.depth": (0, ["layers.1", "layers.2"])},
    ),
    "a slice": (lambda: Encoder(lambda _: Layer(), way="slice"), tokens, {"layers.depth": 3}),
    "tuples": (lambda: Encoder(lambda _: Layer(several=True), way="tuple"), tokens, {"layers.depth": 3}),
    "by number": (lambda: Encoder(lambda _: Layer(), way="by number"), tokens, {"layers.depth": 3}),
    "parts": (lambda: Encoder(parts, way="parts"), tokens, {"layers.depth": 3}),
    "sum outside": (lambda: Encoder(plain, way="sum outside"), tokens, {"layers.depth": 3}),
    "zipped": (lambda: Encoder(lambda _: Layer(), way="zipped"), tokens, {"layers.depth": 3}),
}
WITH_WIDTHS = ("stages", "a row of all", "norm before", "tuples")
every_model = pytest.mark.parametrize("name", MODELS)


@cache
def converted(name):
    make, inputs, _ = MODELS[name]
    torch.manual_seed(1)
    model, x = make().eval(), inputs()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
    only = () if name in WITH_WIDTHS else "layers"
    return model, x, snn.searchable(model, x, only=only)


def outputs(function, *args, **kwargs):
    with torch.no_grad():
        return list(tensors_of(function(*args, **kwargs)))


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@every_model
def test_blocks_that_add_to_what_they_are_given_are_found(name):
    found = converted(name)[-1].conversion.depths
    expected = {
        group: value if isinstance(value, tuple) else (1, [f"layers.{i}" for i in range(value)])
        for group, value in MODELS[name][-1].items()
    }
    assert {group.name: (group.least, group.paths()) for group in found} == expected


@every_model
def test_children_are_plain_and_compute_what_the_supernet_computes(name):
    model, x, supernet = converted(name)
    supernet.eval()
    for seed in range(6):
        architecture = supernet.space.sample(random.Random(seed))
        child = supernet.extract(architecture, example=x).eval()
        assert {type(part) for part in child.modules()} <= {*map(type, model.modules()), nn.Identity}
        assert same(outputs(child, x), outputs(supernet, x, architecture=architecture))


@pytest.mark.parametrize("name", [name for name in MODELS if "behind" not in name])
def test_a_child_without_blocks_is_the_network_in_which_they_add_nothing(name):
    """Told from outside: the layers of a block are set to nought, and its norm scales by one."""
    model, x, _ = converted(name)
    depths = converted(name)[-1].conversion.depths
    supernet = snn.Supernet(with_depths(copy.deepcopy(model), depths))  # batch norms keep their averages
    full = {key: variable.high for key, variable in supernet.space.items()}
    for group in depths:
        for count in range(group.least, len(group.blocks)):
            whole = copy.deepcopy(model)
            for block in group.paths()[count:]:
                for part in whole.get_submodule(block).modules():
                    if not isinstance(part, nn.LayerNorm):
                        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
                            tensor.detach().zero_()
            child = supernet.extract({**full, group.name: count}, example=x).eval()
            for one, other in zip(outputs(child, x), outputs(whole, x), strict=True):
                assert torch.allclose(one, other, atol=1e-6)


def test_a_child_has_fewer_blocks_in_a_row():
    _, x, supernet = converted("norm before")
    child = supernet.extract({**dict.fromkeys(supernet.space, 2)}, example=x)
    assert type(child.layers) is nn.ModuleList
    assert sorted({key.split(".")[1] for key in child.state_dict() if "layers" in key}) == ["0", "1"]


def test_what_comes_behind_keeps_its_path_in_a_sequence():
    _, x, supernet = converted("a row of all")
    full = {key: variable.high for key, variable in supernet.space.items()}
    child = supernet.extract({**full, "2-3.depth": 1, "5-5.depth": 0}, example=x)
    assert [type(part) for part in child[2:6]] == [Block, nn.Identity, Block, nn.Identity]
    assert child.state_dict().keys() < supernet.model.state_dict().keys()


def test_without_a_pass_the_whole_list_is_there():
    model, _, supernet = converted("norm before")
    assert len(supernet.model.layers) == 3
    assert supernet.model.state_dict().keys() == model.state_dict().keys()
    with supernet.following({key: variable.low for key, variable in supernet.space.items()}):
        assert len(supernet.model.layers) == 1
        assert supernet.model.layers[-1] is supernet.model.layers[0]


def test_variables_of_layers_in_blocks_that_are_left_out_are_inactive():
    _, x, supernet = converted("norm before")
    full = {key: variable.high for key, variable in supernet.space.items()}
    outputs(supernet, x, architecture={**full, "layers.depth": 2})
    inner = {name for name in supernet.active if name.endswith("inner")}
    assert inner == {"layers.0.inner", "layers.1.inner"}


class Biased(nn.Module):
    """The first block gives a bias that the others need, as in T5."""

    def __init__(self, number):
        super().__init__()
        self.inner, self.bias = nn.Linear(6, 6), nn.Linear(6, 6) if number == 0 else None

    def forward(self, hidden, bias=None):
        if self.bias is not None:
            bias = torch.tanh(self.bias(hidden))
        return hidden + self.inner(hidden * (0.0 if bias is None else bias)), bias


class WithBias(Encoder):
    def forward(self, ids):
        x, bias = self.tokens(ids), None
        for layer in self.layers:
            x, bias = layer(x, bias)
        return self.head(x)


def test_a_block_that_gives_what_others_need_stays():
    (group,) = snn.searchable(WithBias(Biased), tokens()).conversion.depths
    assert group.paths() == ["layers.1", "layers.2"]


class Halving(nn.Module):
    def __init__(self, *_):
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x):
        return x / 2 + self.inner(x)


NOT_TO_SKIP = {
    "in a row": (lambda: Encoder(plain), "they do not add to their input"),
    "halving": (lambda: Encoder(Halving), "they do not add to their input"),
    "counted": (lambda: Encoder(lambda _: Layer(several=True), way="by number"), "network does not run so"),
}


@pytest.mark.parametrize("name", NOT_TO_SKIP)
def test_blocks_that_are_needed_stay_and_it_is_told(name):
    make, reason = NOT_TO_SKIP[name]

    class Told(Encoder):
        def forward(self, ids):
            if name != "counted":
                return super().forward(ids)
            x = self.tokens(ids)
            for number in range(3):
                x, _ = self.layers[number](x)
            return self.head(x)

    model = make()
    model.__class__ = Told
    conversion = snn.searchable(model, tokens()).conversion
    assert not conversion.depths
    assert reason in conversion.needed["layers"]
    assert f"layers  stay    {conversion.needed['layers']}" in str(conversion)


def test_a_container_whose_code_goes_round_its_list_is_refused():
    class Own(nn.Sequential):
        def forward(self, x):
            for block in self._modules.values():
                x = block(x)
            return x

    model = nn.Sequential(nn.Embedding(9, 6), Own(Layer(), Layer(), Layer()), nn.Linear(6, 2))
    conversion = snn.searchable(model, tokens()).conversion
    assert conversion.needed == {"1": "the code of the container counts its blocks by itself"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"least": 0.5, "only": "layers"}, {"layers.depth": (1, 3)}),
        ({"least": {"layers": 0.67, "*": 0.25}, "only": "layers"}, {"layers.depth": (2, 3)}),
        ({"skip": ["layers.2", "*.inner", "tokens"]}, {"layers.depth": (0, 2)}),
        ({"only": ["layers.*"]}, {"layers.depth": (1, 3)}),
        ({"only": "layers.0.inner"}, {}),
        ({"depth": False}, {}),
    ],
)
def test_patterns_choose_blocks(options, expected):
    found = snn.searchable(Encoder(lambda _: Layer()), tokens(), **options).conversion.depths
    assert {group.name: (group.least, len(group.blocks)) for group in found} == expected


def test_only_depth_may_be_searched():
    supernet = snn.searchable(Encoder(lambda _: Layer()), tokens(), only="layers")
    assert list(supernet.space) == ["layers.depth"]
    assert str(supernet.conversion).splitlines()[-1].split(maxsplit=4) == [
        *("layers.depth", "1", "to", "3"),
        "layers.0, layers.1, layers.2",
    ]


def test_blocks_can_be_left_out_in_another_order():
    model = Encoder(lambda _: Layer()).eval()
    (group,) = snn.searchable(model, tokens(), only="layers").conversion.depths
    assert group.movable
    x = tokens()
    supernet = snn.Supernet(with_depths(copy.deepcopy(model), [replace(group, order=("2", "1", "0"))]))
    child = supernet.extract({"layers.depth": 2}, example=x)
    assert torch.equal(child.layers[0].inner.weight, model.layers[1].inner.weight)
    assert torch.equal(child.layers[1].inner.weight, model.layers[2].inner.weight)
    assert same(outputs(child, x), outputs(supernet, x, architecture={"layers.depth": 2}))


def test_a_list_that_goes_with_another_loses_its_last_blocks_only():
    (group,) = converted("zipped")[-1].conversion.depths
    assert not group.movable


def test_a_supernet_with_a_depth_is_copied_and_pickled():
    _, x, supernet = converted("norm before")
    architecture = {key: variable.low for key, variable in supernet.space.items()}
    for other in (copy.deepcopy(supernet), pickle.loads(pickle.dumps(supernet))):  # noqa: S301 - its own
        assert same(
            outputs(other, x, architecture=architecture), outputs(supernet, x, architecture=architecture)
        )


@pytest.mark.parametrize("hold", [lambda net: [net], lambda net: net.forward], ids=["itself", "its method"])
def test_a_row_of_blocks_may_refer_to_itself(hold):
    _, x, _ = converted("a row of all")
    supernet = snn.searchable(flat(), x)
    supernet.model.held = hold(supernet.model)  # accelerate, for one, keeps the forward that it replaces
    child = supernet.extract({key: variable.low for key, variable in supernet.space.items()}, example=x)
    assert (child.held[0] if isinstance(child.held, list) else child.held.__self__) is child


def test_no_width_and_no_block_is_told():
    with pytest.raises(InputError, match="expected a width that can be narrowed, got none in Sequential"):
        snn.searchable(nn.Sequential(nn.Linear(3, 2)), torch.randn(2, 3))


def test_what_takes_the_place_of_a_block_is_never_taken_for_it():
    model, _, supernet = converted("a row of all")
    gone = {path for depth in supernet.conversion.depths for path in depth.blocks}
    for _ in range(200):  # one in a dozen was, as memory happened to be free
        small, paths = reduced(model, dict.fromkeys(supernet.conversion.depths, 0))
        assert not gone & paths.keys()
        del small
