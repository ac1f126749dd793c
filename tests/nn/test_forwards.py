"""A forward of the user's own around a searchable layer: subclasses, hooks, replaced forwards."""

import copy
import functools
import pickle
import types
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional

from asng import nn as snn
from asng.errors import InputError
from asng.nn import Supernet
from asng.space import Categorical, Integer

X = torch.randn(3, 4)
WIDTH = Integer(2, 8, label="w")


def same(layer, architecture, x=X):
    """Whether the child computes the same and goes on so when the supernet's weights are others."""
    supernet = Supernet(nn.Sequential(layer)).eval()
    y = supernet(x, architecture=architecture)
    child = supernet.extract(architecture, example=x)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.add_(1.0)
    return torch.equal(child(x), y) and torch.equal(copy.deepcopy(child)(x), y)


class Activated(snn.Linear):
    def forward(self, x):
        return torch.relu(super().forward(x)) / self.out_features


class Twice(Activated):
    def forward(self, x, factor=2.0):
        return factor * super().forward(x)


class Mixin:
    def forward(self, x):
        return torch.tanh(super().forward(x))


class Mixed(Mixin, snn.Linear):
    pass


class Bounded(snn.Linear):
    """Computes with its weight itself."""

    def forward(self, x):
        return functional.linear(x, self.weight.tanh(), self.bias)


class Extended(snn.Linear):
    """Has weights and layers beside those of torch's."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.scale, self.norm = nn.Parameter(torch.tensor(2.0)), snn.LayerNorm(8)

    def forward(self, x):
        return self.norm(super().forward(x)) * self.scale


def doubled(method):
    @functools.wraps(method)
    def run(self, *args):
        return 2 * method(self, *args)

    return run


class Decorated(snn.Linear):
    @torch.autocast("cpu", enabled=False)
    @doubled
    def forward(self, x):
        return super().forward(self.tripled(x)) / self.out_features

    @property
    @doubled
    def factor(self):
        return 1.5

    @torch.no_grad()
    def tripled(self, x):
        return self.factor * x


class Recurrent(snn.LSTM):
    def forward(self, x):
        return super().forward(x[:, None])[0][:, 0]


@pytest.mark.parametrize("width", [3, 8])
@pytest.mark.parametrize("kind", [Activated, Twice, Mixed, Bounded, Extended, Decorated, Recurrent])
def test_subclass_of_a_twin_keeps_its_forward_at_every_width(kind, width):
    torch.manual_seed(0)
    assert same(kind(4, WIDTH), {"w": width})


class Standardised(snn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight - weight.mean((1, 2, 3), keepdim=True), bias)


@pytest.mark.parametrize("architecture", [{"w": 3, "k": 1}, {"w": 8, "k": 3}])
def test_subclass_of_a_twin_keeps_what_its_forward_calls(architecture):
    conv = Standardised(3, WIDTH, Categorical([1, 3], label="k"), padding="same")
    assert same(conv, architecture, torch.randn(2, 3, 5, 5))


def test_child_of_a_subclass_is_no_twin_and_pickles():
    child = Supernet(nn.Sequential(Activated(4, WIDTH))).extract({"w": 3}, example=X)
    assert not isinstance(child[0], snn.Searchable)
    assert type(child[0]).__name__ == "Activated"
    assert torch.equal(pickle.loads(pickle.dumps(child))(X), child(X))  # noqa: S301 - our own


def test_subclass_without_changes_has_torchs_child():
    class Named(snn.Linear):
        def describe(self):
            return "named"

    assert type(Supernet(nn.Sequential(Named(4, WIDTH))).extract({"w": 3}, example=X)[0]) is nn.Linear


def test_mode_that_a_subclass_freezes_is_frozen_in_the_child():
    class Frozen(snn.Dropout):
        def train(self, mode=True):
            return super().train(False)

    child = Supernet(nn.Sequential(snn.Linear(4, WIDTH), Frozen(0.5))).extract({"w": 3}, example=X)
    assert not child.train()[1].training


class Residual(snn.Choice):
    def forward(self, x):
        return x + super().forward(x)


class Scaled(snn.Activation):
    def forward(self, x):
        return 1.5 * super().forward(x)


class Skipped(snn.Repeat):
    def forward(self, x):
        return x + super().forward(x)


@pytest.mark.parametrize(
    ("layer", "architecture"),
    [
        (lambda: Residual([nn.Linear(4, 4), nn.Tanh()], label="c"), {"c": 0}),
        (lambda: Scaled(["ReLU", "Tanh"], label="c"), {"c": "Tanh"}),
        (lambda: Skipped(lambda _: nn.Linear(4, 4), Integer(0, 3, label="d")), {"d": 2}),
    ],
)
def test_subclass_of_a_choice_keeps_its_forward(layer, architecture):
    assert same(layer(), architecture)


def _patched(layer):
    old = layer.forward
    layer.forward = lambda x: torch.relu(old(x))
    return layer


def _bound(layer):
    layer.forward = types.MethodType(lambda self, x: torch.relu(type(self).forward(self, x)), layer)
    return layer


def _hooked(layer):
    layer.register_forward_pre_hook(lambda module, inputs: (2 * inputs[0],))
    layer.register_forward_hook(lambda module, inputs, output: output + 1)
    layer.register_forward_pre_hook(lambda module, args, kwargs: ((args[0] - 1,), kwargs), with_kwargs=True)
    return layer


@pytest.mark.parametrize("width", [3, 8])
@pytest.mark.parametrize("wrap", [_patched, _bound, _hooked])
def test_what_is_put_around_a_twin_is_around_its_child(wrap, width):
    assert same(wrap(snn.Linear(4, WIDTH)), {"w": width})


@pytest.mark.parametrize("wrap", [_patched, _hooked])
def test_what_is_put_around_a_choice_is_around_that_of_its_candidate(wrap):
    inner = _hooked(nn.Linear(4, 4)) if wrap is _hooked else _patched(nn.Linear(4, 4))
    assert same(wrap(snn.Choice([inner, nn.Tanh()], label="c")), {"c": 0})
    assert same(wrap(snn.Repeat(lambda _: nn.Linear(4, 4), Integer(0, 3, label="d"))), {"d": 2})


def test_functions_that_hold_modules_of_the_model_hold_those_of_the_child():
    class Holding(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.body = nn.Linear(4, 4), snn.Linear(4, WIDTH)
            self.logits = lambda x: x @ self.layer.weight
            self.calls = {"own": [self.layer.forward, torch.relu]}

        def forward(self, x):
            return self.body(self.calls["own"][0](self.logits(x)))

    assert same(Holding(), {"w": 3})
    assert same(nn.Sequential(_patched(nn.Linear(4, 4)), snn.Linear(4, WIDTH)), {"w": 3})


class Parent(nn.Module):
    """Has a part that calls its siblings, without being their owner."""

    def __init__(self):
        super().__init__()
        self.layer, self.body, self.part = nn.Linear(4, 4), snn.Linear(4, WIDTH), nn.Module()
        self.part.siblings = [weakref.ref(self.layer), weakref.ref(self.body)]

    def forward(self, x):
        layer, body = self.part.siblings
        return body()(layer()(x))


def test_weak_references_to_modules_of_the_model_are_to_those_of_the_child():
    supernet = Supernet(Parent())
    child = supernet.extract({"w": 3}, example=X)
    assert child.part.siblings[0]() is child.layer
    assert torch.equal(child(X), supernet(X, architecture={"w": 3}))


class Aliased(nn.Module):
    """Reads the weight of a layer past its registered name, as models with tied weights do."""

    def __init__(self):
        super().__init__()
        self.body, self.tied = snn.Linear(4, WIDTH), []
        self.tied.append(self.body.weight)

    def forward(self, x):
        h = self.body(x)
        return h @ self.tied[0][: h.shape[-1]]


@pytest.mark.parametrize("width", [3, 8])
def test_attributes_that_are_a_weight_of_a_twin_are_that_of_its_child(width):
    supernet, a = Supernet(nn.Sequential(Aliased())), {"w": width}
    child = supernet.extract(a, example=X)
    assert child[0].tied[0] is child[0].body.weight
    assert torch.equal(child(X), supernet(X, architecture=a))
    fresh = Supernet(nn.Sequential(Aliased())).extract(a, example=X)
    fresh.load_state_dict(child.state_dict())
    assert torch.equal(fresh(X), child(X))


def _candidate_in_two_places():
    layer = nn.Linear(4, 4)
    return nn.Sequential(*(_hooked(snn.Choice([layer, nn.Tanh()], label=n)) for n in "ab"))


def test_hooks_on_choices_that_share_a_candidate_are_refused():
    with pytest.raises(InputError, match=r"module '0' \(Choice\): .*several places"):
        Supernet(_candidate_in_two_places()).extract({"a": 0, "b": 0})


def test_replaced_forward_of_a_choice_around_a_candidate_with_hooks_is_refused():
    supernet = Supernet(_patched(snn.Choice([_hooked(nn.Linear(4, 4))], label="c")))
    with pytest.raises(InputError, match="with hooks of its own, which would run around"):
        supernet.extract({"c": 0})


def _reads_size(layer):
    layer.register_forward_hook(lambda module, inputs, output: output * module.out_features)
    return layer


def test_hook_that_reads_the_size_of_its_layer_is_refused():
    with pytest.raises(InputError, match=r"module '0' .*got another output.*sizes of its tensors"):
        same(_reads_size(snn.Linear(4, WIDTH)), {"w": 3})


class Old(snn.Linear):
    def forward(self, x):
        return torch.relu(super(Old, self).forward(x))  # noqa: UP008


class ByName(snn.Linear):
    def forward(self, x):
        return torch.relu(snn.Linear.forward(self, x))


class ModeBound(snn.Choice):
    def forward(self, x):
        return super().forward(x) * (2 if self.training else 1)


class DataBound(snn.Choice):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x


class Late(snn.Linear):
    pass


_PLAIN = nn.Linear(4, 4)
_FORWARD = _PLAIN.forward


def _by_global_name():
    _PLAIN.forward = lambda x: torch.relu(_FORWARD(x))
    return nn.Sequential(_PLAIN, snn.Linear(4, WIDTH))


def _class_changed_later():
    Late.forward = lambda self, x: x
    return Late(4, WIDTH)


def _method_changed():
    layer = snn.Conv2d(1, WIDTH, 1)
    layer._conv_forward = lambda x, weight, bias: x
    return layer


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: Old(4, WIDTH),
            r"module '0' \(Old\), forward: expected super\(\) without arguments.* Old by name",
        ),
        (lambda: ByName(4, WIDTH), r"got snn\.Linear by name"),
        (lambda: ModeBound([nn.Linear(4, 4)]), "same in training and in evaluation"),
        (
            lambda: DataBound([nn.Linear(4, 4)]),
            r"module '0' \(DataBound\): expected a forward that torch\.fx can",
        ),
        (lambda: _hooked(snn.InputChoice(2)), r"module '0' \(InputChoice\): expected no hook"),
        (_by_global_name, r"module '0\.0', attribute 'forward': .*global name '_FORWARD'"),
        (_class_changed_later, r"module '0' \(Late\): .*given afterwards"),
        (_method_changed, r"module '0' \(Conv2d\): expected the _conv_forward of its class"),
    ],
)
def test_what_a_child_could_not_keep_is_refused_when_the_supernet_is_made(make, match):
    with pytest.raises(InputError, match=match):
        Supernet(nn.Sequential(make(), snn.Choice([nn.Identity()])))
