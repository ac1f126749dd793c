"""Costs of the children of a supernet: of the right network, once each, and without a trace."""

import math
import random
from functools import partial

import pytest
import torch
from problems import two_layers
from torch import nn

import asng
from asng import nn as snn
from asng.costs import Budget, Penalty, activation_memory, latency, multiply_adds, parameters
from asng.costs.measures import MEASURES
from asng.costs.meter import CostMeter
from asng.errors import InputError
from asng.nn import Choice, Supernet
from asng.runs.events import CostLimit
from asng.space import Architecture, Integer
from asng.supernets import EnasCellNetwork, TabularMLP

X = torch.arange(12.0).reshape(4, 3)


class Conditional(nn.Module):
    """The second choice is read under "deep" only."""

    def __init__(self):
        super().__init__()
        self.depth = Choice({"flat": nn.Linear(3, 2), "deep": nn.Linear(3, 8)}, label="depth")
        self.head = Choice(
            {"one": nn.Linear(8, 2), "tanh": nn.Sequential(nn.Tanh(), nn.Linear(8, 2))}, label="head"
        )

    def forward(self, x):
        y = self.depth(x)
        return y if y.shape[1] == 2 else self.head(y)


def conditional():
    torch.manual_seed(0)
    return Supernet(Conditional())


def meter_of(supernet, *measures, example=(X,)):
    return CostMeter(supernet, [Budget(measure, limit=1.0) for measure in measures], lambda: example)


ARCHITECTURES = [Architecture({"depth": d, "head": h}) for d in ("flat", "deep") for h in ("one", "tanh")]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_costs_are_those_of_the_child(architecture):
    supernet = conditional()
    child = supernet.extract(architecture, example=X)
    values = meter_of(supernet, "parameters", "multiply_adds", "activation_memory").of(architecture).values
    assert values == {
        "parameters": parameters(child),
        "multiply_adds": multiply_adds(child, (X,)),
        "activation_memory": activation_memory(child, (X,)),
    }
    flat = architecture["depth"] == "flat"
    assert values["parameters"] == (3 * 2 + 2 if flat else 3 * 8 + 8 + 8 * 2 + 2)


def test_an_error_of_a_users_measure_says_which_and_of_what():
    def joules(child, inputs):
        raise OSError("no power meter")

    with pytest.raises(OSError, match="no power meter") as caught:
        meter_of(conditional(), joules).of(ARCHITECTURES[0])
    told = [*getattr(caught.value, "__notes__", ()), str(caught.value.__cause__)]  # Python 3.10 has no notes
    assert any(line.startswith("While the cost 'joules' of the architecture {'depth':") for line in told)


def test_costs_are_measured_once_for_each_distinct_child():
    seen = []

    def slow(child, inputs):
        seen.append(child)
        return float(len(seen))

    meter = meter_of(conditional(), slow)
    values = [[meter.of(architecture).values["slow"] for architecture in ARCHITECTURES] for _ in range(3)]
    assert values == [[1.0, 1.0, 2.0, 3.0]] * 3  # under "flat" the head is not read


def test_the_clock_runs_once_for_each_distinct_child():
    supernet, passes = conditional(), []
    supernet.model.register_forward_hook(lambda *call: passes.append(torch.is_inference_mode_enabled()))
    meter = meter_of(supernet, "latency")
    first = [meter.of(architecture).values for architecture in ARCHITECTURES]
    timed = passes.count(True)
    assert timed >= 3 * 18
    assert [meter.of(architecture).values for architecture in ARCHITECTURES] == first
    assert passes.count(True) == timed
    assert all(value["latency"] > 0 for value in first)


# --- clocks near a limit ---------------------------------------------------------------------------------


def told(monkeypatch, *seconds):
    """Have `latency` give these one after the other."""
    left = list(seconds)

    def latency(child, inputs):
        return left.pop(0)

    monkeypatch.setitem(MEASURES, "latency", latency)
    monkeypatch.setattr("asng.costs.measures._TIMED", (latency,))
    return left


@pytest.mark.parametrize(
    ("seconds", "cost", "left"),
    [((0.8, 9.0, 9.0), 0.8, 2), ((0.95, 0.9, 1.04), 1.04, 0), ((1.05, 0.9, 0.9), 1.05, 0)],
)
def test_near_a_limit_the_greatest_of_three_counts(monkeypatch, seconds, cost, left):
    remaining = told(monkeypatch, *seconds)
    assert meter_of(conditional(), "latency").of(ARCHITECTURES[0]).values == {"latency": cost}
    assert len(remaining) == left


def test_what_is_measured_again_counts_if_it_is_more(monkeypatch):
    told(monkeypatch, 0.5, 0.4, 0.8, 1.5)
    meter = meter_of(conditional(), "latency")
    assert meter.of(ARCHITECTURES[0]).excess == 0.0
    assert meter.confirm(ARCHITECTURES[0])
    assert meter.of(ARCHITECTURES[0]).values == {"latency": 0.5}
    assert meter.confirm(ARCHITECTURES[0])
    assert meter.of(ARCHITECTURES[0]).values == {"latency": 0.8}
    assert not meter.confirm(ARCHITECTURES[1])  # the same child
    assert meter.of(ARCHITECTURES[0]).excess == 0.5


def test_counts_are_not_taken_again():
    meter = meter_of(conditional(), "parameters")
    meter._known = {key: {"parameters": 0.5} for key in meter._keys(ARCHITECTURES)}
    assert all(meter.confirm(architecture) for architecture in ARCHITECTURES)


# --- shares ----------------------------------------------------------------------------------------------


def test_a_share_is_of_the_largest_values_and_the_dearest_choices():
    supernet = conditional()
    budget = Budget("parameters", share=0.5)
    meter = CostMeter(supernet, [budget, Penalty("multiply_adds", weight=1.0, share=1.0)], lambda: (X,))
    whole = supernet.extract(ARCHITECTURES[2], example=X)
    parameters_, multiply_adds_ = parameters(whole), multiply_adds(whole, (X,))
    assert meter.terms == (
        Budget("parameters", limit=parameters_ / 2),
        Penalty("multiply_adds", weight=1.0, target=multiply_adds_),
    )
    assert meter.limits() == (
        CostLimit("parameters", "budget", parameters_ / 2, 0.5, parameters_),
        CostLimit("multiply_adds", "penalty", multiply_adds_, 1.0, multiply_adds_),
    )
    assert [meter.of(a).excess for a in ARCHITECTURES[::2]] == [0.0, 1.0]


def test_of_ordered_sizes_the_whole_is_the_greatest_of_all():
    width = Integer(2, 8, label="width")
    supernet = Supernet(nn.Sequential(asng.nn.Linear(3, width), asng.nn.Linear(width, 2)))
    [term] = CostMeter(supernet, [Budget("multiply_adds", share=0.25)], lambda: (X,)).terms
    assert term.limit == 4 * (3 * 8 + 8 * 2) / 4


def test_by_a_clock_the_whole_is_the_median_of_three_and_a_checkpoint_keeps_it(monkeypatch):
    told(monkeypatch, 5.0, 2.0, 3.0)
    make = lambda share: CostMeter(conditional(), [Budget("latency", share=share)], lambda: (X,))  # noqa: E731
    meter = make(0.5)
    assert meter.terms == (Budget("latency", limit=1.5),)
    again = make(0.25)
    again.load_state_dict(meter.state_dict())
    assert again.terms == (Budget("latency", limit=0.75),)  # and no fourth was measured


def test_a_share_of_nothing_is_refused():
    with pytest.raises(
        InputError, match=r"'free': expected the whole network to have a cost above 0, .* got 0"
    ):
        _ = CostMeter(conditional(), [Budget(free, share=0.5)], lambda: (X,)).terms


def free(child, inputs):
    return 0.0


# --- before a search -------------------------------------------------------------------------------------


def test_the_smallest_within_is_all_that_is_measured():
    seen = []

    def mine(child, inputs):
        seen.append(child)
        return 0.5

    meter_of(conditional(), mine).check_budgets()
    assert len(seen) == 1


def test_a_budget_below_the_smallest_names_limits_and_the_least():
    meter = CostMeter(conditional(), [Budget("parameters", share=0.01)], lambda: (X,))
    words = r"budget \(parameters <= 0.5, 0.01 of 50\), got none .* The least found is parameters 8\."
    with pytest.raises(InputError, match=words):
        meter.check_budgets()


class Apart(nn.Module):
    """What is narrow is slow: two costs that pull apart, and only the middle is within both."""

    def __init__(self, options=4):
        super().__init__()
        sizes = {f"w{n}": nn.Linear(3, n) for n in (1, 2, 3, 4)}
        self.body = Choice(sizes, label="body")
        self.other = Choice({"a": nn.Linear(3, 5), "b": nn.Identity()}, label="other")

    def forward(self, x):
        self.other(x)
        return self.body(x)


def slowness(child, inputs):
    return 1.0 / child.body.out_features


def test_budgets_that_pull_apart_are_met_by_what_lies_between():
    def meter(slow):
        terms = [Budget("parameters", limit=10), Budget(slowness, limit=slow)]
        return CostMeter(Supernet(Apart()), terms, lambda: (X,))

    meter(0.5).check_budgets()  # the width of 2 has 8 weights
    words = r"parameters <= 10, slowness <= 0.4.* least found is parameters 4, slowness 0.25, each on its own"
    with pytest.raises(InputError, match=words):
        meter(0.4).check_budgets()


def test_a_penalty_is_no_budget():
    CostMeter(conditional(), [Penalty("parameters", weight=1.0, target=1e-9)], lambda: (X,)).check_budgets()


def test_several_functions_of_ones_own_are_measured_on_one_child():
    def first(child, inputs):
        return float(len(list(child.parameters())))

    def second(child, inputs):
        return float(child(*inputs).shape[1])

    meter = meter_of(conditional(), first, second, "bytes")
    assert meter.of(ARCHITECTURES[0]).values == {"first": 2.0, "second": 2.0, "bytes": 32.0}


def test_what_was_read_is_said():
    meter = meter_of(conditional(), "parameters")
    read = [meter.of(architecture).active for architecture in ARCHITECTURES]
    assert read == [{"depth"}, {"depth"}, {"depth", "head"}, {"depth", "head"}]


def test_penalty_and_excess_come_with_the_costs():
    terms = [Penalty("parameters", weight=2.0, target=4.0), Budget("parameters", limit=2.0)]
    costs = CostMeter(conditional(), terms, lambda: (X,)).of(ARCHITECTURES[0])
    assert (costs.values, costs.penalty, costs.excess) == ({"parameters": 8.0}, 2.0, 3.0)


def test_without_terms_nothing_is_measured():
    costs = CostMeter(conditional(), (), lambda: 1 / 0).of(ARCHITECTURES[0])
    assert (costs.values, costs.active, costs.penalty, costs.excess) == ({}, None, 0.0, 0.0)


@pytest.mark.parametrize("numbers_take_less", [False, True])
def test_what_can_be_counted_is_counted_where_a_pass_takes_less(numbers_take_less, monkeypatch):
    monkeypatch.setattr(CostMeter, "_numbers_take_less", numbers_take_less)
    devices = set()

    class Spy(nn.Linear):
        def forward(self, x):
            devices.add(x.device.type)
            devices.add(torch.zeros(1).device.type)  # what a module makes anew
            return super().forward(x)

    supernet = Supernet(Choice([Spy(3, 2), nn.Linear(3, 2)], label="op"))
    meter = meter_of(supernet, "parameters", "multiply_adds")
    assert meter.of(Architecture({"op": 0})).values == {"parameters": 3 * 2 + 2, "multiply_adds": 4 * 3 * 2}
    assert devices == ({"cpu"} if numbers_take_less else {"meta"})


def test_a_large_pass_is_counted_without_numbers():
    devices = set()

    class Spy(nn.Linear):
        def forward(self, x):
            devices.add(x.device.type)
            return super().forward(x)

    supernet = Supernet(Choice([Spy(2000, 2000), Spy(2000, 900)], label="op"))
    meter = CostMeter(supernet, [Budget("multiply_adds", limit=1.0)], lambda: (torch.ones(500, 2000),))
    meter.of(Architecture({"op": 0}))  # both places are timed
    devices.clear()
    meter.of(Architecture({"op": 1}))
    assert devices == {"meta"}


class Stubborn(nn.Module):
    """Asks for a number, which a tensor on the meta device has not."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x) if float(x.sum()) > 0 else x


class Uncopied(nn.Linear):
    def __deepcopy__(self, memo):
        if any(isinstance(v, torch.Tensor) and v.device.type == "meta" for v in memo.values()):
            raise TypeError("not to be copied there")
        return type(self)(3, 2)


@pytest.mark.parametrize("module", [Stubborn, lambda: Uncopied(3, 2)])
def test_where_a_module_cannot_do_without_numbers_the_real_one_is_counted(module):
    supernet = Supernet(Choice([module(), nn.Linear(3, 5)], label="op"))
    values = meter_of(supernet, "parameters", "multiply_adds").of(Architecture({"op": 0})).values
    assert values == {"parameters": 8.0, "multiply_adds": 24.0}


def test_an_error_of_the_model_is_told_as_it_is():
    meter = meter_of(conditional(), "parameters", example=(torch.ones(4, 7),))
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        meter.of(ARCHITECTURES[0])


def test_measuring_leaves_modes_statistics_weights_and_generators_alone():
    supernet = two_layers(norm=True)
    supernet.train()
    supernet.model[1].eval()
    modes = [module.training for module in supernet.modules()]
    state = {name: value.clone() for name, value in supernet.state_dict().items()}
    before = torch.get_rng_state()

    def noisy(child, inputs):
        assert not child.training
        child.train()(*inputs)
        child[0][0].weight.data.fill_(math.nan)
        return float(torch.rand(1))

    meter_of(supernet, "multiply_adds", "latency", noisy).of(Architecture({"a": "tanh", "b": "drop"}))
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in supernet.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in supernet.state_dict().items())


def test_a_measure_of_ones_own_is_given_the_plain_child_and_its_inputs():
    given = []

    def mine(child, inputs):
        given.append((child, inputs))
        return torch.tensor(3)

    supernet = conditional()
    assert meter_of(supernet, mine).of(ARCHITECTURES[2]).values == {"mine": 3.0}
    ((child, inputs),) = given
    assert not any(type(module).__module__.startswith("asng") for module in child.modules())
    assert torch.equal(child(*inputs), supernet(X, architecture=ARCHITECTURES[2]))


def test_a_measure_with_settings_of_its_own_counts_as_its_function():
    meter = meter_of(conditional(), partial(latency, warmup=0, repeats=1))
    assert meter.of(ARCHITECTURES[0]).values["latency"] > 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_cost_that_is_not_finite_is_named(value):
    def broken(child, inputs):
        return value

    with pytest.raises(InputError, match=rf"cost 'broken': .* finite number from .*broken, got {value} for"):
        meter_of(conditional(), broken).of(ARCHITECTURES[0])


def test_a_cost_that_is_no_number_is_named():
    def broken(child, inputs):
        return "dear"

    with pytest.raises(InputError, match=r"cost 'broken': expected one number from .*broken, got 'dear'"):
        meter_of(conditional(), broken).of(ARCHITECTURES[0])


def test_known_costs_are_taken_over_and_only_new_measures_are_taken():
    calls = []

    def mine(child, inputs):
        calls.append("mine")
        return 7.0

    def other(child, inputs):
        calls.append("other")
        return 9.0

    first = meter_of(conditional(), mine)
    first.of(ARCHITECTURES[0])
    again = meter_of(conditional(), mine, other)
    again.load_state_dict(first.state_dict())
    assert again.of(ARCHITECTURES[1]).values == {"mine": 7.0, "other": 9.0}
    assert calls == ["mine", "other"]


def test_inputs_may_be_several_and_nested():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.op = Choice([nn.Linear(3, 1), nn.Linear(3, 4)], label="op")

        def forward(self, batch, scale):
            return self.op(batch["x"][0]) * scale

    meter = meter_of(Supernet(Masked()), "multiply_adds", example=({"x": [X]}, torch.ones(1)))
    assert [meter.of(Architecture({"op": i})).values["multiply_adds"] for i in (0, 1)] == [12, 48]


# --- sizes -------------------------------------------------------------------------------------------------


def convolutions():
    width, kernel = Integer(2, 8), Choice([nn.Identity(), nn.AvgPool2d(2)], label="pool")
    layers = [asng.nn.Conv2d(1, width, 3, padding=1), asng.nn.BatchNorm2d(width), nn.ReLU(), kernel]
    return nn.Sequential(*layers, asng.nn.Conv2d(width, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


MODELS = {
    "conditional": (conditional, X),
    "dropout": (two_layers, X),
    "norm": (lambda: two_layers(norm=True), X),
    "widths": (lambda: Supernet(convolutions()), torch.ones(2, 1, 6, 6)),
    "table": (
        lambda: Supernet(TabularMLP(features=3, outputs=2, width=Integer(4, 16), depth=Integer(1, 3))),
        X,
    ),
    "cells": (
        lambda: Supernet(EnasCellNetwork(in_channels=1, classes=2, image_size=8, cells=1, nodes=2)),
        torch.ones(2, 1, 8, 8),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_size_is_the_multiply_adds_of_the_child_and_leaves_no_trace(name):
    make, x = MODELS[name]
    supernet, rng = make().train(), random.Random(0)
    architectures = [supernet.space.sample(rng) for _ in range(8)]
    torch.manual_seed(1)
    before = {key: value.clone() for key, value in supernet.state_dict().items()}
    modes, state = [module.training for module in supernet.modules()], torch.get_rng_state()
    sizes = CostMeter(supernet, (), lambda: (x,)).sizes(architectures)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in supernet.modules()] == modes
    assert all(torch.equal(before[key], value) for key, value in supernet.state_dict().items())
    for architecture, (size, read) in zip(architectures, sizes, strict=True):
        child = supernet.extract(architecture, example=x).eval()
        assert size == multiply_adds(child, (x,))
        with torch.no_grad():
            supernet.eval()(x, architecture=architecture)
        assert read == supernet.active
        supernet.train()


def test_sizes_are_counted_once_and_what_is_read_is_then_known_to_costs(monkeypatch):
    monkeypatch.setattr(CostMeter, "_numbers_take_less", False)
    supernet, passes = conditional(), []
    meter = CostMeter(supernet, [Budget("parameters", limit=1.0)], lambda: (X,))
    meter.prepare(sizes=True)
    counting = meter._on_meta.supernet  # the copy that passes are run on
    counting.model.register_forward_hook(lambda *call: passes.append(1))
    sizes = meter.sizes([*ARCHITECTURES, *ARCHITECTURES])
    assert sizes[:4] == sizes[4:] == meter.sizes(ARCHITECTURES)
    assert len(passes) == 4
    assert [read for _, read in sizes[:4]] == [meter.of(a).active for a in ARCHITECTURES]


def test_what_does_not_fit_into_memory_has_no_size_and_reads_all():
    class Huge(nn.Module):
        def forward(self, x):
            return torch.empty(2**50).sum().item() * x  # asks for a number, so that it needs a device

    supernet = Supernet(nn.Sequential(Choice([Huge(), nn.Identity()], label="op"), nn.Linear(3, 2)))
    sizes = CostMeter(supernet, (), lambda: (X,)).sizes([Architecture({"op": k}) for k in (0, 1)])
    assert sizes == [(-math.inf, {"op"}), (4 * 3 * 2, {"op"})]


def test_one_item_is_enough_where_a_batch_norm_sees_one_value_of_each_channel():
    width = Integer(2, 8, label="width")
    body = [snn.Conv2d(3, width, 4), snn.BatchNorm2d(width), nn.Flatten(), snn.Linear(width, 2)]
    meter = meter_of(Supernet(nn.Sequential(*body)), multiply_adds, example=(torch.randn(1, 3, 4, 4),))
    architecture = Architecture({"width": 5})
    assert meter.of(architecture).values == {"multiply_adds": 5 * 3 * 16 + 5 * 2}
    assert meter.sizes([architecture])[0][0] == 5 * 3 * 16 + 5 * 2


def test_the_bytes_of_a_child_are_with_the_averages_that_it_gets():
    width = Integer(2, 8, label="width")
    body = [snn.Linear(3, width, bias=False), snn.BatchNorm1d(width), nn.Flatten()]
    meter = meter_of(Supernet(nn.Sequential(*body)), "bytes")
    assert meter.of(Architecture({"width": 5})).values == {"bytes": 4 * (3 * 5 + 4 * 5) + 8}
