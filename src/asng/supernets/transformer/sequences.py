"""Layers for batches of sequences: padding masks, position encodings and pooling over the steps."""

import math
from typing import TypeAlias

import torch
from torch import Tensor, fx, nn

from asng.checks import one_of
from asng.errors import InputError
from asng.nn import Choice, Linear, Searchable
from asng.nn.base import Extraction
from asng.nn.layers.sizes import Size
from asng.space import Categorical, Variable

__all__ = [
    "Padding",
    "Positions",
    "lengths_given",
    "AttentionPool",
    "LastPool",
    "MaxPool",
    "MeanPool",
    "POOLINGS",
    "PoolingName",
    "make_pooling",
]

LONGEST_WAVE = 10_000.0
"""Vaswani et al., section 3.5: wavelengths go from 2 pi to 10,000 * 2 pi steps."""

PoolingName: TypeAlias = str | Categorical
"""One of `POOLINGS`, or a variable over them."""

POOLINGS = ("mean", "max", "last", "attention")


class Padding(Searchable):
    """Compute which steps of a batch are padding.

    It has no variable. It is searchable so that its child can be made for the inputs of the example: with
    lengths or without. The child does not check the lengths, because a traced and exported network cannot.

    Example:
        >>> Padding()(torch.zeros(2, 3, 1), torch.tensor([3, 1]))
        tensor([[False, False, False],
                [False,  True,  True]])
    """

    def variables(self) -> dict[str, Variable]:
        """Return no variables."""
        return {}

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the padding mask, bool (batch, time): True for padding.

        Args:
            x: A batch (batch, time, ...).
            lengths: Steps of each sequence, integers (batch,) in [1, time]. Default: all of them.

        Raises:
            InputError: The lengths are invalid.
        """
        if lengths is not None:
            _check_lengths(x, lengths)
        return _padding(x, lengths)

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return a plain torch module that takes lengths if and only if the example did.

        Raises:
            InputError: The example passes lengths in one call but not in another.
        """
        form = _padding if lengths_given(self, extraction) else lambda x: _padding(x)
        return fx.GraphModule({}, fx.symbolic_trace(form).graph, class_name="Padding").train(self.training)


def lengths_given(module: Searchable, extraction: Extraction) -> bool:
    """Return whether the example calls a module with lengths; True if it does not call it at all.

    Args:
        module: A module whose forward takes (x, lengths=None).
        extraction: The extraction, which has the example.

    Raises:
        InputError: The example passes lengths in one call but not in another.
    """
    calls = extraction.calls(module)
    given = {(args[1] if len(args) > 1 else kwargs.get("lengths")) is not None for args, kwargs in calls}
    if len(given) > 1:
        raise InputError(
            f"{module.described()}: expected lengths in every call, or in none, got both, which one plain "
            "network cannot serve. Give lengths each time."
        )
    return given != {False}


def _padding(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    steps = torch.arange(x.shape[1], device=x.device).expand(x.shape[0], -1)
    return steps < 0 if lengths is None else steps >= lengths[:, None]


def _check_lengths(x: Tensor, lengths: Tensor) -> None:
    expected = f"expected integers in [1, {x.shape[1]}], one for each of {x.shape[0]} sequences"
    if not isinstance(lengths, Tensor):
        raise InputError(f"lengths: {expected}, got {type(lengths).__name__}. Give a tensor.")
    if lengths.shape != x.shape[:1] or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise InputError(
            f"lengths: {expected}, got {lengths.dtype} of shape {tuple(lengths.shape)}. "
            "asng.data.pad_series makes them."
        )
    if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= x.shape[1]:
        raise InputError(
            f"lengths: {expected}, got numbers from {int(lengths.min())} to {int(lengths.max())}. "
            "Count the steps before padding, and leave out empty sequences."
        )


class Positions(nn.Module):
    """Add sinusoidal position encodings, by which attention distinguishes the steps.

    Differs: the wavelengths are ordered so that those of every width are spread over the whole range. Each
    column has the same wavelength in all widths, because these share their weights.

    Args:
        width: The largest width of an input.

    Example:
        >>> Positions(4)(torch.zeros(1, 2, 2))
        tensor([[[0.0000, 1.0000],
                 [0.8415, 0.5403]]])

    References:
        Vaswani et al. (2017). Attention is all you need, section 3.5.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        exponents = torch.tensor([_spread(index) for index in range(math.ceil(width / 2))])
        self.register_buffer("frequencies", LONGEST_WAVE**-exponents, persistent=False)
        self.frequencies: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return x, (batch, time, width), with the encodings added."""
        angles = torch.arange(x.shape[1], device=x.device)[:, None] * self.frequencies
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        return x + waves[:, : x.shape[2]].type_as(x)


def _spread(index: int) -> float:
    """Return element `index` of the van der Corput sequence 0, 1/2, 1/4, 3/4, 1/8, ..."""
    fraction, step = 0.0, 0.5
    while index:
        fraction += step * (index % 2)
        index, step = index // 2, step / 2
    return fraction


class MeanPool(nn.Module):
    """The mean over the steps."""

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map steps (batch, time, width), padding (batch, time), to (batch, width)."""
        steps = (~padding).sum(1, keepdim=True)
        return x.masked_fill(padding[:, :, None], 0.0).sum(1) / steps


class MaxPool(nn.Module):
    """The maximum over the steps, by feature."""

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map steps (batch, time, width), padding (batch, time), to (batch, width)."""
        return x.masked_fill(padding[:, :, None], float("-inf")).amax(1)


class LastPool(nn.Module):
    """The last step before the padding."""

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map steps (batch, time, width), padding (batch, time), to (batch, width)."""
        last = (~padding).sum(1) - 1
        # Not take_along_dim, because torch.export then fixes the batch size.
        return x.gather(1, last[:, None, None].expand(-1, 1, x.shape[2])).squeeze(1)


class AttentionPool(nn.Module):
    """A weighted mean over the steps; the weights are a softmax of learned scores.

    Args:
        width: Width of the input, a number or a variable.
    """

    def __init__(self, width: Size) -> None:
        super().__init__()
        self.score = Linear(width, 1)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map steps (batch, time, width), padding (batch, time), to (batch, width)."""
        scores = self.score(x).masked_fill(padding[:, :, None], float("-inf"))
        return (scores.softmax(1) * x.masked_fill(padding[:, :, None], 0.0)).sum(1)  # type: ignore[no-any-return]


def make_pooling(pooling: PoolingName, width: Size) -> nn.Module:
    """Make a pooling by name, or a searchable choice among several.

    Args:
        pooling: One of `POOLINGS`, or a `Categorical` of them.
        width: Width of the input, a number or a variable.

    Raises:
        InputError: A name is not in `POOLINGS`.

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
