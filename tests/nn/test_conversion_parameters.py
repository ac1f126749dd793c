"""Tensors that are no layer's go along with a width of a model: positions, norms, tied weights."""

import copy
import pickle
import random
from functools import cache

import pytest
import torch
from conversions import check_children
from torch import nn

from asng import nn as snn
from asng.errors import InputError
from asng.nn.conversion import all_roles
from asng.nn.inputs import calls_of, tensors_of


class Across(nn.Module):
    """A linear layer whose matrix lies the other way, and whose code has its size, as in GPT-2."""

    def __init__(self, out, given, *, bias=True):
        super().__init__()
        self.out, self.given = out, given
        self.weight = nn.Parameter(torch.randn(given, out) / 3)
        self.bias = nn.Parameter(torch.randn(out)) if bias else None

    def forward(self, x):
        if self.bias is None:
            return x @ self.weight
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(*x.shape[:-1], self.out)


class RootMeanSquare(nn.Module):
    """A norm as in Llama: in single precision, whatever comes."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(1 + torch.rand(size))

    def forward(self, x):
        y = x.float()
        return self.weight * (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


class ByRoot(RootMeanSquare):
    """The same, but for a number that is not the width of a child."""

    def __init__(self, size):
        super().__init__(size)
        self.root = size**0.5

    def forward(self, x):
        return self.weight * nn.functional.normalize(x, dim=-1) * self.root


class ChannelsFirst(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Frozen(nn.Module):
    """A batch norm whose numbers are buffers."""

    def __init__(self, size):
        super().__init__()
        for name in ("weight", "bias", "mean", "var"):
            self.register_buffer(name, 1 + torch.rand(size), persistent=name != "var")

    def forward(self, x):
        scale = (self.weight / self.var.sqrt()).reshape(1, -1, 1, 1)
        return x * scale + (self.bias - self.mean).reshape(1, -1, 1, 1)


class Offset(nn.Embedding):
    def forward(self, ids):
        return super().forward(ids + 2)


class Vision(nn.Module):
    """Class token, positions and scales are the model's own."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Linear(3, 8)
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 6, 8))
        self.register_parameter("nothing", None)
        self.inner, self.outer, self.scale = nn.Linear(8, 12), nn.Linear(12, 8), nn.Parameter(torch.randn(8))
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.patches(x)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        x = x + self.scale * self.outer(torch.tanh(self.inner(x)))
        return self.head(x[:, 0])


class Language(nn.Module):
    def __init__(self, norm=nn.Identity, *, tied=False, flip=False):
        super().__init__()
        self.tokens, self.places = nn.Embedding(9, 8), Offset(8, 8)
        self.inner, self.outer, self.norm = Across(12, 8), Across(8, 12), norm(8)
        self.mixed, self.head = Across(8, 8), nn.Linear(8, 9, bias=False)
        self.flip = flip
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        x = x + self.outer(torch.tanh(self.inner(self.norm(x))))
        x = x + self.mixed(x)
        return {"logits": self.head(x.flip(-1) if self.flip else x)}


class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.frozen, self.norm = nn.Conv2d(3, 8, 3), Frozen(8), ChannelsFirst(8)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        return self.head(torch.tanh(self.norm(self.frozen(self.stem(x)))))


class Grouped(nn.Module):
    """Convolutions in groups, one of which makes more channels than it is given."""

    def __init__(self, norm=nn.Identity):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 1)
        self.wide = nn.Conv2d(16, 32, 3, padding=1, groups=4, bias=False)
        self.up = nn.ConvTranspose2d(32, 16, 2, 2, groups=8, bias=False)
        self.norm, self.head = norm(16), nn.Conv2d(16, 2, 1)

    def forward(self, x):
        return self.head(self.norm(torch.tanh(self.up(self.wide(self.first(x))))))


class Normed(nn.Module):
    def __init__(self, groups, *, affine=True):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 1), nn.GroupNorm(groups, 16, affine=affine)
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.first(x))))


class Einsum(nn.Module):
    """An attention whose weights are tensors, as in JAX."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(3, 8, bias=False), nn.Linear(8, 2)
        self.q, self.k, self.v = (nn.Parameter(torch.randn(2, 8, 4) / 3) for _ in range(3))
        self.o = nn.Parameter(torch.randn(2, 4, 8) / 3)

    def forward(self, x):
        x = self.first(x)
        q, k, v = (torch.einsum("bnd,hde->bhne", x, weight) for weight in (self.q, self.k, self.v))
        weights = torch.einsum("...ne,...me->...nm", q, k).softmax(-1)
        return self.head(x + torch.einsum("bhnm,bhme,hed -> bnd", weights, v, self.o))


def pictures():
    return torch.randn(3, 3, 4, 4)


def tokens():
    return torch.randint(0, 9, (3, 5))


LANGUAGE = {"tokens": 4, "inner": 1}
MODELS = {
    "vision": (Vision, lambda: torch.randn(3, 5, 3), {"patches": 5, "inner": 1}),
    "language": (Language, tokens, LANGUAGE),
    "language, a norm": (lambda: Language(RootMeanSquare), tokens, LANGUAGE),
    "language, tied": (lambda: Language(tied=True), tokens, LANGUAGE),
    "in groups": (Grouped, pictures, {"first": 1}),
    "a group norm": (lambda: Normed(4), pictures, {"first": 1}),
    "a group norm of each": (lambda: Normed(16), pictures, {"first": 1}),
    "a group norm of all": (lambda: Normed(1, affine=False), pictures, {"first": 1}),
    "einsum": (Einsum, lambda: torch.randn(3, 5, 3), {"first": 5, "q[0]": 4, "v[2]": 2}),
    "images": (Images, lambda: torch.randn(3, 3, 8, 8), {"stem": 5}),
}
every_model = pytest.mark.parametrize("name", MODELS)


@cache
def converted(name):
    make, inputs, _ = MODELS[name]
    torch.manual_seed(1)
    model, x = make().eval(), inputs()
    return model, x, snn.searchable(model, x, depth=False)


def outputs(function, *args, **kwargs):
    with torch.no_grad():
        return list(tensors_of(function(*args, **kwargs)))


@every_model
def test_tensors_that_belong_to_a_width_are_found(name):
    found = converted(name)[-1].conversion.groups
    assert {group.name: len(group.widths) + len(group.numbers) for group in found} == MODELS[name][-1]


@every_model
def test_children_are_plain_and_compute_what_the_supernet_computes(name):
    model, x, supernet = converted(name)
    supernet.eval()
    for seed in range(6):
        architecture = supernet.space.sample(random.Random(seed))
        child = supernet.extract(architecture, example=x).eval()
        assert [type(part) for part in child.modules()] == [type(part) for part in model.modules()]
        for got, expected in zip(
            outputs(child, x), outputs(supernet, x, architecture=architecture), strict=True
        ):
            assert torch.equal(got, expected)
        assert [vars(part).keys() for part in child.modules()] == [
            vars(part).keys() for part in model.modules()
        ]


@every_model
def test_the_whole_network_is_the_one_that_was_given(name):
    model, x, supernet = converted(name)
    child = supernet.extract({key: v.high for key, v in supernet.space.items()}, example=x)
    assert child.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, child.state_dict()[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(outputs(child, x), outputs(model, x), strict=True))


@pytest.mark.parametrize("name", ["vision", "language", "language, tied", "in groups", "einsum"])
def test_a_child_is_the_whole_network_that_makes_nought_of_the_lost_channels(name):
    """Told from outside: every tensor that makes a channel holds nought for it."""
    model, x, supernet = converted(name)
    roles = all_roles(model, calls_of(model, x))
    for group in supernet.conversion.groups:
        for units in range(group.least, group.units):
            whole = copy.deepcopy(model)
            for path, kept in group.made(units).items():
                gone = [i for i in range(group.widths[path]) if i not in kept]
                owner = whole.get_submodule(path if roles[path].owner is None else roles[path].owner)
                names = roles[path].tensors or {
                    "weight": {int(isinstance(owner, nn.Embedding)): "made"},
                    "bias": {0: "made"},
                }
                for tensor, dims in names.items():
                    for dim, which in dims.items():
                        if which == "made" and getattr(owner, tensor, None) is not None:
                            getattr(owner, tensor).detach().index_fill_(dim, torch.tensor(gone), 0.0)
            full = {key: v.high for key, v in supernet.space.items()}
            full[group.name] = units * group.step if group.is_counted_in_channels else units
            child = supernet.extract(full, example=x)
            for got, expected in zip(outputs(child, x), outputs(whole, x), strict=True):
                assert torch.allclose(got, expected, atol=1e-5)


def test_a_tied_weight_stays_tied():
    _, x, supernet = converted("language, tied")
    assert supernet.model.head.weight is supernet.model.tokens.weight
    for fresh in (False, True):
        child = supernet.extract({"tokens": 5, "inner": 6}, example=x, fresh=fresh)
        assert child.head.weight is child.tokens.weight
        assert child.head.weight.shape == (9, 5)
    copied = copy.deepcopy(supernet)
    assert copied.model.head.weight is copied.model.tokens.weight


def test_a_weight_of_which_two_layers_need_other_parts_stays_whole():
    conversion = snn.searchable(Language(tied=True, flip=True), tokens()).conversion
    assert [group.name for group in conversion.groups] == ["inner"]
    assert conversion.fixed["tokens"] == "the weight of tokens is tied to head, which needs other parts"


def test_a_weight_of_which_another_layer_needs_all_stays_whole():
    class Reading(Language):
        def __init__(self):
            super().__init__()
            self.again = nn.Embedding(9, 8)
            self.again.weight = self.tokens.weight

        def forward(self, ids):
            return super().forward(ids), self.again(ids)

    conversion = snn.searchable(Reading(), tokens()).conversion
    assert [group.name for group in conversion.groups] == ["inner"]
    # The tie makes both as wide.
    assert conversion.fixed["tokens"] == "its channels are part of the output"


def test_sizes_that_a_layer_of_another_library_counts_are_those_of_the_child():
    _, x, supernet = converted("language")
    child = supernet.extract({"tokens": 4, "inner": 6}, example=x)
    assert (child.inner.out, child.inner.given, child.outer.out, child.outer.given) == (6, 4, 4, 6)
    assert supernet.model.inner.out == 12


def test_whole_groups_of_channels_go():
    for name in ("in groups", "a group norm"):
        (group,) = converted(name)[-1].conversion.groups
        assert (group.units, group.step) == (4, 4)
    _, x, supernet = converted("in groups")
    child = supernet.extract({"first": 8}, example=x)
    assert (child.wide.in_channels, child.wide.out_channels, child.wide.groups) == (8, 16, 2)
    assert (child.up.in_channels, child.up.out_channels, child.up.groups) == (16, 8, 4)
    _, x, supernet = converted("a group norm")
    child = supernet.extract({"first": 8}, example=x)
    assert (child.norm.num_groups, child.norm.num_channels) == (2, 8)


def test_a_group_norm_of_two_groups_loses_of_each_alike():
    model = nn.Sequential(nn.Conv2d(3, 16, 1), nn.GroupNorm(2, 16), nn.Conv2d(16, 16, 1, groups=2))
    whole = nn.Sequential(model, nn.Conv2d(16, 2, 1))
    (group,) = snn.searchable(whole, pictures(), step=8, least=0.5).conversion.groups
    assert (group.units, group.blocks) == (2, 1)
    child = snn.searchable(Normed(2), pictures(), step=4).extract({"first": 4}, example=pictures())
    assert (child.norm.num_groups, child.norm.num_channels) == (2, 4)


def test_a_group_norm_of_two_widths_is_refused():
    class Beside(Normed):
        def __init__(self):
            super().__init__(4)
            self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1)

        def forward(self, x):
            return self.head(self.norm(torch.cat([self.first(x), self.second(x)], 1)))

    conversion = snn.searchable(Beside(), pictures()).conversion
    assert len(conversion.groups) == 1
    assert "norm has groups of channels of several widths" in str(conversion)


class Sorting(RootMeanSquare):
    def forward(self, x):
        return self.weight * x.sort(-1).values


class Softmax(RootMeanSquare):
    def forward(self, x):
        return self.weight * x.softmax(-1)


class Named(RootMeanSquare):
    path = 3


@pytest.mark.parametrize("norm", [ByRoot, Sorting, Softmax, Named])
def test_what_is_no_norm_mixes_channels(norm):
    conversion = snn.searchable(Language(norm), tokens()).conversion
    assert [group.name for group in conversion.groups] == ["inner"]
    assert "tokens" in conversion.fixed


def test_a_module_whose_attribute_has_a_reserved_name_stays_and_says_so():
    conversion = snn.searchable(Language(Named), tokens()).conversion
    assert conversion.fixed["norm"] == "Named is not cut: it has an attribute `path`, a name that asng needs"


class Valued(RootMeanSquare):
    """Has a method called as one of searchable modules."""

    def value(self, x):
        return super().forward(x)

    def forward(self, x):
        return self.value(x)


class Storing(RootMeanSquare):
    """Its tensor is called as a method of searchable modules."""

    def __init__(self, size):
        super().__init__(size)
        self.value, self.weight = self.weight, None

    def forward(self, x):
        return x / x.square().mean(-1, keepdim=True).add(1e-6).sqrt() * self.value


@pytest.mark.parametrize("norm", [Valued, Storing])
def test_a_module_may_have_a_value_of_its_own(norm):
    torch.manual_seed(0)
    model = Language(norm)
    supernet = snn.searchable(model, tokens())
    assert any("tokens" in group.widths for group in supernet.conversion.groups)
    check_children(model, tokens(), supernet)


def test_a_tensor_that_only_happens_to_be_as_long_stays():
    class Weighed(Language):
        def __init__(self):
            super().__init__()
            self.times = nn.Parameter(torch.randn(8, 1))  # of eight tokens, and not of eight channels

        def forward(self, ids):
            return super().forward(ids)["logits"] * self.times

    model = Weighed()
    model.places = nn.Embedding(8, 8)
    found = snn.searchable(model, torch.arange(8).expand(3, 8), only="tokens").conversion.groups
    assert "times[0]" not in found[0].widths


def test_a_supernet_with_cut_tensors_is_copied_and_pickled():
    _, x, supernet = converted("vision")
    architecture = {key: variable.low for key, variable in supernet.space.items()}
    expected = outputs(supernet, x, architecture=architecture)
    for other in (copy.deepcopy(supernet), pickle.loads(pickle.dumps(supernet))):  # noqa: S301 - its own
        assert torch.equal(outputs(other, x, architecture=architecture)[0], expected[0])


def test_gradients_reach_the_parts_that_are_there():
    _, x, supernet = converted("vision")
    supernet = copy.deepcopy(supernet)
    supernet(x, architecture={"patches": 3, "inner": 4}).sum().backward()
    assert bool((supernet.model.places.grad[..., :3] != 0).any())
    assert bool((supernet.model.places.grad[..., 3:] == 0).all())


def test_a_layer_of_another_library_alone_is_enough():
    model = nn.Sequential(Across(8, 3, bias=False), nn.ReLU(), Across(2, 8))
    supernet = snn.searchable(model, torch.randn(2, 3))
    assert [group.name for group in supernet.conversion.groups] == ["0"]
    with pytest.raises(InputError, match="got none in Across"):
        snn.searchable(Across(3, 3), torch.randn(2, 3))


class Wrapped(nn.Module):
    """Wraps the forward of each class that is derived from it, as the base of layers in transformers does."""

    calls = 0

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        forward = cls.forward

        def counting(self, *given, **named):
            Wrapped.calls += 1
            return forward(self, *given, **named)

        cls.forward = counting


class Scaled(Wrapped):
    def __init__(self):
        super().__init__()
        self.by = nn.Parameter(torch.randn(8))

    def forward(self, x, *, again=False):
        return x * self.by if not again else x


def test_a_base_that_changes_the_classes_derived_from_it_does_so_once():
    model = nn.Sequential(nn.Linear(3, 8), Scaled(), nn.Linear(8, 2))
    supernet = snn.searchable(model, torch.randn(4, 3))
    child = supernet.extract({"0": 4}, example=torch.randn(4, 3))
    assert (type(child[1]), child[1].by.shape) == (Scaled, (4,))
    Wrapped.calls, x = 0, torch.randn(4, 3)
    assert torch.equal(supernet(x, architecture={"0": 4}), child(x))
    assert Wrapped.calls == 2
