"""Models that torch treats in its own way: scripted parts, graphs of torch.fx, lazy layers, old norms."""

import random
import warnings
import weakref
from types import MethodType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.nn.utils import prune

from asng import nn as snn
from asng.errors import InputError


class Middle(nn.Module):
    """A part with weights and a norm, which can be scripted."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(16, 16), nn.BatchNorm1d(16)

    def forward(self, x):
        return torch.relu(self.norm(self.layer(x)))


class Around(nn.Module):
    """Layers around a given part."""

    def __init__(self, part):
        super().__init__()
        self.first, self.part = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 16)), part
        self.token, self.last = nn.Parameter(torch.randn(16)), nn.Linear(16, 3)

    def forward(self, x):
        return self.last(self.part(self.first(x) + self.token))


def _scripted(part):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        return torch.jit.script(part)


def test_scripted_parts_stay_as_they_are():
    model, x = Around(_scripted(Middle())), torch.randn(5, 4)
    model.eval()
    model.first.train()
    modes = [module.training for module in model.modules()]
    expected = model(x)
    supernet = snn.searchable(model, x)
    assert [module.training for module in model.modules()] == modes
    assert [group.name for group in supernet.conversion.groups] == ["first.0"]
    supernet.eval()
    whole = supernet.extract({"first.0": 12}, example=x)
    assert torch.equal(whole(x), expected)
    whole.train()(x).sum().backward()
    assert all(p.grad is None for p in model.parameters())
    assert all(p.is_leaf and p.grad is not None for p in whole.parameters())
    assert supernet.extract({"first.0": 6}, example=x)(x).shape == (5, 3)


@pytest.mark.parametrize("exported", [False, True])
def test_a_compiled_model_is_refused(exported):
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.randn(5, 4)
    compiled = torch.export.export(model, (x,)).module() if exported else _scripted(Around(Middle()))
    with pytest.raises(InputError, match="model: expected one whose layers are modules in Python"):
        snn.searchable(compiled, x)


def test_a_model_given_to_torch_compile_is_searched_uncompiled():
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.randn(5, 4)

    def backend(*_):
        raise AssertionError("compiled")

    supernet = snn.searchable(torch.compile(model, backend=backend), x)
    assert list(supernet.space) == ["0"]
    assert type(supernet.extract({"0": 4}, example=x)) is nn.Sequential


def test_a_graph_of_torch_fx_is_narrowed_like_the_module_it_was_traced_from():
    model, x = Around(Middle()).eval(), torch.randn(5, 4)
    traced = fx.symbolic_trace(model)
    supernet, expected = snn.searchable(traced, x), snn.searchable(model, x)
    assert dict(supernet.space) == dict(expected.space)
    for sizes in ({}, dict.fromkeys(supernet.space, 4)):
        architecture = {name: sizes.get(name, v.high) for name, v in supernet.space.items()}
        child, other = (one.extract(architecture, example=x).eval() for one in (supernet, expected))
        assert torch.equal(child(x), other(x))
        child.graph.output_node().replace_input_with(child.graph.output_node().args[0], None)
        child.recompile()  # a class of its own
        assert child(x) is None
        assert torch.equal(traced(x), model(x))


def test_a_lazy_model_keeps_its_mode():
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2))
    assert snn.searchable(model, torch.randn(4, 3)).model.training
    assert model.training


def test_weights_that_hooks_compute_are_copied():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        layer = nn.utils.weight_norm(nn.Linear(16, 16))
    model, x = Around(nn.Sequential(layer, prune.identity(nn.Linear(16, 16), "weight"))), torch.randn(5, 4)
    model(x)  # now the weights have a graph, with which torch copies no tensor
    supernet = snn.searchable(model, x)
    assert [group.name for group in supernet.conversion.groups] == ["first.0"]
    child = supernet.extract({"first.0": 12}, example=x)
    assert torch.equal(child(x), model(x))


class Kept(nn.Module):
    """A model whose hook keeps what a layer makes, for the head."""

    def __init__(self, kind):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self.head, self.kept = nn.Linear(32, 3), {}
        kept = self.kept
        hooks = {
            "the model": lambda *args: self.kept.update(a=args[-1]),
            "a table of it": lambda *args: kept.update(a=args[-1]),
        }
        self.body[1].register_forward_hook(hooks[kind])

    def forward(self, x):
        y = self.body(x)
        return self.head(torch.cat([self.kept["a"], y], -1))


@pytest.mark.parametrize("ran", [False, True])
@pytest.mark.parametrize("kind", ["the model", "a table of it"])
def test_hooks_that_refer_to_the_model_refer_to_its_copies(kind, ran):
    model, x, other = Kept(kind).eval(), torch.randn(4, 5), torch.randn(4, 5)
    if ran:
        model(other)
    supernet = snn.searchable(model, x).eval()
    assert [group.name for group in supernet.conversion.groups] == ["body.0", "body.2"]
    child = supernet.extract({"body.0": 4, "body.2": 8}, example=x).eval()
    assert child.head.in_features == 12
    kept = model.kept.get("a")
    assert torch.equal(child(other), supernet(other, architecture={"body.0": 4, "body.2": 8}))
    assert model.kept.get("a") is kept
    assert torch.equal(supernet.extract({"body.0": 16, "body.2": 16}, example=x)(other), model(other))


class Reached(nn.Module):
    """A model that reaches a layer in a way of its own."""

    def __init__(self, way):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(5, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        middle = self.middle
        self.held = {
            "weakly": lambda: weakref.ref(middle),
            "weakly, its weight": lambda: weakref.ref(middle.weight),
            "weakly, in a list": lambda: [weakref.ref(middle)],
            "weakly, in a tuple in a dict": lambda: {"a": (weakref.ref(middle), None)},
            "by a function in a list": lambda: [lambda: middle],
            "in a list": lambda: [middle],
            "by its call": lambda: middle.__call__,
            "in an object": lambda: SimpleNamespace(layer=middle),
        }[way]()

    def forward(self, x):
        y, found = self.first(x).relu(), self.held
        while not isinstance(found, (nn.Linear, nn.Parameter, MethodType)):
            match found:
                case dict():
                    found = found["a"]
                case list() | tuple():
                    found = found[0]
                case SimpleNamespace():
                    found = found.layer
                case _:
                    found = found()
        return self.last(nn.functional.linear(y, found) if isinstance(found, nn.Parameter) else found(y))


WAYS = [
    ("weakly", True),
    ("weakly, its weight", False),
    ("weakly, in a list", True),
    ("weakly, in a tuple in a dict", True),
    ("by a function in a list", True),
    ("in a list", True),
    ("by its call", True),
    ("in an object", True),
]


@pytest.mark.parametrize(("way", "narrowed"), WAYS)
def test_what_refers_to_a_layer_refers_to_that_of_the_copies(way, narrowed):
    model, x = Reached(way), torch.randn(4, 5)
    supernet = snn.searchable(nn.Sequential(model, nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2)), x)
    assert ("0.middle" in supernet.space) == narrowed
    architecture = supernet.space.sample(random.Random(1))
    child = supernet.extract(architecture, example=x)
    assert torch.equal(child(x), supernet(x, architecture=architecture))
    before = child(x)
    with torch.no_grad():
        model.middle.weight.add_(1.0)
        supernet.model[0].middle.weight.add_(1.0)
    assert torch.equal(child(x), before)
    child(x).sum().backward()
    assert child[0].middle.weight.grad is not None


class Momentum(nn.Module):
    """An encoder whose weights are averaged into those of another one in training, as in MoCo."""

    def __init__(self, average, distance=torch.mean):
        super().__init__()
        self.distance = distance
        self.query = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))
        self.key = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))
        self.guess, self.average = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 3)), average

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.average(list(self.key.parameters()), list(self.query.parameters()))
        return self.distance((self.guess(self.query(x)) - self.key(x)).square(), -1)


def _replaced(keys, queries):
    for key, query in zip(keys, queries, strict=True):
        key.data = 0.9 * key.data + 0.1 * query.data


def _in_place(keys, queries):
    for key, query in zip(keys, queries, strict=True):
        key.mul_(0.9).add_(query, alpha=0.1)


def _added(keys, queries):
    for key, query in zip(keys, queries, strict=True):
        key.data += 0.1 * (query.data - key.data)


def _at_once(keys, queries):
    torch._foreach_lerp_(keys, queries, 0.1)


@pytest.mark.parametrize("average", [_replaced, _in_place, _added, _at_once])
def test_weights_that_a_forward_averages_are_not_changed_by_a_conversion(average):
    model, x = Momentum(average), torch.randn(4, 5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    supernet = snn.searchable(model, x)
    conversion = supernet.conversion
    assert [group.name for group in conversion.groups] == ["guess.0"]
    assert conversion.fixed["query.0"].startswith(
        "not together with others: in training, the network does not run"
    )
    child = supernet.extract({"guess.0": 12}, example=x)
    supernet.extract({"guess.0": 6}, example=x).train()(x)
    for one in (model, supernet.model, child):
        assert all(torch.equal(value, before[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize(
    "options",
    [
        {},  # an odd number of other widths lies between them
        {"skip": "*.2", "step": {"query.0": 8, "key.0": 8}},  # they have two parts, so that many are few
    ],
)
def test_widths_that_training_makes_equal_stay(options):
    """All widths are narrowed at once: these two must not happen to have the same number of parts."""
    torch.manual_seed(0)
    model = Momentum(_in_place, torch.sum)
    conversion = snn.searchable(model, torch.randn(4, 5), **options).conversion
    assert [group.name for group in conversion.groups] == ["guess.0"]
    for path in ("query.0", "key.0"):
        assert "in training, the network does not run" in conversion.fixed[path]


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_a_model_that_draws_from_other_generators_in_training_is_narrowed(draw):
    class Masked(Around):
        """As wav2vec 2.0: places that Python's or NumPy's generator chooses get a vector of their own."""

        def __init__(self):
            super().__init__(Middle())
            self.mask = nn.Parameter(torch.randn(16))

        def forward(self, x):
            x = self.part(self.first(x))
            return self.last(torch.where(torch.tensor(draw() < 0.5), self.mask, x) if self.training else x)

    conversion = snn.searchable(Masked().eval(), torch.randn(5, 4)).conversion
    assert [group.name for group in conversion.groups] == ["first.0", "first.2", "part.layer"]


REMOVED = {
    "remove_weight_norm": (nn.utils.weight_norm, nn.utils.remove_weight_norm),
    "remove_spectral_norm": (nn.utils.spectral_norm, nn.utils.remove_spectral_norm),
    "parametrize.remove_parametrizations": (
        nn.utils.parametrizations.weight_norm,
        lambda layer: nn.utils.parametrize.remove_parametrizations(layer, "weight"),
    ),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("name", REMOVED)
def test_a_layer_whose_weight_is_computed_names_the_function_that_makes_it_plain(name):
    make, remove = REMOVED[name]
    model, x = nn.Sequential(make(nn.Linear(3, 16)), nn.ReLU(), make(nn.Linear(16, 2))), torch.randn(4, 3)
    with pytest.raises(
        InputError, match=f"0: its weight is computed from others; see torch.nn.utils.{name};"
    ):
        snn.searchable(model.eval(), x)
    before = model(x)
    for layer in (model[0], model[2]):
        remove(layer)
    supernet = snn.searchable(model, x)
    assert [*supernet.space] == ["0"]
    torch.testing.assert_close(supernet(x, architecture={"0": 16}), before)


def test_a_layer_with_a_hook_stays_and_says_so():
    model = nn.Sequential(nn.Linear(3, 16), nn.Linear(16, 8), nn.Linear(8, 2))
    model[0].register_forward_hook(lambda layer, given, made: made.abs())
    conversion = snn.searchable(model, torch.randn(4, 3)).conversion
    assert conversion.fixed["0"] == "its calls run hooks, or a forward that was replaced"
    assert [group.name for group in conversion.groups] == ["1"]
