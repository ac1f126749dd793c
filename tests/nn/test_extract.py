import sys
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_blocks import Joined, Residual, Tied
from torch import fx, nn

from asng import Categorical, Integer
from asng import nn as snn
from asng.errors import InputError
from asng.nn import Choice, InputChoice, Searchable, Supernet

X = torch.linspace(-1, 1, 12).reshape(4, 3)


# What lists all modules there are, as a parser does for its help, finds the class below where it says it is.
sys.modules["asng.pretended"] = sys.modules[__name__]


class Owned(nn.Module):
    """A class that passes for one of asng, with a searchable routing and users' modules inside."""

    __module__ = "asng.pretended"

    def __init__(self, source, first, second):
        super().__init__()
        self.op = Choice({"first": first, "second": second})
        self.source = source
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        y = self.op(x) * self.scale
        # Control flow on the architecture, which the trace has to resolve.
        if self.source.chosen()[0] == 0:
            y = torch.relu(y)
        return self.source([x, y, x - y])


def _sources():
    return st.builds(InputChoice, st.just(3), st.integers(1, 3), reduce=st.sampled_from(["sum", "mean"]))


def _leaves():
    return st.sampled_from([0, 1, 2, 3]).map(
        lambda i: (
            nn.Linear(3, 3),
            nn.Tanh(),
            nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)),
            Residual(nn.Linear(3, 3)),
        )[i]
    )


def _nested(blocks):
    several = st.lists(blocks, min_size=1, max_size=3)
    return st.one_of(
        several.map(Choice),
        several.map(lambda ops: Choice({f"op{i}": op for i, op in enumerate(ops)})),
        several.map(lambda ops: nn.Sequential(*ops)),
        blocks.map(Residual),
        st.builds(Joined, _sources(), blocks, blocks),
        st.builds(Owned, _sources(), blocks, blocks),
    )


MODELS = st.recursive(_leaves(), _nested, max_leaves=8).map(lambda m: Choice({"on": m, "off": nn.Identity()}))


@settings(max_examples=25)
@given(model=MODELS, seed=st.integers(0, 99), with_example=st.booleans())
def test_child_of_any_nest_is_plain_and_computes_the_same(model, seed, with_example):
    supernet = Supernet(model).eval()
    a = supernet.space.sample(Random(seed))
    child = supernet.extract(a, example=X if with_example else None)
    assert torch.equal(child(X), supernet(X, architecture=a))
    kinds = {base.__module__.partition(".")[0] for m in child.modules() for base in type(m).__mro__}
    assert "asng" not in kinds


@settings(max_examples=15)
@given(model=MODELS, seed=st.integers(0, 99))
def test_child_with_an_example_holds_the_weights_that_get_a_gradient(model, seed):
    supernet = Supernet(model).eval()
    a = supernet.space.sample(Random(seed))
    x = X.clone().requires_grad_()
    supernet(x, architecture=a).sum().backward()
    used = sum(p.numel() for p in supernet.parameters() if p.grad is not None)
    child = supernet.extract(a, example=X)
    assert sum(p.numel() for p in child.parameters()) == used


def test_users_class_keeps_its_class_and_paths():
    supernet = Supernet(Residual(Choice({"a": nn.Linear(3, 3), "b": nn.Identity()}, label="op")))
    child = supernet.extract({"op": "a"})
    assert type(child) is Residual
    assert list(child.state_dict()) == ["op.weight", "op.bias"]


def test_class_whose_new_needs_arguments_is_extracted():
    class Sized(nn.Module):
        def __new__(cls, size):
            return super().__new__(cls)

        def __init__(self, size):
            super().__init__()
            self.op = Choice([nn.Linear(size, size), nn.Tanh()], label="op")

        def forward(self, x):
            return self.op(x)

    supernet, x = Supernet(Sized(3)), torch.randn(2, 3)
    assert torch.equal(supernet.extract({"op": 0})(x), supernet(x, architecture={"op": 0}))


def test_own_class_becomes_a_graph_with_the_same_paths():
    model = nn.Sequential(Owned(InputChoice(3, label="in"), nn.Linear(3, 3), nn.ReLU()))
    child = Supernet(model).extract({"0.op": "first", "in": 1})
    assert isinstance(child[0], fx.GraphModule)
    assert sorted(child.state_dict()) == ["0.op.bias", "0.op.weight", "0.scale"]


def test_modes_and_frozen_weights_come_over():
    frozen = nn.Linear(3, 3).requires_grad_(False).eval()
    source = InputChoice(3, label="in").eval()
    supernet = Supernet(nn.Sequential(Owned(source, Residual(frozen), nn.ReLU())))
    child = supernet.extract({"0.op": "first", "in": 1})
    modes = {path: module.training for path, module in child.named_modules()}
    assert modes == {"": True, "0": True, "0.op": True, "0.op.op": False, "0.source": False}
    assert not child[0].op.op.weight.requires_grad
    still = supernet.eval().extract({"0.op": "first", "in": 1})
    assert not any(module.training for module in still.modules())


def test_child_that_is_extracted_in_inference_mode_can_be_trained():
    ops = [snn.Linear(3, Integer(1, 4, label="out")), nn.Linear(3, 4)]
    supernet = Supernet(Choice(ops, label="op"))
    for op in (0, 1):
        with torch.inference_mode():
            child = supernet.extract({"op": op, "out": 2}, example=X.clone())
        child(X).sum().backward()
        assert all(p.grad is not None for p in child.parameters())


def test_what_the_model_shares_the_child_shares():
    linear = nn.Linear(3, 3)
    supernet = Supernet(Tied(Choice({"tied": linear, "off": nn.Identity()}, label="op"), linear))
    child = supernet.extract({"op": "tied"})
    assert child.op is child.linear is child.both[0]
    assert child.linear is not linear
    assert type(supernet.extract({"op": "off"}).both[0]) is nn.Identity


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize(
    "compiled", [torch.jit.script, lambda layer: torch.jit.trace(layer, torch.ones(1, 2))]
)
def test_scripts_and_traces_in_a_child_have_weights_of_their_own(compiled):
    part = compiled(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)))
    supernet = Supernet(nn.Sequential(Choice([nn.Linear(3, 2), nn.Tanh()], label="op"), part))
    x, a = torch.randn(4, 3), {"op": 0}
    child = supernet.extract(a, example=x)
    y = supernet(x, architecture=a)
    names = {f"1.{name}": weight.requires_grad for name, weight in part.named_parameters()}
    assert {n: p.requires_grad for n, p in child.named_parameters() if n in names} == names
    child(x).sum().backward()
    assert all(
        p.grad is not None for p in torch.optim.SGD(child[1].parameters()).param_groups[0]["params"][:2]
    )
    with torch.no_grad():
        for weight in (*part.parameters(), *supernet.parameters()):
            weight.zero_()
    assert torch.equal(child(x), y)


def test_chosen_module_in_two_places_stays_one():
    op = Choice([nn.Linear(3, 3)], label="op")
    child = Supernet(nn.Sequential(op, nn.ReLU(), op)).extract({"op": 0})
    assert child[0] is child[2]


class Thin(Searchable):
    """A linear layer that slices its weight to the input it gets, and to a searched width."""

    def __init__(self, label):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 6))
        self.label = label

    def variables(self):
        return {"out": Integer(1, 6, label=self.label)}

    def forward(self, x):
        return nn.functional.linear(x, self.weight[: self.value("out"), : x.shape[1]])

    def extract(self, extraction):
        (((x,), _),) = extraction.calls(self)
        twin = nn.Linear(x.shape[1], self.value("out"), bias=False)
        twin.weight = nn.Parameter(self.weight[: self.value("out"), : x.shape[1]].detach().clone())
        return twin


@pytest.mark.parametrize("widths", [(1, 6), (4, 2), (6, 1)])
def test_layers_that_slice_weights_learn_their_input_from_the_example(widths):
    supernet = Supernet(nn.Sequential(Thin("a"), nn.Tanh(), Thin("b")))
    a = dict(zip("ab", widths, strict=True))
    child = supernet.extract(a, example=X)
    assert [layer.weight.shape for layer in (child[0], child[2])] == [(widths[0], 3), (widths[1], widths[0])]
    assert torch.equal(child(X), supernet(X, architecture=a))


def test_run_of_the_example_leaves_the_supernet_as_it_was():
    supernet = Supernet(nn.Sequential(Thin("a"), nn.BatchNorm1d(2), nn.Dropout(0.5).eval()))
    before = {name: t.clone() for name, t in supernet.state_dict().items()}
    supernet.extract({"a": 2}, example=(X,))
    assert [m.training for m in supernet.model] == [True, True, False]
    assert all(torch.equal(t, before[name]) for name, t in supernet.state_dict().items())
    assert not supernet.model[0]._forward_pre_hooks


def test_layer_that_needs_an_example_says_so():
    with pytest.raises(InputError, match=r"example: expected an input.*extract\(architecture, example=x\)"):
        Supernet(Thin("a")).extract({"a": 2})


def test_fresh_child_is_drawn_for_its_own_width():
    # The bound of torch's rule is 1 / sqrt(fan in): 0.5 for 4 features, 1/16 for the 256 that may come. Of
    # 64 * 4 draws, that none comes above half of the bound has a chance of 2^-256.
    layer = snn.Linear(256, Integer(64, 128, label="w"))
    supernet = Supernet(nn.Sequential(snn.Linear(3, 4), layer))
    slices = supernet.extract({"w": 64}, example=X)[1].weight
    torch.manual_seed(0)
    drawn = supernet.extract({"w": 64}, example=X, fresh=True)[1].weight
    assert slices.abs().max() <= 1 / 16
    assert 0.25 < drawn.abs().max() <= 0.5
    assert supernet.extract({"w": 64}, example=X, fresh=True)[1].weight.shape == (64, 4)


def test_fresh_child_keeps_the_first_weights_of_whole_layers():
    supernet = Supernet(nn.Sequential(snn.Linear(3, Integer(2, 4, label="w")), nn.Tanh(), nn.Identity()))
    whole = supernet.extract({"w": 4}, example=X, fresh=True)
    assert torch.equal(whole[0].weight, supernet.model[0].weight)


def test_fresh_attention_is_as_torchs():
    torch.manual_seed(0)
    attention = snn.MultiheadAttention(16, Categorical([1, 2], label="heads"))
    x = torch.randn(5, 2, 8)
    child = Supernet(attention).extract({"heads": 2}, example=(x, x, x), fresh=True)
    torch.manual_seed(1)
    plain = nn.MultiheadAttention(8, 2)
    assert not child.in_proj_bias.any()
    assert not child.out_proj.bias.any()
    bounds = [float(attention.in_proj_weight.detach().abs().max()) for attention in (child, plain)]
    assert bounds[0] == pytest.approx(bounds[1], rel=0.05)


def test_a_layer_of_whole_parts_is_drawn_anew_once_they_are_there():
    hidden = Integer(4, 16, step=4, label="hidden")
    supernet = Supernet(nn.Sequential(snn.TransformerEncoderLayer(8, 2, dim_feedforward=hidden)))
    child = supernet.extract({"hidden": 4}, example=torch.randn(3, 2, 8), fresh=True)
    assert child[0].linear1.weight.shape == (4, 8)
    assert not torch.equal(child[0].linear1.weight, supernet.model[0].linear1.weight[:4])
    assert torch.equal(child[0].norm1.weight, torch.ones(8))


def test_an_example_of_one_item_is_enough_for_a_batch_norm_of_maps_of_one_value():
    width = Integer(2, 8, label="width")
    body = [snn.Conv2d(3, width, 4), snn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), snn.Linear(width, 2)]
    supernet = Supernet(nn.Sequential(*body))
    child = supernet.extract({"width": 5}, example=torch.randn(1, 3, 4, 4))
    assert (child[1].num_features, child[4].in_features) == (5, 5)
