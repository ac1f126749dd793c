"""What a pass of a layer pays beside torch's own function."""

import copy
import pickle

import pytest
import torch
from torch import nn

from asng import nn as snn
from asng.nn import Supernet
from asng.nn.inputs import tensors_of
from asng.nn.layers import plain
from asng.space import Integer

WIDTH = Integer(2, 8, label="w")
ROWS, IMAGES = torch.randn(5, 8), torch.randn(3, 8, 6, 6)

LAYERS = {
    "Linear": (lambda: snn.Linear(8, WIDTH), ROWS),
    "Conv2d": (lambda: snn.Conv2d(8, WIDTH, 3, padding="same"), IMAGES),
    "depthwise": (
        lambda: nn.Sequential(snn.Conv2d(8, WIDTH, 1), snn.Conv2d(WIDTH, WIDTH, 3, groups=WIDTH)),
        IMAGES,
    ),
    "BatchNorm2d": (lambda: nn.Sequential(snn.Conv2d(8, WIDTH, 1), snn.BatchNorm2d(8)), IMAGES),
    "LayerNorm": (lambda: nn.Sequential(snn.Linear(8, WIDTH), snn.LayerNorm(8)), ROWS),
    "RMSNorm": (lambda: nn.Sequential(snn.Linear(8, WIDTH), snn.RMSNorm(8)), ROWS),
    "GroupNorm": (lambda: nn.Sequential(snn.Linear(8, WIDTH), snn.GroupNorm(1, 8)), ROWS),
    "Embedding": (lambda: snn.Embedding(9, WIDTH), torch.tensor([[3, 8]])),
    "Dropout": (lambda: nn.Sequential(snn.Linear(8, WIDTH), snn.Dropout(0.5)), ROWS),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_one_function_make_no_other_layer(name, monkeypatch):
    make, x = LAYERS[name]
    supernet = Supernet(nn.Sequential(make())).eval()
    child = supernet.extract({"w": 5}, example=x)
    monkeypatch.setattr(plain, "plain_class", None)  # without which none can be made
    with torch.no_grad():
        assert torch.equal(supernet(x, architecture={"w": 5}), child(x))


def test_plans_are_found_once_for_all_passes_of_their_sizes(monkeypatch):
    supernet = Supernet(nn.Sequential(snn.Linear(8, Integer(2, 8, label="w")), snn.Linear(8, 3)))
    supernet(ROWS, architecture={"w": 7})
    monkeypatch.setattr(plain, "Plan", None)
    supernet(ROWS, architecture={"w": 7}).sum().backward()
    with torch.no_grad():
        supernet(ROWS, architecture={"w": 7})


def test_models_that_have_run_are_copied_and_pickled():
    supernet = Supernet(nn.Sequential(snn.Linear(8, WIDTH), snn.LayerNorm(8)))
    y = supernet(ROWS, architecture={"w": 5})
    for again in (copy.deepcopy(supernet), pickle.loads(pickle.dumps(supernet))):  # noqa: S301
        assert torch.equal(again(ROWS, architecture={"w": 5}), y)


def test_cuts_follow_weights_that_are_written_past_torchs_counter():
    supernet = Supernet(nn.Sequential(snn.Linear(8, WIDTH)))
    with torch.no_grad():
        before = supernet(ROWS, architecture={"w": 5})
        supernet.model[0].weight.data.mul_(2.0)
        supernet.model[0].bias.data.mul_(2.0)
        assert torch.equal(supernet(ROWS, architecture={"w": 5}), 2.0 * before)


def test_calls_with_other_weights_cut_those():
    supernet = Supernet(nn.Sequential(snn.Linear(8, WIDTH)))
    others = {name: 2.0 * p.detach() for name, p in supernet.named_parameters()}
    y = torch.func.functional_call(supernet, others, (ROWS,), {"architecture": {"w": 5}})
    assert torch.equal(y, 2.0 * supernet(ROWS, architecture={"w": 5}))


class Scaled(snn.Conv2d):
    def _conv_forward(self, input, weight, bias):
        return 3.0 * super()._conv_forward(input, weight, bias)


def test_methods_that_a_subclass_changes_run_in_a_pass():
    supernet = Supernet(nn.Sequential(Scaled(8, WIDTH, 3)))
    child = supernet.extract({"w": 5}, example=IMAGES)
    y = supernet(IMAGES, architecture={"w": 5})
    assert torch.equal(child(IMAGES), y)
    assert torch.equal(y, 3.0 * nn.functional.conv2d(IMAGES, child[0].weight, child[0].bias))


def test_averages_that_someone_gives_to_a_norm_are_used():
    norm = snn.BatchNorm1d(8)
    norm.running_mean, norm.running_var = torch.full((8,), 2.0), torch.ones(8)
    assert torch.allclose(norm.eval()(ROWS), (ROWS - 2.0) / (1.0 + norm.eps) ** 0.5)


class Doubled(snn.Linear):
    def plain(self, input=None):
        layer = super().plain(input)
        return plain.shell(layer, {"weight": 2.0 * layer.weight, "bias": 2.0 * layer.bias}, {})


def test_a_plain_layer_of_a_subclass_is_what_runs():
    supernet = Supernet(nn.Sequential(Doubled(8, WIDTH)))
    child = supernet.extract({"w": 5}, example=ROWS)
    assert torch.equal(child[0].weight, 2.0 * supernet.model[0].weight[:5])
    assert torch.equal(child(ROWS), supernet(ROWS, architecture={"w": 5}))


@pytest.mark.parametrize("name", ["Linear", "Conv2d", "depthwise", "GroupNorm", "LSTM"])
def test_derivatives_by_the_input_are_those_of_the_child(name):
    layers = LAYERS | {"LSTM": (lambda: snn.LSTM(8, WIDTH, 2, bidirectional=True), ROWS)}
    make, x = layers[name]
    supernet = Supernet(nn.Sequential(make())).eval()
    child = supernet.extract({"w": 5}, example=x)

    def loss(network):
        return lambda x: sum(out.square().sum() for out in tensors_of(network(x)))

    for derivative in (torch.func.grad, torch.func.jacrev):
        of_part = derivative(loss(lambda x: supernet(x, architecture={"w": 5})))(x)
        assert torch.allclose(of_part, derivative(loss(child))(x), rtol=1e-4, atol=1e-6)
