"""Outputs of any type are part of the proof, and a layer that no output depends on cannot be proved."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from asng import nn as snn
from asng.errors import InputError


@dataclass(slots=True)
class Answer:
    """An output with the hidden state that it comes from."""

    logits: torch.Tensor
    hidden: torch.Tensor


class Classifier(nn.Module):
    """Return what `answer` makes of logits and a hidden state."""

    def __init__(self, answer):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 4)
        self.answer = answer

    def forward(self, x):
        hidden = torch.relu(self.second(torch.relu(self.first(x))))
        return self.answer(self.head(hidden), hidden)


def _within_itself(logits, hidden):
    answer = SimpleNamespace(logits=logits, parts=[hidden])
    answer.parts.append(answer)
    return answer


@pytest.mark.parametrize(
    "answer",
    [
        Answer,
        lambda logits, hidden: SimpleNamespace(logits=logits, inner=Answer(logits, hidden)),
        lambda logits, hidden: {"logits": logits, "hidden": {hidden}},
        lambda logits, hidden: (logits, torch.distributions.Normal(hidden, 1.0, validate_args=False)),
        _within_itself,
    ],
)
def test_tensors_in_objects_are_part_of_the_output(answer):
    conversion = snn.searchable(Classifier(answer), torch.randn(3, 4)).conversion
    assert [group.name for group in conversion.groups] == ["first"]
    assert conversion.fixed == dict.fromkeys(("second", "head"), "its channels are part of the output")


@pytest.mark.parametrize("answer", [lambda *_: None, lambda logits, _: logits.mean().item()])
def test_a_model_that_returns_no_tensor_is_refused(answer):
    with pytest.raises(InputError, match=r"expected it to return tensors, got (NoneType|float)"):
        snn.searchable(Classifier(answer), torch.randn(3, 4))


class Detector(nn.Module):
    """Return only the boxes with a high score, of which there may be none; the rest is left in attributes."""

    def __init__(self, threshold):
        super().__init__()
        self.trunk, self.boxes, self.scores = nn.Linear(4, 16), nn.Linear(16, 4), nn.Linear(16, 8)
        self.balance, self.threshold = nn.Linear(16, 8), threshold

    def forward(self, x):
        hidden = torch.relu(self.trunk(x))
        best, classes = self.scores(hidden).sigmoid().max(-1)
        self.loss = self.balance(hidden).softmax(-1).square().mean()
        there = best > self.threshold
        return self.boxes(hidden)[there], best[there], classes[there]


def test_a_layer_that_no_output_depends_on_stays():
    x = torch.randn(6, 4)
    conversion = snn.searchable(Detector(0.0), x).conversion
    assert [group.name for group in conversion.groups] == ["trunk"]
    assert conversion.fixed["balance"] == "no output of the example depends on it"
    assert set(conversion.fixed) == {"balance", "boxes", "scores"}


def test_a_model_whose_outputs_are_empty_is_refused():
    with pytest.raises(InputError, match="trunk: no output of the example depends on it"):
        snn.searchable(Detector(1.0), torch.randn(6, 4))


class Spectrum(nn.Module):
    """Enhance a signal, and return its spectrum, which is complex."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, x):
        return torch.fft.rfft(x * torch.sigmoid(self.layers(x)))


@pytest.mark.parametrize("order", [None, "outputs"])
def test_outputs_may_be_complex(order):
    model, x = Spectrum(), torch.randn(3, 8)
    supernet = snn.searchable(model, x, order=order)
    child = supernet.extract({"layers.0": 4}, example=x)
    kept = [int((row == model.layers[0].weight).all(1).nonzero()) for row in child.layers[0].weight]
    with torch.no_grad():
        model.layers[2].weight[:, [n for n in range(16) if n not in kept]] = 0.0
    assert torch.allclose(child(x), model(x), atol=1e-6)


def test_the_default_order_sees_tensors_in_objects():
    model, x = Classifier(Answer), torch.randn(64, 4)
    with torch.no_grad():
        model.second.weight[:, :8] = 0.0  # nobody reads the first half
    child = snn.searchable(model, x, order="outputs").extract({"first": 8}, example=x)
    assert torch.equal(child.first.weight, model.first.weight[8:])


class Kept(nn.Module):
    """Residual blocks; the output is one tensor for each item with a positive score."""

    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(4, 8)
        self.blocks = nn.Sequential(*(Residual() for _ in range(3)))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        out = self.head(self.blocks(self.inp(x)))
        return out if len(x) < 4 else list(out[out.sum(1) > 0.0])


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, x):
        return x + self.inner(x)


def test_blocks_whose_absence_changes_the_number_of_outputs_keep_their_order():
    torch.manual_seed(0)
    order = snn.Importance(batches=[torch.randn(64, 4)])
    conversion = snn.searchable(Kept(), torch.randn(3, 4), order=order).conversion
    assert [depth.order for depth in conversion.depths] == [()]
