"""Strategies for nets of twins, in containers of torch, searchable modules and a user's own classes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from plain_blocks import Across, Again, Joined, Mean, Residual, SelfAttention
from torch import nn

from asng import nn as snn
from asng.nn.layers.sizes import largest
from asng.space import Categorical, Integer, Real

SHARED = [Integer(4, 12, label="a", step=4), Integer(4, 12, label="b", step=4)]
"""Widths that several layers follow. All widths are multiples of 4, so that groups and heads divide them."""
KERNEL = Categorical([1, 3, 5], label="kernel")
GROUPS = Categorical([1, 2, 4], label="groups")


@dataclass(frozen=True)
class Width:
    """How wide a tensor may be.

    Attributes:
        most: Its greatest width.
        size: What a layer is given to be as wide; None where no variable says.
    """

    most: int
    size: Any

    @classmethod
    def of(cls, size):
        unshared = isinstance(size, Integer) and size.label is None
        return cls(largest("size", size), None if unshared else size)


@dataclass(frozen=True)
class Kind:
    """What nets of one kind are made of.

    Attributes:
        inputs: Makes inputs.
        first: Draws the first layer, and its width.
        keep: Draws a layer as wide as its input.
        change: Draws a layer of a given width.
        end: Draws what follows: other sides, and a last layer.
    """

    inputs: Callable[[], torch.Tensor]
    first: Callable[[Any], tuple[nn.Module, Width]]
    keep: Callable[[Any, Width], nn.Module]
    change: Callable[[Any, Width, Any], nn.Module]
    end: Callable[[Any, Width], nn.Module]


@st.composite
def nets(draw, kind):
    """A model of one kind, with at least one variable in it."""
    layer, width = kind.first(draw)
    blocks = [layer]
    for _ in range(draw(st.integers(1, 3))):
        block, width = _pick(draw, _kept, _changed, _split, _joined)(draw, kind, width)
        blocks.append(block)
    return nn.Sequential(*blocks, _activation(draw, label="last"), kind.end(draw, width))


def _kept(draw, kind, width):
    return _keep(draw, kind, width, 2), width


def _changed(draw, kind, width):
    size = _size(draw)
    return kind.change(draw, width, size), Width.of(size)


def _split(draw, kind, width):
    """Candidates of different widths: whoever comes after takes what comes."""
    sizes = [_size(draw), _size(draw)]
    block = snn.Choice([kind.change(draw, width, size) for size in sizes], label="split")
    return block, Width(max(Width.of(size).most for size in sizes), None)


def _joined(draw, kind, width):
    several = draw(st.integers(1, 3))
    blocks = (_keep(draw, kind, width, 1), _keep(draw, kind, width, 1))
    block = Joined(snn.InputChoice(3, several, reduce="concat"), *blocks)
    return block, Width(width.most if kind is SEQUENCES else several * width.most, None)


def _keep(draw, kind, width, depth):
    """Return a block as wide as its input, of blocks to a depth."""
    form = draw(st.sampled_from(["layer", *FORMS])) if depth else "layer"
    if form == "layer":
        return kind.keep(draw, width)
    return FORMS[form](draw, lambda: _keep(draw, kind, width, depth - 1))


FORMS = {
    "residual": lambda draw, block: Residual(block()),
    "sequence": lambda draw, block: nn.Sequential(block(), block()),
    "again": lambda draw, block: Again(block()),
    "choice": lambda draw, block: snn.Choice([block(), block()], label=_pick(draw, None, "choice")),
    "inputs": lambda draw, block: Joined(
        snn.InputChoice(3, _pick(draw, 1, 2, 3), reduce=_pick(draw, "sum", "mean")), block(), block()
    ),
    "repeat": lambda draw, block: snn.Repeat(
        [block(), block()], _pick(draw, Integer(0, 2), Integer(0, 2, label="depth"), 2)
    ),
}


def _pick(draw, *options):
    return draw(st.sampled_from(options))


def _size(draw):
    return _pick(draw, 4, 8, 12, Integer(4, 12, step=4), *SHARED)


def _groups(draw, width):
    return draw(st.sampled_from([1, 1, 2, 4] if width.most > 4 else [1, 2]))  # as many as channels: depthwise


def _activation(draw, label=None):
    return snn.Activation(["ReLU", "GELU", "Tanh"], label=label or _pick(draw, None, "activation"))


def _kernel(draw):
    return _pick(draw, 1, 3, KERNEL, Integer(1, 5, step=2), (3, KERNEL), [Integer(1, 3, step=2), 5])


def _conv2d(draw, width, size):
    return snn.Conv2d(
        width.most,
        size,
        _kernel(draw),
        padding="same",
        dilation=_pick(draw, 1, 2),
        groups=_groups(draw, width),
        bias=draw(st.booleans()),
        padding_mode=_pick(draw, "zeros", "zeros", "circular", "replicate"),
    )


def _keep_maps(draw, width):
    layers = [
        lambda: snn.Conv2d(width.most, width.most, _kernel(draw), padding="same", groups=width.most),
        lambda: snn.BatchNorm2d(width.most, affine=draw(st.booleans())),
        lambda: snn.GroupNorm(_pick(draw, 2, GROUPS), width.most),
        lambda: _activation(draw),
    ]
    if width.size is not None:
        layers += [lambda: _conv2d(draw, width, width.size)] * 3
    return _pick(draw, *layers)()


def _end_of_maps(draw, width):
    """Return layers after which the sides are others, and one of a fixed width."""
    stride, groups = _pick(draw, 1, 2), _groups(draw, width)
    side = _pick(draw, KERNEL, (2, Integer(1, 3)))
    small = snn.Conv2d(width.most, 8, side, stride=stride, padding=2, groups=groups)
    grown = snn.ConvTranspose2d(
        width.most, _size(draw), _pick(draw, 3, KERNEL, (Integer(1, 4), 2)), stride=2, padding="same"
    )
    spread = snn.ConvTranspose2d(width.most, 8, 3, stride=2, output_padding=1, groups=groups, dilation=2)
    body, most = _pick(draw, (small, 8), (grown, 12), (spread, 8), (nn.Identity(), width.most))
    return nn.Sequential(body, Mean(2, 3), snn.Linear(most, _pick(draw, 3, Integer(2, 4))))


def _first_maps(draw):
    size = _size(draw)
    return _conv2d(draw, Width(4, 4), size), Width.of(size)


def _first_tokens(draw):
    size = _size(draw)
    return snn.Embedding(11, size, padding_idx=_pick(draw, None, 0)), Width.of(size)


def _keep_sequences(draw, width):
    heads = _pick(draw, 2, Categorical([1, 2, 4], label="heads"), Categorical([1, 4]))
    rate = _pick(draw, 0.0, 0.2, Real(0.0, 0.5, label="rate"), Real(0.1, 0.3))
    layers = [
        lambda: snn.LayerNorm(width.most, bias=draw(st.booleans())),
        lambda: snn.Dropout(rate),
        lambda: SelfAttention(snn.MultiheadAttention(width.most, heads, rate, batch_first=True)),
        lambda: snn.TransformerEncoderLayer(
            width.most,
            heads,
            _size(draw),
            rate,
            _pick(draw, "gelu", Categorical(["relu", "gelu"], label="f")),
            batch_first=True,
            norm_first=draw(st.booleans()),
        ),
        lambda: _activation(draw),
    ]
    if width.size is not None:
        layers += [lambda: _change_sequences(draw, width, width.size)] * 2
    return _pick(draw, *layers)()


def _change_sequences(draw, width, size):
    if draw(st.booleans()):
        return snn.Linear(width.most, size, bias=draw(st.booleans()))
    side = _pick(draw, 3, KERNEL)
    return Across(snn.Conv1d(width.most, size, side, padding="same", groups=_groups(draw, width)))


def _keep_vectors(draw, width):
    layers = [
        lambda: snn.BatchNorm1d(width.most),
        lambda: snn.LayerNorm(width.most),
        lambda: snn.Dropout(_pick(draw, 0.1, Real(0.0, 0.5, label="rate"))),
        lambda: _activation(draw),
    ]
    if width.size is not None:
        layers += [lambda: snn.Linear(width.most, width.size)] * 3
    return _pick(draw, *layers)()


def _first_vectors(draw):
    size = _size(draw)
    return snn.Linear(6, size), Width.of(size)


def _change_vectors(draw, width, size):
    return snn.Linear(width.most, size, bias=draw(st.booleans()))


def _last_linear(draw, width):
    return snn.Linear(width.most, _pick(draw, 3, Integer(2, 4)))


MAPS = Kind(lambda: torch.randn(3, 4, 6, 5), _first_maps, _keep_maps, _conv2d, _end_of_maps)
SEQUENCES = Kind(
    lambda: torch.randint(0, 11, (3, 7)), _first_tokens, _keep_sequences, _change_sequences, _last_linear
)
VECTORS = Kind(lambda: torch.randn(5, 6), _first_vectors, _keep_vectors, _change_vectors, _last_linear)
KINDS = {"maps": MAPS, "sequences": SEQUENCES, "vectors": VECTORS}
