"""Twins that use channels from anywhere in the weight, and not only the first ones.

Behind `torch.cat`, a layer reads the first channels of each part. A layer that makes queries, keys and values
makes the first heads of each. Which channels are left may depend on several variables.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from asng.errors import InputError
from asng.nn.conversion.roles import parts_of
from asng.nn.layers.attention import MultiheadAttention
from asng.nn.layers.batch_norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from asng.nn.layers.conv import Conv1d, Conv2d, Conv3d
from asng.nn.layers.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from asng.nn.layers.embedding import Embedding
from asng.nn.layers.linear import Linear, PReLU
from asng.nn.layers.norms import LayerNorm, RMSNorm
from asng.nn.layers.plain import asking, shell
from asng.nn.layers.recurrent import GRU, LSTM, RNN
from asng.nn.layers.twin import Twin
from asng.space import Integer

__all__ = ["TWINS", "Threshold", "gathered", "left_by"]


class Threshold(NamedTuple):
    """The smallest value of a variable at which each channel is present.

    Attributes:
        variable: The variable, which counts channels or parts of them.
        least: The smallest value at which each channel is present, shape (channels,).
    """

    variable: Integer
    least: Tensor


class _Gathered(Twin):
    search_made: tuple[Threshold, ...] = ()
    search_read: tuple[Threshold, ...] = ()

    def plain(self, *args: Any, **kwargs: Any) -> nn.Module:
        """Return the plain layer of the channels that are present; the input only has to match."""
        made, read = (self._there(slot) for slot in ("search_made", "search_read"))
        if made is None and read is None:
            return self
        x = next((x for x in (*args, *kwargs.values()) if isinstance(x, (Tensor, PackedSequence))), None)
        x = x.data if isinstance(x, PackedSequence) else x
        if read is not None and x is not None and len(read) not in x.shape:
            raise InputError(
                f"{self.described()}: expected an input of {len(read)} channels, got shape {tuple(x.shape)}."
            )
        tensors, sizes = parts_of(self, made, read)
        weights = dict(self._parameters) | {n: t for n, t in tensors.items() if n in self._parameters}
        for name, part in weights.items():
            whole = self._parameters[name]
            if part is not None and whole is not None:
                asking(whole, part)
        return shell(self, weights, sizes, sizes.pop("_modules", None))

    def _there(self, table: str) -> Tensor | None:
        """Return the indices of the channels that are present, or None if all are."""
        thresholds = getattr(self, table)
        return left_by(thresholds, [self.value(f"{table}[{number}]") for number in range(len(thresholds))])


def left_by(thresholds: Sequence[Threshold], values: Sequence[Any]) -> Tensor | None:
    """Return the indices of the channels present at the given values of variables, or None if all are.

    Example:
        >>> import torch
        >>> left_by([Threshold(Integer(1, 2, label="parts"), torch.tensor([2, 1, 2, 1]))], [1])
        tensor([1, 3])
    """
    there: Tensor | None = None
    for threshold, value in zip(thresholds, values, strict=True):
        enough = threshold.least <= value
        there = enough if there is None else there & enough
    if there is None or bool(there.all()):
        return None
    return there.nonzero().flatten()


TWINS: Mapping[type[nn.Module], Any] = {
    nn.Linear: Linear,
    nn.Embedding: Embedding,
    nn.Conv1d: Conv1d,
    nn.Conv2d: Conv2d,
    nn.Conv3d: Conv3d,
    nn.ConvTranspose1d: ConvTranspose1d,
    nn.ConvTranspose2d: ConvTranspose2d,
    nn.ConvTranspose3d: ConvTranspose3d,
    nn.BatchNorm1d: BatchNorm1d,
    nn.BatchNorm2d: BatchNorm2d,
    nn.BatchNorm3d: BatchNorm3d,
    nn.InstanceNorm1d: InstanceNorm1d,
    nn.InstanceNorm2d: InstanceNorm2d,
    nn.InstanceNorm3d: InstanceNorm3d,
    nn.LayerNorm: LayerNorm,
    nn.RMSNorm: RMSNorm,
    nn.PReLU: PReLU,
    nn.RNN: RNN,
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.MultiheadAttention: MultiheadAttention,
}
"""Layers that have a role, to their twins."""

_GATHERED = {
    plain: type(f"Gathered{twin.__name__}", (_Gathered, twin), {"__module__": __name__})
    for plain, twin in TWINS.items()
}
globals().update({kind.__name__: kind for kind in _GATHERED.values()})  # so that copy and pickle find them


def gathered(layer: nn.Module, made: Sequence[Threshold], read: Sequence[Threshold]) -> nn.Module:
    """Return a twin of a layer, over the layer's own weights, whose channels variables decide.

    Args:
        layer: A layer of torch that has a role.
        made: Thresholds of the channels that it makes. If empty, it makes all.
        read: Thresholds of the channels that it reads or passes on. If empty, it reads all.

    Example:
        >>> import torch
        >>> from asng.nn import Supernet
        >>> odd = Threshold(Integer(1, 2, label="parts"), torch.tensor([2, 1, 2, 1]))
        >>> layer = nn.Linear(3, 4, bias=False)
        >>> child = Supernet(gathered(layer, [odd], [])).extract({"parts": 1}, example=torch.ones(1, 3))
        >>> torch.equal(child.weight, layer.weight[[1, 3]])
        True
    """
    kind: Any = next(twin for plain, twin in _GATHERED.items() if isinstance(layer, plain))
    twin = kind.of(layer)
    twin.search_made, twin.search_read = tuple(made), tuple(read)
    slots = {"search_made": made, "search_read": read}
    twin.search_variables = {
        f"{table}[{number}]": threshold.variable
        for table, thresholds in slots.items()
        for number, threshold in enumerate(thresholds)
    }
    return twin  # type: ignore[no-any-return]
