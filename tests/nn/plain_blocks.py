"""Modules as a user writes them. Nothing of asng here: children made of them are loaded without it."""

import torch
from torch import nn


class Residual(nn.Module):
    """x + op(x)."""

    def __init__(self, op):
        super().__init__()
        self.op = op

    def forward(self, x):
        return x + self.op(x)


class Joined(nn.Module):
    """One of the outputs of two branches, or both."""

    def __init__(self, source, first, second):
        super().__init__()
        self.source = source
        self.branches = nn.ModuleList([first, second])

    def forward(self, x):
        outputs = [x]
        for branch in self.branches:
            outputs.append(branch(outputs[-1]))
        return self.source(outputs)


class Switched(nn.Module):
    """Runs `extra` only where `gate`, a choice of a buffer-less module, says so."""

    def __init__(self, gate, extra):
        super().__init__()
        self.gate = gate
        self.extra = extra

    def forward(self, x):
        return self.extra(x) if self.gate(1) else x


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.constant = value

    def forward(self, _):
        return self.constant


class WeightReader(nn.Module):
    """Never calls its layer, but reads its weight."""

    def __init__(self, op, width):
        super().__init__()
        self.op = op
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return nn.functional.linear(self.op(x), self.linear.weight)


class Tied(nn.Module):
    """Shares one weight between a choice and a layer, and keeps a reference to its child."""

    def __init__(self, op, linear):
        super().__init__()
        self.op = op
        self.linear = linear
        self.both = (self.op, self.linear)

    def forward(self, x):
        return torch.tanh(self.both[0](x)) + self.linear(x)
