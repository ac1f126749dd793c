"""Two spaces of ordered variables: widths and depth of image networks; for series, kernels too."""

from torch import Tensor, nn

import asng

__all__ = ["Filters", "Widths"]

WIDTHS = (4, 16, 4)
"""Least and greatest width of a stage, and the step between widths."""


class Widths(nn.Module):
    """Three stages of a residual network; the depth is of the last two. 192 networks."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        low, high, step = WIDTHS
        width = [asng.Integer(low, high, step=step, label=f"width{stage}") for stage in range(3)]
        depth = asng.Integer(1, 3, label="depth")
        self.stem = _conv(1, width[0], stride=2)
        self.second = nn.Sequential(
            _conv(high, width[1]), asng.nn.Repeat(lambda _: _Residual(_conv(high, width[1])), depth)
        )
        self.third = nn.Sequential(
            _conv(high, width[2], stride=2), asng.nn.Repeat(lambda _: _Residual(_conv(high, width[2])), depth)
        )
        self.head = asng.nn.Linear(high, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.third(self.second(self.stem(x))).mean(dim=(2, 3)))


class _Residual(nn.Module):
    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


def _conv(inputs: int, outputs, *, stride: int = 1) -> nn.Module:
    conv = asng.nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, asng.nn.BatchNorm2d(outputs), nn.ReLU())


class Filters(nn.Module):
    """Two stages of a residual network over series: their widths; one kernel, one depth. 192 networks."""

    def __init__(self, channels: int = 12, classes: int = 9) -> None:
        super().__init__()
        low, high, step = WIDTHS
        width = [asng.Integer(low, high, step=step, label=f"width{stage}") for stage in range(2)]
        kernel, depth = asng.Integer(3, 9, step=2, label="kernel"), asng.Integer(1, 3, label="depth")
        self.first, self.second = (
            nn.Sequential(
                _conv1d(inputs, width[stage], kernel),
                asng.nn.Repeat(lambda _, w=width[stage]: _Residual(_conv1d(high, w, kernel)), depth),
            )
            for stage, inputs in enumerate((channels, high))
        )
        self.pool, self.head = nn.MaxPool1d(2), asng.nn.Linear(high, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.pool(self.first(x))).mean(dim=2))


def _conv1d(inputs: int, outputs, kernel) -> nn.Module:
    conv = asng.nn.Conv1d(inputs, outputs, kernel, padding="same", bias=False)
    return nn.Sequential(conv, asng.nn.BatchNorm1d(outputs), nn.ReLU())
