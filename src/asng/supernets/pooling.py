"""From the steps of a sequence to one vector: padding never counts."""

from typing import TypeAlias

from torch import Tensor, nn

from asng.checks import one_of
from asng.nn import Choice, Linear
from asng.nn.sizes import Size
from asng.space import Categorical

__all__ = ["AttentionPool", "LastPool", "MaxPool", "MeanPool", "POOLINGS", "PoolingName", "make_pooling"]

PoolingName: TypeAlias = str | Categorical
"""One of `POOLINGS`, or a variable over them."""

POOLINGS = ("mean", "max", "last", "attention")


class MeanPool(nn.Module):
    """The mean over the steps."""

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map steps (batch, time, width), padding (batch, time), to (batch, width)."""
        steps = (~padding).sum(1, keepdim=True)
        return x.masked_fill(padding[:, :, None], 0.0).sum(1) / steps


class MaxPool(nn.Module):
    """The greatest value over the steps, by feature."""

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map steps (batch, time, width), padding (batch, time), to (batch, width)."""
        return x.masked_fill(padding[:, :, None], float("-inf")).amax(1)


class LastPool(nn.Module):
    """The last step before the padding."""

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map steps (batch, time, width), padding (batch, time), to (batch, width)."""
        last = (~padding).sum(1) - 1
        # Not take_along_dim, for which torch.export holds the batch size fixed.
        return x.gather(1, last[:, None, None].expand(-1, 1, x.shape[2])).squeeze(1)


class AttentionPool(nn.Module):
    """A weighted mean over the steps, the weights a softmax of a learned score of each.

    Args:
        width: The greatest width of an input.
    """

    def __init__(self, width: Size) -> None:
        super().__init__()
        self.score = Linear(width, 1)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map steps (batch, time, width), padding (batch, time), to (batch, width)."""
        scores = self.score(x).masked_fill(padding[:, :, None], float("-inf"))
        return (scores.softmax(1) * x.masked_fill(padding[:, :, None], 0.0)).sum(1)  # type: ignore[no-any-return]


def make_pooling(pooling: PoolingName, width: Size) -> nn.Module:
    """Return a pooling by name, or a choice among several.

    Args:
        pooling: One of `POOLINGS`, or a `Categorical` of them.
        width: The greatest width of an input.

    Raises:
        InputError: A name is none of them.

    Example:
        >>> import torch
        >>> padding = torch.tensor([[False, False, True]])
        >>> make_pooling("mean", 1)(torch.tensor([[[1.0], [3.0], [9.0]]]), padding)
        tensor([[2.]])
    """
    if isinstance(pooling, Categorical):
        names = [one_of("pooling", name, POOLINGS) for name in pooling.choices]
        return Choice({name: make_pooling(name, width) for name in names}, label=pooling.label)
    if one_of("pooling", pooling, POOLINGS) == "attention":
        return AttentionPool(width)
    return {"mean": MeanPool, "max": MaxPool, "last": LastPool}[pooling]()
