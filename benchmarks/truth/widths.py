"""A space of ordered variables: the widths of three stages of a convolutional network, and its depth."""

from torch import Tensor, nn

import asng

__all__ = ["Widths"]

WIDTHS = (4, 16, 4)
"""Least and greatest width of a stage, and the step between."""


class Widths(nn.Module):
    """Three stages of a residual network; the depth is of the last two. 192 networks."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        low, high, step = WIDTHS
        width = [asng.Integer(low, high, step=step, label=f"width{stage}") for stage in range(3)]
        depth = asng.Integer(1, 3, label="depth")
        self.stem = _conv(1, width[0], stride=2)
        self.second = nn.Sequential(
            _conv(high, width[1]), asng.nn.Repeat(lambda _: _Block(width[1], high), depth)
        )
        self.third = nn.Sequential(
            _conv(high, width[2], stride=2), asng.nn.Repeat(lambda _: _Block(width[2], high), depth)
        )
        self.head = asng.nn.Linear(high, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.third(self.second(self.stem(x))).mean(dim=(2, 3)))


class _Block(nn.Module):
    def __init__(self, width, most: int) -> None:
        super().__init__()
        self.conv = _conv(most, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


def _conv(inputs: int, outputs, *, stride: int = 1) -> nn.Module:
    conv = asng.nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, asng.nn.BatchNorm2d(outputs), nn.ReLU())
