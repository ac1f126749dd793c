"""A Transformer encoder for sequences with searchable depth, width, heads and pooling."""

from torch import Tensor, nn

from asng.checks import integer_at_least
from asng.errors import InputError, SpaceError
from asng.nn import Dropout, Embedding, LayerNorm, Linear, Repeat, Searchable, TransformerEncoderLayer
from asng.nn.base import Extraction
from asng.nn.layers.sizes import Rate, Size, largest
from asng.space import Categorical, Integer, Variable
from asng.supernets.arguments import check_shape, labelled, settle_input, values_of
from asng.supernets.transformer.sequences import (
    POOLINGS,
    Padding,
    PoolingName,
    Positions,
    lengths_given,
    make_pooling,
)

__all__ = ["TransformerEncoder"]

WIDTH = Integer(16, 64, step=16)
DEPTH = Integer(1, 4)
HEADS = Categorical([1, 2, 4, 8])
FEEDFORWARD = Integer(32, 128, step=32)
POOLING = Categorical(POOLINGS)


class _Layer(nn.Module):
    """An encoder layer that passes the padding on, so that layers can be chained."""

    def __init__(self, width: Size, heads: Size, hidden: Size, dropout: Rate, activation: str) -> None:
        super().__init__()
        self.layer = TransformerEncoderLayer(
            width, heads, hidden, dropout, activation, batch_first=True, norm_first=True
        )

    def forward(self, steps: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Map steps (batch, time, width) and their padding to new steps and the same padding."""
        # Index instead of unpacking, so that torch.fx can trace it under every version of Python.
        return self.layer(steps[0], src_key_padding_mask=steps[1]), steps[1]


class TransformerEncoder(Searchable):
    """A classifier or regressor for sequences of equal or different lengths.

    Steps are mapped to the width, get sinusoidal position encodings, and pass through a searchable number of
    encoder layers (pre-norm). They are then pooled to one vector for a linear head. Padding does not affect
    the output.

    Every size is a number or a variable. Sizes of the layers are searched separately in each, under the name
    "layer<i>.<argument>"; if a variable has a label, all layers share it.

    The dropout rate may be a variable too, but a one-shot search cannot learn it. It scores without dropout,
    so the rate is inactive there and its distribution stays as it was. Hence it is a number by default. To
    search it, train each candidate on its own, by ask and tell.

    A child takes the same inputs as the example that it is extracted with: with lengths, or without.

    Args:
        outputs: Number of classes, or of values to predict, at least 1.
        features: Numbers per step; or give `tokens`.
        tokens: Number of different tokens, if a step is a token.
        width: Width of the steps; every value must be a multiple of every number of heads.
        depth: Number of layers, at least 0.
        heads: Attention heads of a layer.
        feedforward: Width of the hidden layer of the feed-forward block.
        activation: Activation of the feed-forward block: "relu" or "gelu".
        dropout: Dropout rate in [0, 1].
        pooling: "mean", "max" or "last" over the steps, a learned "attention", or a `Categorical` of them.

    Raises:
        InputError: An argument is out of its range, or there are both features and tokens, or neither.
        SpaceError: A variable can take values that are invalid for its argument, or a number of heads does
            not divide a width.

    Example:
        >>> import torch
        >>> from random import Random
        >>> from asng.nn import Supernet
        >>> supernet = Supernet(TransformerEncoder(features=12, outputs=9))
        >>> a = supernet.space.sample(Random(0))
        >>> x, lengths = torch.zeros(2, 29, 12), torch.tensor([29, 7])
        >>> supernet(x, lengths, architecture=a).shape
        torch.Size([2, 9])

    References:
        Vaswani et al. (2017). Attention is all you need. Xiong et al. (2020). On layer normalization in
        the Transformer architecture: normalised first, it trains without a warm-up.
    """

    def __init__(
        self,
        *,
        outputs: int,
        features: int | None = None,
        tokens: int | None = None,
        width: Size = WIDTH,
        depth: Size = DEPTH,
        heads: Size = HEADS,
        feedforward: Size = FEEDFORWARD,
        activation: str = "gelu",
        dropout: Rate = 0.1,
        pooling: PoolingName = POOLING,
    ) -> None:
        super().__init__()
        width, dropout = labelled(width, "width"), labelled(dropout, "dropout")
        _check_heads(width, heads)
        self.features = features
        self.padding = Padding()
        self.embed = _embedding(features, tokens, width)
        self.positions = Positions(largest("width", width))
        self.dropout = Dropout(dropout)
        self.layers = Repeat(
            lambda index: _Layer(
                width,
                labelled(heads, f"layer{index + 1}.heads"),
                labelled(feedforward, f"layer{index + 1}.feedforward"),
                dropout,
                activation,
            ),
            labelled(depth, "depth"),
        )
        self.norm = LayerNorm(width)
        self.pooling = make_pooling(labelled(pooling, "pooling"), width)
        self.head = Linear(width, integer_at_least("outputs", outputs, 1))

    def variables(self) -> dict[str, Variable]:
        """Return no variables: all belong to the submodules."""
        return {}

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map a batch of sequences to (batch, outputs).

        Args:
            x: Numbers (batch, time, features), or tokens (batch, time).
            lengths: Steps of each sequence before the padding, integers (batch,) in [1, time]. Default: all.

        Raises:
            InputError: The lengths are invalid, or x has another shape.
        """
        check_shape("x", x, "batch", "time", *([] if self.features is None else [self.features]))
        padding = self.padding(x, lengths)
        steps = self.dropout(self.positions(self.embed(x)))
        steps = self.norm(self.layers((steps, padding))[0])
        return self.head(self.pooling(steps, padding))  # type: ignore[no-any-return]

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain network, which takes lengths if and only if the example did.

        Raises:
            InputError: The example passes lengths in one call but not in another.
        """
        return settle_input(extraction.trace(self), "lengths", given=lengths_given(self, extraction))


def _embedding(features: int | None, tokens: int | None, width: Size) -> nn.Module:
    if (features is None) == (tokens is None):
        got = "neither" if features is None else "both"
        raise InputError(
            "features, tokens: expected one of them, the numbers per step or the number of tokens, got "
            f"{got}."
        )
    if tokens is not None:
        return Embedding(integer_at_least("tokens", tokens, 1), width)
    return Linear(integer_at_least("features", features, 1), width)


def _check_heads(width: Size, heads: Size) -> None:
    for number in values_of("heads", heads):
        for wide in values_of("width", width):
            if wide % number:
                raise SpaceError(
                    f"width: expected multiples of every number of heads, {number} among them, got {wide}. "
                    f"Give the width steps of {number}, or other heads."
                )
