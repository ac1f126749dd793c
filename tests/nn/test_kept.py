"""What a child keeps: all that the architecture does not exclude, whether a call reaches it or not."""

import random
import re
import warnings

import pytest
import torch
from plain_blocks import Constant, Residual, Switched, WeightReader
from torch import nn

from asng import nn as snn
from asng.nn import Choice, Supernet
from asng.space import Integer

X = torch.randn(3, 4)
WIDTH = Integer(2, 8, label="w")


class Tasks(nn.Module):
    """One body, and a head for each task, of which a call names one."""

    def __init__(self, make):
        super().__init__()
        self.body, self.heads = snn.Linear(4, WIDTH), nn.ModuleDict({"a": make(), "b": make()})

    def forward(self, x, task):
        return self.heads[task](torch.relu(self.body(x)))


class Experts(nn.Module):
    """The data decide which expert runs."""

    def __init__(self, make, count=8):
        super().__init__()
        self.gate, self.experts = nn.Linear(4, count), nn.ModuleList(make() for _ in range(count))
        self.body = snn.Linear(4, WIDTH)

    def forward(self, x):
        to, h = self.gate(x).argmax(-1), self.body(x)
        return torch.stack([self.experts[int(i)](row) for i, row in zip(to, h, strict=True)])


class Heads(nn.Module):
    """A head in each mode, and one in training only."""

    def __init__(self):
        super().__init__()
        self.body = snn.Linear(4, WIDTH)
        self.main, self.extra, self.still = (snn.Linear(8, 3) for _ in range(3))

    def forward(self, x):
        h = self.body(x)
        return (self.main(h), self.extra(h)) if self.training else self.still(h)


class Skipping(nn.Module):
    """Blocks that training skips at random, drawn by Python or by torch."""

    def __init__(self, draw):
        super().__init__()
        self.body, self.draw = snn.Linear(4, WIDTH), draw
        self.blocks = nn.ModuleList(snn.Linear(8, 8) for _ in range(4))

    def forward(self, x):
        x = self.body(x)
        for block in self.blocks:
            if not (self.training and self.draw() < 0.9):
                x = torch.relu(block(x))
        return x


def same(supernet, child, a, *inputs):
    return torch.equal(child.eval()(*inputs), supernet.eval()(*inputs, architecture=a))


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="extract: no call of the example")
        yield


@pytest.mark.parametrize("make", [lambda: snn.Linear(8, 2), lambda: nn.LazyLinear(2)], ids=["twin", "lazy"])
def test_head_of_another_task_is_kept_at_its_width(make):
    torch.manual_seed(0)
    supernet, a = Supernet(Tasks(make)), {"w": 5}
    for task in "ab":
        supernet(X, task, architecture=a)
    child = supernet.extract(a, example=(X, "a"))
    assert all(same(supernet, child, a, X, task) for task in "ab")


def test_heads_of_unlike_tasks_take_their_width_from_calls_of_each():
    supernet, a = Supernet(Tasks(lambda: snn.Linear(8, 2))), {"w": 5}
    supernet.model.heads["b"] = nn.Sequential(nn.Tanh(), snn.Linear(8, 7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        child = supernet.extract(a, example=[snn.Inputs((X, "a")), snn.Inputs((X,), {"task": "b"})])
    assert all(same(supernet, child, a, X, task) for task in "ab")


@pytest.mark.parametrize(
    "make", [lambda: nn.Identity(), lambda: snn.Linear(8, 2), lambda: Residual(snn.Linear(8, 8))]
)
def test_experts_that_the_example_does_not_choose_are_kept(make):
    torch.manual_seed(0)
    supernet, a = Supernet(Experts(make)), {"w": 5}
    if isinstance(supernet.model.experts[0], Residual):
        a = {"w": 8}
    child, x = supernet.extract(a, example=X[:1]), torch.randn(200, 4)
    assert same(supernet, child, a, x)


@pytest.mark.parametrize("training", [True, False])
def test_what_one_mode_runs_is_kept_in_the_other(training):
    supernet, a = Supernet(Heads()).train(training), {"w": 5}
    child = supernet.extract(a, example=X)
    assert same(supernet, child, a, X)
    results = child.train()(X), supernet.train()(X, architecture=a)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@pytest.mark.parametrize("draw", [random.random, lambda: torch.rand(())])
def test_blocks_that_training_skips_at_random_are_kept(draw):
    supernet, a = Supernet(Skipping(draw)), {"w": 8}
    assert same(supernet, supernet.extract(a, example=X), a, X)


def test_candidates_that_are_not_chosen_and_blocks_beyond_the_depth_are_left_out():
    ops = {"on": nn.Linear(4, 4), "off": nn.Sequential(nn.Linear(4, 4), nn.Tanh())}
    blocks = snn.Repeat(lambda _: nn.Linear(4, 4), Integer(0, 3, label="d"))
    child = Supernet(nn.Sequential(Choice(ops, label="op"), blocks)).extract({"op": "on", "d": 1}, example=X)
    assert list(child.state_dict()) == ["0.weight", "0.bias", "1.0.weight", "1.0.bias"]


def test_child_beside_a_candidate_that_has_no_sizes_yet_is_extracted():
    supernet = Supernet(Choice([nn.LazyLinear(3), nn.LazyLinear(3)], label="c"))
    child = supernet.extract({"c": 0}, example=X)
    assert torch.equal(child(X), supernet(X, architecture={"c": 0}))


def test_what_no_call_reaches_is_kept_and_said_once():
    supernet, a = Supernet(Tasks(lambda: nn.Linear(8, 2))), {"w": 8}
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("error")
        with pytest.warns(UserWarning, match=r"no call of the example ran heads\.b\. They are kept"):
            child = supernet.extract(a, example=(X, "a"))
        assert isinstance(child.heads["b"], nn.Linear)
        supernet.extract(a, example=(X, "a"))  # said before


class Weighted(nn.Module):
    """Has weights for the loss, which no pass reads."""

    def __init__(self):
        super().__init__()
        self.layer = snn.Linear(4, WIDTH)
        self.scales = nn.ParameterDict({"c": nn.Parameter(torch.zeros(()))})
        self.margin = nn.Linear(8, 1)

    def forward(self, x):
        return self.layer(x)


def test_the_removal_of_what_no_call_reaches_is_not_suggested_since_a_loss_may_read_it():
    with pytest.warns(UserWarning, match="ran scales, margin.*or a loss may read them") as said:
        child = Supernet(Weighted()).extract({"w": 5}, example=X)
    assert not re.search("take|remove|out of", str(said[0].message))
    assert sorted(child.state_dict()) == [
        "layer.bias",
        "layer.weight",
        "margin.bias",
        "margin.weight",
        "scales.c",
    ]


def test_what_a_loss_trains_is_kept_without_a_word():
    supernet = Supernet(Weighted())
    output = supernet(X, architecture={"w": 8})
    (
        output.square().mean() * supernet.model.scales["c"].exp() + supernet.model.margin(output).mean()
    ).backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(supernet.extract({"w": 5}, example=X).margin, nn.Linear)


def test_the_width_of_a_trained_twin_that_no_call_reaches_is_still_told():
    supernet = Supernet(Tasks(lambda: snn.Linear(8, WIDTH)))
    supernet(X, "b", architecture={"w": 8}).sum().backward()
    with pytest.warns(UserWarning, match=r"ran heads\.b\..*The width of heads\.b is that of heads\.a"):
        supernet.extract({"w": 5}, example=(X, "a"))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_the_architecture_excludes_by_control_flow_of_the_users_is_left_out(device):
    gate = Choice({"on": Constant(True), "off": Constant(False)}, label="gate")
    supernet = Supernet(Switched(gate, nn.Sequential(snn.Linear(4, WIDTH), snn.Linear(8, 4)))).to(device)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert not list(supernet.extract({"gate": "off", "w": 5}, example=X.to(device)).parameters())
        child = supernet.extract({"gate": "on", "w": 5}, example=X.to(device))
    assert [tuple(p.shape) for p in child.parameters()] == [(5, 4), (5,), (4, 5), (4,)]


class ByData(Switched):
    def forward(self, x):
        return self.extra(x) if self.gate(1) or x.sum() > 1e9 else x


class ByChance(Switched):
    def forward(self, x):
        return self.extra(x) if self.gate(1) or random.random() < 1e-9 else x


class ByMode(Switched):
    def forward(self, x):
        if self.training:
            raise KeyError("targets")
        return super().forward(x)


class ByName(Switched):
    def forward(self, x, task="a"):
        return self.extra(x) if task == "b" or self.gate(1) else x


class Asking(Switched):
    def forward(self, x):
        return super().forward(x) * self.extra.in_features


@pytest.mark.parametrize("kind", [ByData, ByChance, ByMode, ByName, Asking])
def test_what_data_chance_the_mode_or_an_argument_may_reach_is_kept(kind):
    gate = Choice({"on": Constant(True), "off": Constant(False)}, label="gate")
    supernet = Supernet(kind(gate, nn.Linear(4, 4))).eval()
    child = supernet.extract({"gate": "off"}, example=X)
    assert isinstance(child.extra, nn.Linear)
    assert same(supernet, child, {"gate": "off"}, X)


def test_layer_whose_weight_alone_is_read_is_reached():
    supernet = Supernet(WeightReader(Choice([nn.ReLU()], label="op"), 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(supernet, supernet.extract({"op": 0}, example=X), {"op": 0}, X)


def test_attention_is_reached_though_it_never_calls_its_projection():
    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.op = Choice([nn.Identity()], label="op")
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

        def forward(self, x):
            x = self.op(x)
            return self.layer(self.attention(x, x, x)[0])

    supernet = Supernet(Attend()).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(supernet, supernet.extract({"op": 0}, example=X[None]), {"op": 0}, X[None])


class Marked(nn.Module):
    """Leaves traces of each pass: averages, a tensor, a counter, a list, numbers drawn."""

    def __init__(self):
        super().__init__()
        self.norm, self.layer = nn.BatchNorm1d(4), snn.Linear(4, WIDTH)
        self.last, self.passes, self.seen = None, 0, []

    def forward(self, x):
        self.last, self.passes = self.layer(torch.dropout(self.norm(x), 0.5, self.training)), self.passes + 1
        self.seen.append(random.random())
        return self.last


@pytest.mark.parametrize("training", [True, False])
def test_extraction_leaves_the_supernet_and_random_numbers_as_they_were(training):
    supernet = Supernet(Marked()).train(training)
    supernet(X, architecture={"w": 5})
    model, state, drawn = supernet.model, torch.random.get_rng_state(), random.getstate()
    before = {name: t.clone() for name, t in supernet.state_dict().items()}
    last, attributes = model.last, (model.passes, list(model.seen))
    supernet.extract({"w": 3}, example=X)
    assert all(torch.equal(t, before[name]) for name, t in supernet.state_dict().items())
    assert model.last is last
    assert (model.passes, model.seen) == attributes
    assert torch.equal(torch.random.get_rng_state(), state)
    assert random.getstate() == drawn
    assert [m.training for m in model.modules()] == [training] * 3
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_example_that_fails_in_both_modes_raises_the_error_of_its_own():
    class Asks(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = snn.Linear(4, WIDTH)

        def forward(self, x):
            raise KeyError("training" if self.training else "evaluation")

    for training, match in ((True, "training"), (False, "evaluation")):
        with pytest.raises(KeyError, match=match):
            Supernet(Asks()).train(training).extract({"w": 3}, example=X)


class Calling:
    """An object that is no module, and has one."""

    def __init__(self, layer):
        self.layer = layer

    def __call__(self, module, inputs, output):
        return output + self.layer(inputs[0]).mean()


class Referring(nn.Module):
    """Holds layers that are made later in the model, where torch does not look for them."""

    def __init__(self, layer):
        super().__init__()
        self.own, self.listed, self.named = nn.Linear(4, 4), [layer], {"a": (layer,)}
        self.held = Calling(layer)
        self.own.register_forward_hook(Calling(layer))

    def forward(self, x):
        return self.listed[0](self.own(x)) + self.named["a"][0](x) + self.held.layer(x)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        layer = snn.Linear(4, WIDTH)
        self.first, self.layer = Referring(layer), layer

    def forward(self, x):
        return self.layer(x) + self.first(x)


def test_references_to_a_searchable_layer_are_to_its_plain_form():
    supernet, a = Supernet(Twice()).eval(), {"w": 3}
    child, y = supernet.extract(a, example=X), supernet(X, architecture=a)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.zero_()
    assert torch.equal(child(X), y)
    first = child.first
    assert all(layer is child.layer for layer in (*first.listed, *first.named["a"], first.held.layer))
    assert type(child.layer) is nn.Linear


def test_expert_takes_its_width_from_the_experts_beside_it():
    torch.manual_seed(1)

    class Layer(Experts):
        def forward(self, x):
            return super().forward(torch.nn.functional.pad(x, (0, 4 - x.shape[1])))

    narrow, wide = (Layer(lambda: snn.Linear(8, 4)) for _ in range(2))
    wide.body = snn.Linear(4, Integer(2, 8, label="v"))
    supernet, a = Supernet(nn.Sequential(narrow, wide)), {"w": 3, "v": 7}
    child, x = supernet.extract(a, example=X[:1]), torch.randn(200, 4)
    assert {e.in_features for e in child[0].experts} == {3}
    assert {e.in_features for e in child[1].experts} == {7}
    assert same(supernet, child, a, x)
