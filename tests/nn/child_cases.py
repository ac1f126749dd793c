"""A child of every searchable layer, and of a net of many, with inputs."""

from random import Random

import test_searchable
import torch
import twin_cases
from plain_blocks import Joined, Mean, Residual, SelfAttention
from torch import nn

from asng import nn as snn
from asng.nn import Supernet
from asng.space import Categorical, Integer, Real

__all__ = ["NETS", "NAMES", "child_of"]

WIDTH = Integer(4, 16, label="width", step=4)


def _convolutions():
    kernel = Categorical([1, 3], label="kernel")
    ops = {
        "full": snn.Conv2d(16, WIDTH, kernel, padding="same"),
        "depthwise": snn.Conv2d(16, 16, 3, padding=1, groups=16),
    }
    body = nn.Sequential(snn.BatchNorm2d(16), snn.Choice(ops), snn.Activation(["ReLU", "GELU"]))
    blocks = snn.Repeat([Residual(body), Residual(snn.GroupNorm(2, 16))], Integer(1, 2, label="depth"))
    first = snn.Conv2d(3, WIDTH, 3, stride=2, padding="same")
    return nn.Sequential(first, blocks, Mean(2, 3), snn.Linear(16, 3)), (torch.randn(4, 3, 8, 8),)


def _sequences():
    heads = Categorical([1, 2, 4], label="heads")
    encoder = snn.TransformerEncoderLayer(16, heads, Integer(8, 32, label="hidden"), batch_first=True)
    attention = SelfAttention(snn.MultiheadAttention(16, heads, batch_first=True))
    net = nn.Sequential(
        snn.Embedding(11, WIDTH), Residual(attention), snn.LayerNorm(16), encoder, Mean(1), snn.Linear(16, 3)
    )
    return net, (torch.randint(0, 11, (4, 7)),)


def _branches():
    ops = {"conv": nn.Conv2d(3, 3, 3, padding=1), "skip": nn.Identity()}
    body = Joined(snn.InputChoice(3, 2, label="in"), Residual(snn.Choice(ops)), nn.BatchNorm2d(3))
    return nn.Sequential(body, nn.Flatten(), nn.Linear(48, 2)), (torch.randn(4, 3, 4, 4),)


class Scaled(snn.Searchable):
    """A searchable module that does not say how it is extracted, so that its forward pass is traced."""

    def __init__(self):
        super().__init__()
        self.linear = snn.Linear(8, 6)

    def variables(self):
        return {"factor": Real(0.5, 2.0), "sign": Categorical([-1, 1])}

    def forward(self, x):
        y = self.linear(x) * self.value("factor")
        return x + y if self.value("sign") == 1 else x - y


def _traced():
    return nn.Sequential(nn.Linear(4, 6), Scaled(), nn.Tanh()), (torch.randn(5, 4),)


NETS = {
    "net of convolutions": _convolutions,
    "net of sequences": _sequences,
    "net of branches": _branches,
    "net of a traced class": _traced,
}
NAMES = [*twin_cases.CASES, *test_searchable.CASES, *NETS]


def child_of(name):
    """Return the child of a case, in evaluation, and the inputs that it was extracted for.

    They are the narrowest of the case, so that weights are cut.
    """
    torch.manual_seed(0)
    if name in NETS:
        model, inputs = NETS[name]()
    elif name in twin_cases.CASES:
        case = twin_cases.CASES[name]()
        model, inputs = case.model, case.inputs[-1]
    else:
        model, inputs = test_searchable.CASES[name](), (test_searchable.X,)
    supernet = Supernet(model).eval()
    a = supernet.space.sample(Random(1))
    return supernet.extract(a, example=inputs), inputs
