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


class Branches(nn.Module):
    """One of three tensors, or several."""

    def __init__(self, source):
        super().__init__()
        self.first, self.second, self.source = nn.Linear(4, 4), nn.Linear(4, 4), source

    def forward(self, x):
        return self.source([x, self.first(x), self.second(x)])


class Held(nn.Module):
    """A layer, and another one behind it."""

    def __init__(self, layer, other):
        super().__init__()
        self.layer = layer
        self.other = other

    def forward(self, *inputs):
        output = self.layer(*inputs)
        return self.other(output[0] if isinstance(output, tuple) else output)


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


class Again(nn.Module):
    """Runs one layer twice."""

    def __init__(self, op):
        super().__init__()
        self.op = op

    def forward(self, x):
        return self.op(torch.tanh(self.op(x)))


class Across(nn.Module):
    """Runs a layer for (batch, width, length) on (batch, length, width)."""

    def __init__(self, op):
        super().__init__()
        self.op = op

    def forward(self, x):
        return self.op(x.transpose(1, 2)).transpose(1, 2)


class SelfAttention(nn.Module):
    """Attention of a sequence to itself, in which the last item of each is padding."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, x):
        padding = torch.zeros(x.shape[:2], dtype=torch.bool)
        padding[:, -1] = True
        return self.attention(x, x, x, key_padding_mask=padding, need_weights=False)[0]


class Mean(nn.Module):
    """The mean over all dimensions but two."""

    def __init__(self, *dims):
        super().__init__()
        self.dims = dims

    def forward(self, x):
        return x.mean(self.dims)
