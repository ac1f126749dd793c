"""Passes in bfloat16."""

import pytest
import torch
from problems import loader, mse
from torch import nn

from asng.errors import InputError
from asng.nn import Choice, Supernet
from asng.search import OneShotSearch
from asng.training.objective import in_precision

CPU = torch.device("cpu")


def searched(precision, seen):
    torch.manual_seed(0)
    act = Choice({"tanh": nn.Tanh(), "relu": nn.ReLU()}, label="op")
    supernet = Supernet(nn.Sequential(nn.Linear(3, 8), act, nn.Linear(8, 1)))

    def loss(forward, batch):
        y = forward(batch[0])
        seen.add((y.dtype, torch.is_grad_enabled()))
        return nn.functional.mse_loss(y, batch[1])

    search = OneShotSearch(supernet, loss, final=0.0, precision=precision)
    return search.fit(loader(), loader(), epochs=3, progress=False)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_passes_have_the_precision_in_training_and_scoring_and_weights_stay_as_they_are(precision):
    seen = set()
    result = searched(precision, seen)
    dtype = getattr(torch, precision)
    assert seen == {(dtype, True), (dtype, False)}
    assert {weight.dtype for weight in result.child.parameters()} == {torch.float32}
    assert all(weight.isfinite().all() for weight in result.supernet.parameters())


def test_the_childs_own_passes_are_in_float32():
    result = searched("bfloat16", set())
    assert result.child(torch.zeros(2, 3)).dtype == torch.float32


def test_autocast_is_of_the_device_of_the_network(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype: asked.append((kind, dtype)) or torch.no_grad())
    in_precision(lambda forward, batch: 1, "bfloat16", torch.device("cuda", 1))(None, None)
    assert asked == [("cuda", torch.bfloat16)]


def test_float32_is_the_function_itself_and_another_keeps_its_name():
    assert in_precision(mse, "float32", CPU) is mse
    lowered = in_precision(mse, "bfloat16", CPU)
    assert lowered is not mse
    assert getattr(lowered, "__qualname__", None)


def test_another_precision_is_told():
    with pytest.raises(InputError, match="precision: expected"):
        searched("float16", set())
