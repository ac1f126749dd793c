import weakref
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from asng.errors import InputError
from asng.nn import Supernet
from asng.supernets import EnasCellNetwork
from asng.supernets.enas.operations import RecomputedSequential


def _network(**changes):
    torch.manual_seed(0)
    sizes = {"in_channels": 1, "classes": 10, "image_size": 14, "cells": 3, "nodes": 3, "channels": 4}
    return Supernet(EnasCellNetwork(**(sizes | changes)))


def _gradients(supernet, seed):
    x = torch.randn(6, 1, 14, 14, generator=torch.Generator().manual_seed(seed))
    x = x.to(memory_format=torch.channels_last)
    logits = supernet(x, architecture=supernet.space.sample(Random(seed)))
    logits.logsumexp(1).sum().backward()
    return logits.detach(), [parameter.grad for parameter in supernet.parameters()]


@given(st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
@pytest.mark.slow
def test_outputs_and_gradients_are_those_of_the_network_that_keeps_all_to_the_bit(seed):
    logits, gradients = _gradients(_network(), seed)
    same_logits, same_gradients = _gradients(_network(recompute=True), seed)
    assert torch.equal(logits, same_logits)
    for one, other in zip(gradients, same_gradients, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def _alive_after(network, x):
    """Which outputs of the layers but the last are still in memory after a forward pass."""
    outputs = []

    def note(_, __, output):
        outputs.append(weakref.ref(output.untyped_storage()))

    hooks = [layer.register_forward_hook(note) for layer in network]
    result = network(x)
    for hook in hooks:
        hook.remove()
    alive = [output() is not None for output in outputs[:-1]]
    result.sum().backward()
    return alive


def test_outputs_of_relu_and_normalisation_before_a_convolution_are_let_go():
    def layers():
        for _ in range(2):
            yield nn.ReLU()
            yield nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
            yield nn.Conv2d(8, 8, 1, bias=False)
            yield nn.BatchNorm2d(8, affine=False, track_running_stats=False)

    x = torch.randn(2, 8, 16, 16, requires_grad=True)
    # ReLU, depthwise, pointwise, normalisation, ReLU, depthwise, pointwise
    assert _alive_after(nn.Sequential(*layers()), x) == [True, True, True, False, True, True, True]
    assert _alive_after(RecomputedSequential(*layers()), x) == [False, True, True, False, False, True, True]


def test_layers_have_the_names_and_the_child_has_the_layers_of_the_network_that_keeps_all():
    plain, lean = _network(), _network(recompute=True)
    assert list(plain.state_dict()) == list(lean.state_dict())
    a = plain.space.sample(Random(3))
    x = torch.randn(2, 1, 14, 14)
    child, other = plain.extract(a, example=x), lean.extract(a, example=x)
    assert not any(isinstance(module, RecomputedSequential) for module in other.modules())
    assert set(child.state_dict()) == set(other.state_dict())
    assert torch.equal(child(x), other(x))


def test_without_gradients_nothing_is_recomputed():
    network = RecomputedSequential(nn.ReLU(), nn.Conv2d(1, 1, 1))
    calls = []
    network[0].register_forward_hook(lambda *_: calls.append(1))
    x = torch.ones(1, 1, 2, 2)
    with torch.no_grad():
        network(x)
    assert len(calls) == 1
    network(x).sum().backward()
    assert len(calls) == 3


def test_a_network_to_retrain_cannot_recompute():
    with pytest.raises(InputError, match="recompute: expected False with retraining=True"):
        _network(recompute=True, retraining=True)
