"""Layers whose widths meet: what fits, what does not, and what is said then."""

import pytest
import torch
from torch import nn

from asng import nn as snn
from asng.errors import InputError, SpaceError
from asng.nn import Supernet
from asng.space import Categorical, Integer, Real

X = torch.randn(2, 3, 5, 5)


class Sum(nn.Module):
    """x + f(x) after a first convolution."""

    def __init__(self, first, second):
        super().__init__()
        self.first = snn.Conv2d(3, Integer(4, 8, label=first), 3, padding=1)
        self.rest = nn.Sequential(nn.ReLU(), snn.Conv2d(8, Integer(4, 8, label=second), 3, padding=1))

    def forward(self, x):
        x = torch.relu(self.first(x))
        return x + 2 * self.rest(x)


def test_a_shared_label_makes_the_widths_of_a_sum_equal():
    supernet = Supernet(Sum("width", "width"))
    assert supernet(X, architecture={"width": 5}).shape == (2, 5, 5, 5)


def test_sum_of_two_widths_names_both_layers():
    supernet = Supernet(Sum("a", "b"))
    with pytest.raises(
        InputError, match=r"add: .*module 'first' and .*module 'rest\.1'\. Give .* same label"
    ):
        supernet(X, architecture={"a": 5, "b": 7})


def test_sum_with_a_fixed_layer_names_both_layers():
    model = Sum("a", "b")
    model.rest[1] = nn.Conv2d(8, 8, 3, padding=1)
    with pytest.raises(
        InputError, match=r"module 'rest\.1' \(torch\.nn\.Conv2d\): expected an input of its own fixed"
    ):
        Supernet(model)(X, architecture={"a": 5})


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(8), nn.Conv2d(8, 2, 1)])
def test_plain_layer_behind_a_searched_width_asks_for_its_twin(layer):
    model = nn.Sequential(snn.Conv2d(3, Integer(4, 8, label="a"), 3), nn.ReLU(), layer)
    with pytest.raises(InputError, match=r"module '2' .*width of module '0'.* Use asng\.nn\.\w+2d, which"):
        Supernet(model)(X, architecture={"a": 5})


def test_failure_that_no_searched_width_has_caused_stays_torchs():
    model = nn.Sequential(snn.Choice([nn.Identity()], label="op"), nn.Linear(3, 3))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Supernet(model)(torch.ones(2, 4), architecture={"op": 0})


def test_looking_for_the_reason_leaves_no_hook():
    supernet = Supernet(Sum("a", "b"))
    with pytest.raises(InputError, match="add"):
        supernet(X, architecture={"a": 5, "b": 7})
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in supernet.modules())


def test_weight_of_two_layers_names_both():
    tied = nn.ModuleDict({"a": snn.Linear(4, Integer(2, 8, label="a")), "b": nn.Linear(4, 8)})
    tied["b"].weight = tied["a"].weight
    with pytest.raises(SpaceError, match=r"b\.weight: expected a weight of this layer alone.* of a\.weight"):
        Supernet(tied)


def test_one_layer_in_two_places_is_fine():
    layer = snn.Linear(4, Integer(4, 4, label="a"))
    supernet = Supernet(nn.Sequential(layer, nn.ReLU(), layer))
    child = supernet.extract({"a": 4}, example=torch.ones(2, 4))
    assert child[0] is child[2]


def test_candidate_that_changes_its_input_in_place_is_named():
    op = snn.Choice({"relu": nn.ReLU(inplace=True), "skip": nn.Identity()}, label="op")
    supernet = Supernet(nn.Sequential(nn.Linear(3, 3), nn.Sequential(op)))
    assert supernet(torch.ones(2, 3), architecture={"op": "skip"}).shape == (2, 3)
    for mode in (torch.enable_grad, torch.no_grad):
        with mode(), pytest.raises(InputError, match=r"module '1\.0' .*candidate 'relu': .*inplace=False"):
            supernet(torch.ones(2, 3), architecture={"op": "relu"})


def test_candidate_may_change_tensors_of_its_own_in_place():
    inner = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))
    supernet = Supernet(snn.Choice([inner], label="op"))
    with torch.inference_mode():
        assert supernet(torch.ones(2, 3), architecture={"op": 0}).shape == (2, 3)


def test_label_of_two_sizes_names_both_layers():
    model = nn.Sequential(snn.Linear(4, Integer(2, 8, label="w")), snn.Linear(8, Integer(2, 9, label="w")))
    with pytest.raises(SpaceError, match=r"'w': expected one variable.* module '0' and .* module '1'"):
        Supernet(model)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: snn.Linear(4, Real(1, 2)), SpaceError, "out_features: expected whole numbers"),
        (lambda: snn.Linear(4, Integer(0, 2)), SpaceError, "out_features: expected an Integer from 1 on"),
        (lambda: snn.Linear(4, Categorical([1, "2"])), SpaceError, "expected choices that are integers >= 1"),
        (lambda: snn.Linear(4.5, 2), InputError, "in_features: expected an integer >= 1, got 4.5"),
        (lambda: snn.Conv2d(8, Integer(4, 12), 3, groups=4), SpaceError, "multiples of groups = 4.*step=4"),
        (lambda: snn.Conv2d(6, 8, 3, groups=4), SpaceError, "in_channels: expected multiples of groups = 4"),
        (
            lambda: snn.Conv2d(8, 8, (3, 3, 3)),
            InputError,
            "kernel_size: expected one side, or 2 of them, got 3",
        ),
        (
            lambda: snn.Conv2d(8, 8, 3, groups=Integer(1, 2)),
            InputError,
            "groups: expected an integer, or the",
        ),
        (
            lambda: snn.Conv2d(8, 12, 3, groups=8),
            SpaceError,
            "out_channels: expected in_channels or a multiple",
        ),
        (lambda: snn.Conv2d(8, 8, 4, stride=2, padding="same"), InputError, "expected odd kernels"),
        (lambda: snn.BatchNorm2d(8, track_running_stats=True), InputError, "recalibrate"),
        (lambda: snn.GroupNorm(3, 8), InputError, "num_channels: expected a multiple of num_groups = 3"),
        (lambda: snn.Embedding(9, Integer(2, 4), max_norm=1.0), InputError, "max_norm: expected none"),
        (lambda: snn.Dropout(Real(0.0, 2.0)), SpaceError, r"p: expected rates in \[0, 1\], got 2.0"),
        (lambda: snn.Activation(["relu"]), InputError, "Did you mean 'ReLU'"),
        (
            lambda: snn.TransformerEncoderLayer(8, 2, activation=Categorical(["tanh"])),
            SpaceError,
            "got 'tanh'",
        ),
        (lambda: snn.Repeat([nn.ReLU()], Integer(0, 2)), InputError, "blocks: expected 2, the greatest"),
        (lambda: snn.Repeat(lambda i: i, 2), InputError, r"blocks\[0\]: expected a torch.nn.Module, got 0"),
        (lambda: snn.Repeat([], Integer(-1, 0)), SpaceError, "depth: expected an Integer from 0 on"),
    ],
)
def test_unfit_arguments_are_named(make, error, match):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(
    ("layer", "inputs", "match"),
    [
        (snn.MultiheadAttention(12, Categorical([5], label="v")), 3, "number of heads = 5, got 12"),
        (snn.GroupNorm(Categorical([5], label="v"), 12), 1, "multiples of num_groups = 5, got 12"),
        (snn.Conv1d(12, 4, Categorical([1], label="v"), groups=4), 1, "in multiples of groups = 4, got 6"),
    ],
)
def test_widths_that_cannot_be_divided_name_the_layer(layer, inputs, match):
    x = (
        torch.ones(2, 6, 12)
        if isinstance(layer, (nn.Conv1d, nn.MultiheadAttention))
        else torch.ones(2, 12, 3)
    )
    with pytest.raises(InputError, match=rf"module ''.*{match}"):
        Supernet(layer)(*[x] * inputs, architecture={"v": layer.search_variables.popitem()[1].choices[0]})


def test_depth_beyond_is_inactive_and_costs_no_gradient():
    blocks = snn.Repeat(lambda i: snn.Linear(4, Integer(4, 4, label=f"w{i}")), Integer(0, 3, label="depth"))
    supernet = Supernet(blocks)
    supernet(torch.ones(2, 4), architecture={"depth": 2, "w0": 4, "w1": 4, "w2": 4}).sum().backward()
    assert supernet.active == {"depth", "w0", "w1"}
    assert [block.weight.grad is None for block in blocks.blocks] == [False, False, True]


def test_child_of_depth_zero_passes_its_input():
    supernet = Supernet(snn.Repeat([nn.Linear(3, 3)], Integer(0, 1, label="depth")))
    child = supernet.extract({"depth": 0})
    assert torch.equal(child(X), X)
    assert type(child) is nn.Sequential


def test_averages_of_torchs_batch_norm_are_left_out_in_loading():
    norm = snn.BatchNorm2d(4)
    torchs = nn.BatchNorm2d(4)
    nn.init.uniform_(torchs.weight)
    norm.load_state_dict(torchs.state_dict())
    assert torch.equal(norm.weight, torchs.weight)


def test_no_child_is_scored_on_the_statistics_of_another():
    norm = Supernet(nn.Sequential(snn.Conv2d(3, Integer(2, 4, label="w"), 1), snn.BatchNorm2d(4)))
    a, others = {"w": 3}, [{"w": 2}, {"w": 4}]
    before = norm.eval()(X, architecture=a)
    norm.train()
    for other in others:
        norm(50 * X, architecture=other)
    assert torch.equal(norm.eval()(X, architecture=a), before)
