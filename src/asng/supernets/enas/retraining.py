"""Aids for retraining a found network, removed afterwards: an auxiliary head and drop path."""

from torch import Tensor, nn

from asng.supernets.enas.operations import batch_norm

__all__ = ["AuxiliaryHead", "DropPath", "set_drop_path"]

_CHANNELS, _FEATURES = 128, 768
_POOLED_BY_5 = 8
"""Smallest side for which 5 x 5 pooling with stride 3 leaves the 2 x 2 pixels that the convolution needs."""


class AuxiliaryHead(nn.Module):
    """Classify from an inner cell, so that the gradient reaches the cells before it by a short path.

    Average pooling, a 1 x 1 convolution to 128 channels, a 2 x 2 convolution to 768 and a linear layer, as in
    the authors' code and in DARTS, which took it from ENAS.

    Differs: outputs with a side of fewer than 8 pixels, which theirs does not accept, are pooled to 2 x 2.

    Args:
        in_channels: Channels of the cell's output.
        classes: Number of classes.
        side: Smaller side of the cell's output, in pixels.

    Example:
        >>> import torch
        >>> AuxiliaryHead(4, classes=10, side=8)(torch.zeros(2, 4, 8, 8)).shape
        torch.Size([2, 10])

    References:
        Szegedy et al. (2015). Going deeper with convolutions, section 5. Pham et al. (2018). Efficient neural
        architecture search via parameter sharing, section 3.2.
    """

    def __init__(self, in_channels: int, *, classes: int, side: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3) if side >= _POOLED_BY_5 else nn.AdaptiveAvgPool2d(2),
            nn.Conv2d(in_channels, _CHANNELS, kernel_size=1, bias=False),
            batch_norm(_CHANNELS, retraining=True),
            nn.ReLU(),
            nn.Conv2d(_CHANNELS, _FEATURES, kernel_size=2, bias=False),
            batch_norm(_FEATURES, retraining=True),
            nn.ReLU(),
        )
        self.head = nn.Linear(_FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map a cell's output (batch, in_channels, n, m) to logits (batch, classes)."""
        return self.head(self.features(x).mean((2, 3)))  # type: ignore[no-any-return]


class DropPath(nn.Module):
    """Set an operation's output to 0 for each image with some probability, and scale up the others.

    The expectation over the masks is the output itself, and in evaluation nothing is dropped. A
    `torch.nn.Dropout` over one number per image draws the mask, so that a child traced by torch.fx contains
    only plain torch. `set_drop_path` sets the rate during training; it is 0 until then.

    Example:
        >>> import torch
        >>> drop = DropPath()
        >>> set_drop_path(drop, 0.5)
        >>> sorted(set(drop(torch.ones(64, 2, 3, 3)).flatten().tolist()))
        [0.0, 2.0]

    References:
        Larsson, Maire, Shakhnarovich (2017). FractalNet: ultra-deep neural networks without residuals.
        Zoph, Vasudevan, Shlens, Le (2018). Learning transferable architectures for scalable image
        recognition, which lets the rate grow linearly.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mask = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, n, m) to the same shape."""
        return x * self.mask(x.new_ones(x.shape[0], 1, 1, 1))  # type: ignore[no-any-return]


def set_drop_path(network: nn.Module, rate: float) -> None:
    """Set the probability of every `DropPath` in a network, or in a child of it.

    In a child, only their dropouts remain, so the rate of every dropout in `network` is set.

    Args:
        network: An `EnasCellNetwork` with drop path, or a child that was extracted from one.
        rate: Probability that an output is dropped, in [0, 1).
    """
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
