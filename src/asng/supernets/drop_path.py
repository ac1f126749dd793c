"""Drop path: leaves out what an operation gave, for some images of a batch, in training."""

from torch import Tensor, nn

__all__ = ["DropPath", "set_drop_path"]


class DropPath(nn.Module):
    """Set an operation's output to 0 for each image with some probability, and scale up the others.

    The mean over the masks is the output itself, and in evaluation nothing is dropped. The mask is drawn by a
    `torch.nn.Dropout` over one number an image, so that a child traced by torch.fx holds plain torch only;
    its rate is set through the training by `set_drop_path`, and is 0 until then.

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

    A child knows them by their dropout alone, so all dropouts of `network` are set.

    Args:
        network: An `EnasCellNetwork` with drop path, or what was extracted from it.
        rate: Probability that an output is dropped, in [0, 1).
    """
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
