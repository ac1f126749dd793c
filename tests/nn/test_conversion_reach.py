"""What no call of the example reaches is not cut, and which layers run does not change in a proof."""

import random

import pytest
import torch
from torch import nn

from asng import nn as snn
from asng.errors import InputError
from asng.nn.conversion import outputs_of, shaken
from asng.nn.conversion.reach import watched


class Heads(nn.Module):
    """A shared trunk, and one head per task."""

    def __init__(self, sizes=(4, 16)):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 32), nn.ReLU())
        self.heads = nn.ModuleDict({"a": nn.Linear(32, sizes[0]), "b": nn.Linear(32, sizes[1])})

    def forward(self, x, task):
        return self.heads[task](self.trunk(x))


class Auxiliary(nn.Module):
    """As GoogLeNet: an auxiliary head that runs in training only, with dropout as a function."""

    def __init__(self):
        super().__init__()
        self.stem, self.body, self.head = nn.Linear(8, 16), nn.Linear(16, 32), nn.Linear(32, 4)
        self.aux = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x):
        x = torch.relu(self.stem(x))
        y = self.head(torch.relu(self.body(x)))
        return (y, self.aux(nn.functional.dropout(x, 0.5, self.training))) if self.training else y


class Routed(nn.Module):
    """Each item goes to one of several experts."""

    def __init__(self, count=4):
        super().__init__()
        self.inp, self.gate, self.head = nn.Linear(8, 16), nn.Linear(16, count), nn.Linear(16, 3)
        self.free = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16)) for _ in range(count)
        )

    def forward(self, x):
        x = self.inp(x)
        best = self.gate(x).argmax(-1)
        y = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            there = (best == number).nonzero().squeeze(-1)
            if there.numel():
                y[there] = expert(x[there])
        return self.free(self.head(x + y))


def calls(*tasks):
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    return [snn.Inputs((x, task)) for task in tasks]


def children(supernet, example, count=4):
    architectures = [supernet.space.sample(random.Random(seed)) for seed in range(count)]
    return [supernet.extract(one, example=example) for one in architectures]


def test_a_layer_that_no_call_reaches_is_not_cut_and_the_table_says_so():
    supernet = snn.searchable(Heads(), calls("a"))
    assert set(supernet.space) == {"trunk.0", "trunk.2"}
    assert "no call reaches it" in supernet.conversion.fixed["heads.b"]
    assert "example=" in supernet.conversion.fixed["heads.b"]
    assert supernet.conversion.unreached == ("heads.b",)
    with pytest.warns(UserWarning, match=r"no call of the example ran heads\.b"):
        made = children(supernet, calls("a"))
    assert all(child.heads["b"].out_features == 16 for child in made)


def test_children_run_all_heads_that_the_example_reaches():
    supernet = snn.searchable(Heads(), calls("a", "b"))
    assert not supernet.conversion.unreached
    for child in children(supernet, calls("a", "b")):
        assert [one.call(child).shape for one in calls("a", "b")] == [(4, 4), (4, 16)]


def test_a_branch_that_runs_in_training_only_is_proved_too():
    x = torch.randn(4, 8)
    supernet = snn.searchable(Auxiliary(), x)
    assert "part of the output" in supernet.conversion.fixed["aux.2"]
    assert {"stem", "body", "aux.0"} <= set(supernet.space)
    for child in children(supernet, x):
        assert [tuple(out.shape) for out in child.train()(x)] == [(4, 4), (4, 4)]
        assert child.eval()(x).shape == (4, 4)


def test_a_tensor_that_no_call_reads_is_in_the_table():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer = nn.Linear(4, 8), nn.Linear(8, 2)
            self.mask = nn.Parameter(torch.zeros(8))

        def forward(self, x, masked=False):
            x = torch.tanh(self.inner(x))
            return self.outer(x + self.mask if masked else x)

    supernet = snn.searchable(Masked(), torch.randn(3, 4))
    assert "no call reaches it" in supernet.conversion.fixed["mask"]


def test_if_calls_reach_some_experts_none_is_cut_and_their_widths_stay():
    torch.manual_seed(0)
    model, x = Routed(), torch.randn(1, 8)
    supernet = snn.searchable(model, x.expand(2, 8))
    assert set(supernet.space) == {"free.0", "head"}
    fixed = supernet.conversion.fixed
    assert sum("no call reaches it" in fixed[f"experts.{k}.0"] for k in range(4)) == 3
    assert sum("only some layers of its kind" in fixed[f"experts.{k}.0"] for k in range(4)) == 1
    assert "inp" in fixed


def test_experts_that_are_all_reached_can_be_cut_and_children_run_on_any_routing():
    torch.manual_seed(0)
    supernet = snn.searchable(Routed(2), torch.randn(12, 8), depth=False)
    assert {"experts.0.0", "experts.1.0"} <= set(supernet.space)
    for child in children(supernet, torch.randn(12, 8)):
        assert child(torch.randn(64, 8)).shape == (64, 3)


def test_a_width_is_refused_if_its_proof_runs_other_layers():
    class Switched(nn.Module):
        """The sum of channels, of which the last is the largest, decides which of two layers runs."""

        def __init__(self):
            super().__init__()
            self.inner, self.left, self.right = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 2)
            self.inner.weight.data.zero_()
            self.inner.bias.data.copy_(torch.tensor([-1.0] * 7 + [12.0]))

        def forward(self, x):
            x = self.inner(x)
            return self.left(x) if x.nansum() > 0 else self.right(x)

    with pytest.raises(InputError, match="without these channels other layers run"):
        snn.searchable(Switched(), torch.randn(3, 4))


def test_noise_on_the_weights_is_lowered_until_the_same_layers_run():
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.Parameter(torch.zeros(4))
            self.usual, self.other = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x):
            return self.usual(x) if self.gate.abs().max() < 1e-3 else self.other(x)

    copied, twice = shaken(Fragile(), [snn.Inputs((torch.randn(2, 4),))])
    with watched(copied) as reached:
        outputs_of(copied, twice)
    assert "usual" in reached
    assert "other" not in reached
    assert copied.gate.abs().max() > 0.0


class Spare(nn.Module):
    """A layer that only labels reach, which the call does not give."""

    def __init__(self):
        super().__init__()
        self.body, self.labels = Heads().trunk, nn.Embedding(3, 32)

    def forward(self, x):
        return self.body(self.inner(x))

    def inner(self, x, labels=None):
        return x if labels is None else x + self.labels(labels)


@pytest.mark.filterwarnings("ignore:extract. no call:UserWarning")
def test_no_architecture_is_tried_to_reach_what_no_call_of_the_conversion_reached(monkeypatch):
    x = torch.randn(4, 8)
    supernet = snn.searchable(Spare(), x)
    assert supernet.conversion.unreached == ("labels",)
    monkeypatch.setattr("asng.nn.extraction.extract.excluded", None)
    child = supernet.extract({name: v.low for name, v in supernet.space.items()}, example=x)
    assert child.labels.weight.shape == (3, 32)
