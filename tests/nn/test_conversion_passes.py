"""A conversion makes few passes, computes little twice, and finds what proofs one by one find."""

import pytest
import torch
from conversions import check_children
from torch import nn
from torch.overrides import TorchFunctionMode

from asng import nn as snn
from asng.nn.conversion import coupled, reach_of, roles_in
from asng.nn.conversion.known import Known
from asng.nn.conversion.options import Options
from asng.nn.conversion.prover import Prover
from asng.nn.inputs import Inputs


class Counted(TorchFunctionMode):
    """Count the calls of `torch.nn.functional.linear` with numbers."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls += getattr(func, "__name__", "") == "linear" and args[0].device.type == "cpu"
        return func(*args, **(kwargs or {}))


def chain(layers):
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Sequential(nn.Linear(16, 16), nn.ReLU(inplace=True)) for _ in range(layers))
    ).eval()


def passes_of(layers):
    """Return how often a conversion passes numbers through a chain of layers."""
    model, passes = chain(layers), []
    real = type(model[0][0]).forward

    class First(nn.Linear):
        def forward(self, x):
            passes.append(x.device.type == "cpu")
            return real(self, x)

    model[0][0].__class__ = First
    snn.searchable(model, torch.randn(2, 16), depth=False, skip="0*")
    return sum(passes)


def test_each_more_width_takes_seven_passes_at_most():
    # Three for the most parts, three for the fewest, and one for whether an output depends on the layer.
    few, many = passes_of(4), passes_of(12)
    assert 0 < many - few <= 7 * 8


def test_most_layers_are_not_computed_again():
    with Counted() as short:
        snn.searchable(chain(6), torch.randn(2, 16), depth=False)
    with Counted() as long:
        snn.searchable(chain(18), torch.randn(2, 16), depth=False)
    # All layers in all passes would be nine times as many.
    assert long.calls < 5 * short.calls


class Sized(nn.Module):
    """Two hidden layers side by side, with code that refuses some of their sizes."""

    def __init__(self, refuses=lambda one, other: False):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other, self.last = nn.Linear(3, 16), nn.Linear(3, 16), nn.Linear(32, 2)
        self.third = nn.Linear(3, 24)
        self.after = nn.Linear(24, 2)
        self.refuses = refuses

    def forward(self, x):
        one, other = self.one(x).relu(), self.other(x).tanh()
        if self.refuses(one.shape[-1], other.shape[-1]):
            raise ValueError("these sizes")
        return self.last(torch.cat([one, other], dim=-1)) + self.after(self.third(x).relu())


class Heads(nn.Module):
    """Queries, keys and values of one layer in four heads; beside it a gated unit."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.into, self.all, self.out = nn.Linear(3, 8), nn.Linear(8, 48), nn.Linear(16, 8)
        self.both, self.last = nn.Linear(8, 32), nn.Linear(16, 8)
        self.wide, self.end = nn.Linear(8, 24), nn.Linear(24, 2)

    def forward(self, x):
        x = self.into(x)
        q, k, v = (part.unflatten(-1, (-1, 4)).transpose(1, 2) for part in self.all(x).chunk(3, dim=-1))
        x = x + self.out(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        one, other = self.both(x).chunk(2, dim=-1)
        x = x + self.last(one.sigmoid() * other)
        return self.end(self.wide(x).relu())


def prover_of(model, x):
    reach = reach_of(model.eval(), [Inputs((x,))])
    roles = roles_in(model)
    return Prover(model, reach, roles), coupled(model, reach.calls, roles).groups


def check_thresholds(model, x, *, least=0.25):
    """The groups and thresholds of proofs in common are those of proofs one by one; return the groups."""
    options = Options.of((), (), None, least)
    together, found = prover_of(model, x)
    groups, _ = together.proved(found, options)
    expected = []
    for paths in found:
        alone, _ = prover_of(model, x)
        expected += alone.proved([paths], options)[0]
    assert groups == expected
    for group in groups:
        alone, _ = prover_of(model, x)
        tables, right = together.thresholds(group), alone.thresholds(group)
        assert tables.keys() == right.keys()
        assert all(torch.equal(tables[path], right[path]) for path in right)
    return {group.name: group for group in groups}


@pytest.mark.parametrize(("model", "x"), [(Sized(), torch.randn(2, 3)), (Heads(), torch.randn(2, 5, 3))])
def test_thresholds_found_together_are_those_found_one_by_one(model, x):
    groups = check_thresholds(model, x)
    assert len(groups) >= 3
    assert {group.units for group in groups.values()} >= {8}


def test_widths_that_cannot_be_narrowed_together_are_proved_one_by_one():
    tried = []

    def refuses(one, other):
        tried.append((one, other))
        return one < 16 and other < 16

    model, x = Sized(refuses), torch.randn(2, 3)
    groups = check_thresholds(model, x)
    assert {name: group.units for name, group in groups.items()} == {"one": 8, "other": 8, "third": 8}
    assert {(10, 16), (16, 10)} <= set(tried)
    assert any(one < 16 and other < 16 for one, other in tried)
    supernet = snn.searchable(model, x)
    assert [group.name for group in supernet.conversion.groups] == ["one", "third"]
    assert "not together" in supernet.conversion.fixed["other"]
    check_children(model, x, supernet)


def test_a_number_of_parts_between_the_ends_that_fails_is_found():
    model, x = Sized(lambda one, _: one == 10), torch.randn(2, 3)
    groups = check_thresholds(model, x)
    assert {name: group.units for name, group in groups.items()} == {"one": 4, "other": 8, "third": 8}


def known_of(model):
    known = Known(model)

    def run(x, **how):
        with torch.no_grad(), Counted() as counted, known.during(**how):
            return model(x), counted.calls

    return run


def test_a_layer_that_is_given_the_same_is_not_computed_again():
    model, x = chain(3).double(), torch.randn(2, 16).double()
    run = known_of(model)
    first, calls = run(x, keep=True)
    again, none = run(x)
    assert (calls, none) == (3, 0)
    assert torch.equal(first, again)
    first.zero_()  # what a model does to its outputs changes nothing that is remembered
    assert torch.equal(run(x)[0], again)
    assert run(x + 1e-14)[1] == 3


def test_a_layer_whose_weight_has_changed_is_computed_again():
    model, x = chain(3).double(), torch.randn(2, 16).double()
    run = known_of(model)
    before, _ = run(x, keep=True)
    with torch.no_grad():
        model[1][0].weight.mul_(2.0)
    got, calls = run(x)
    assert calls == 2
    assert torch.equal(got, model(x))
    whole = model[2][0].weight.data
    model[2][0].weight.data = torch.zeros_like(whole)
    assert torch.equal(run(x)[0], model(x))
    model[2][0].weight.data = whole
    assert torch.equal(run(x)[0], model(x))
    assert not torch.equal(got, before)


def test_inputs_that_differ_by_rounding_are_told_from_others():
    model, x = chain(3).double(), torch.randn(2, 16).double()
    run = known_of(model)
    run(x, keep=True)
    assert run(x * (1.0 + 1e-14), rounded=True)[1] == 0
    assert run(x * (1.0 + 1e-10), rounded=True)[1] == 3
    assert run(torch.full_like(x, torch.nan), rounded=True)[1] == 3
