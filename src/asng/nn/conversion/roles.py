"""Roles of layers: whether they make channels, read them, or pass each one on by itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from asng.nn.conversion.attention import heads_stay, parts_of_width
from asng.nn.conversion.recurrent import directions, parts_of_units
from asng.nn.extraction.hooks import is_wrapped
from asng.nn.layers.subclasses import definer

__all__ = ["Role", "count", "given_to", "narrowed", "of_group_norm", "parts_of", "role_of"]

_CONVOLUTIONS: dict[type, int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
_TRANSPOSED: dict[type, int] = {nn.ConvTranspose1d: 1, nn.ConvTranspose2d: 2, nn.ConvTranspose3d: 3}
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


@dataclass(frozen=True)
class Role:
    """What a layer does to channels.

    Attributes:
        makes: Number of channels that it makes; None if it passes channels on.
        reads: Whether each number of its output depends on all channels of the input.
        norms: Whether it normalises over channels, and passes them on.
        dims: Number of dimensions after that of the channels; None if the channels are the second dimension.
        tensors: Name of each tensor to a mapping from its dimensions to "made" or "read" channels; empty if
            `is_of_torch`. Rows of a recurrent cell belong to "gates".
        sizes: Name of each attribute that counts channels, to "made" or "read"; empty if `is_of_torch`.
        per: Name of an attribute that counts groups of channels, to the number of channels in a group. All
            groups that are left must have equally many channels left.
        owner: Path of the module of a tensor or number that belongs to no layer; None for a layer.
        runs: Number of equal runs of its channels that must lose the same ones: two for a bidirectional
            recurrent layer.
        gates: Number of rows per channel of a recurrent cell, in tensors with a dimension of "gates".
        heads: Number of channels per head of an attention, which makes as many channels as it is given and
            loses whole heads; 0 for other layers.
    """

    makes: int | None
    reads: bool
    norms: bool = False
    dims: int | None = 0
    tensors: Mapping[str, Mapping[int, str]] = field(default_factory=dict, repr=False)
    sizes: Mapping[str, str] = field(default_factory=dict, repr=False)
    per: Mapping[str, int] = field(default_factory=dict, repr=False)
    owner: str | None = field(default=None, repr=False)
    runs: int = field(default=1, repr=False)
    gates: int = field(default=1, repr=False)
    heads: int = field(default=0, repr=False)

    @property
    def is_of_torch(self) -> bool:
        """Whether the conversion has a twin of the layer, and knows its tensors by itself."""
        return not (self.tensors or self.sizes)

    @property
    def is_number(self) -> bool:
        """Whether it is that of a number which a module stores."""
        return self.owner is not None and not self.tensors

    def dim(self, x: Tensor) -> int:
        """Return the dimension of the channels."""
        return 1 if self.dims is None else x.ndim - 1 - self.dims


def role_of(module: nn.Module) -> Role | None:
    """Return the role of a layer of torch; None for any other module, and for a layer that was changed.

    Example:
        >>> role_of(nn.Linear(3, 8))
        Role(makes=8, reads=True, norms=False, dims=0)
        >>> role_of(nn.ReLU()) is None
        True
    """
    convolutions = _CONVOLUTIONS | _TRANSPOSED
    kind = next((k for k in (*_KINDS, *convolutions) if isinstance(module, k)), None)
    if kind is None or definer(type(module), "forward") is not definer(kind, "forward"):
        return None
    if is_wrapped(module) or is_parametrized(module):
        return None
    if kind not in convolutions:
        return _KINDS[kind](module)  # type: ignore[no-any-return]
    layer: Any = module
    if layer.groups == 1:
        return Role(layer.out_channels, reads=True, dims=convolutions[kind])
    many = layer.in_channels // layer.groups
    per = {} if layer.groups == layer.in_channels == layer.out_channels else {"groups": many}
    return Role(None, reads=False, dims=convolutions[kind], per=per)


def _of_norm(layer: Any) -> Role | None:
    return Role(None, reads=False, norms=True) if len(layer.normalized_shape) == 1 else None


def of_group_norm(layer: Any) -> Role:
    """Return the role of `nn.GroupNorm`."""
    return Role(
        None,
        reads=False,
        norms=True,
        dims=None,
        tensors={n: {0: "read"} for n in ("weight", "bias") if getattr(layer, n) is not None},
        sizes={"num_channels": "read", "num_groups": "read"},
        per={"num_groups": layer.num_channels // layer.num_groups},
    )


def _of_instance_norm(layer: Any) -> Role | None:
    # Without a batch, the channels come first.
    return None if layer.track_running_stats else Role(None, reads=False, dims=None)


def _of_recurrent(layer: Any) -> Role | None:
    if layer.proj_size:
        return None
    return Role(layer.hidden_size * directions(layer), reads=True, runs=directions(layer))


def _of_cell(layer: Any) -> Role:
    biases = {"bias_ih": {0: "gates"}, "bias_hh": {0: "gates"}} if layer.bias else {}
    return Role(
        layer.hidden_size,
        reads=True,
        tensors={"weight_ih": {0: "gates", 1: "read"}, "weight_hh": {0: "gates", 1: "made"}, **biases},
        sizes={"hidden_size": "made", "input_size": "read"},
        gates=len(layer.weight_ih) // layer.hidden_size,
    )


def _of_attention(layer: Any) -> Role | None:
    return None if heads_stay(layer) else Role(layer.embed_dim, reads=True, heads=layer.head_dim)


_KINDS: Mapping[type, Any] = {
    nn.Linear: lambda layer: Role(layer.out_features, reads=True),
    nn.Embedding: lambda layer: None if layer.max_norm else Role(layer.embedding_dim, reads=False),
    nn.LayerNorm: _of_norm,
    nn.GroupNorm: of_group_norm,
    nn.RMSNorm: _of_norm,
    nn.PReLU: lambda layer: Role(None, reads=False, dims=None) if layer.num_parameters > 1 else None,
    **{kind: lambda layer: Role(None, reads=False, dims=None) for kind in _BATCH_NORMS},
    **dict.fromkeys(_INSTANCE_NORMS, _of_instance_norm),
    **dict.fromkeys((nn.RNN, nn.LSTM, nn.GRU), _of_recurrent),
    **dict.fromkeys((nn.RNNCell, nn.LSTMCell, nn.GRUCell), _of_cell),
    nn.MultiheadAttention: _of_attention,
}


def given_to(layer: Any, role: Role) -> int:
    """Return the number of channels that a layer reads or passes on; 0 if it is given none.

    Example:
        >>> given_to(nn.Linear(3, 8), role_of(nn.Linear(3, 8)))
        3
    """
    for name, dims in role.tensors.items():
        for dim, which in dims.items():
            if which == "read":
                return int(getattr(layer, name).shape[dim])
    names = (
        *("in_features", "in_channels", "input_size", "embed_dim"),
        *("num_features", "num_parameters", "num_channels"),
    )
    width = next((getattr(layer, name) for name in names if hasattr(layer, name)), 0)
    return width or getattr(layer, "normalized_shape", (0,))[0]


@contextmanager
def narrowed(layer: Any, made: Tensor | None, read: Tensor | None, role: Role) -> Iterator[None]:
    """Narrow a layer to some of its channels while the block runs.

    Args:
        layer: A layer that has a role.
        made: Indices of the channels that it makes; None for all.
        read: Indices of the channels that it reads or passes on; None for all.
        role: The role of the layer.
    """
    before = dict(vars(layer))
    vars(layer)["_parameters"], vars(layer)["_buffers"] = dict(layer._parameters), dict(layer._buffers)
    try:
        tensors, sizes = parts_of(layer, made, read, role)
        for name, tensor in tensors.items():
            table = layer._parameters if name in layer._parameters else layer._buffers
            table[name] = nn.Parameter(tensor, requires_grad=False) if table is layer._parameters else tensor
        vars(layer).update(sizes)
        yield
    finally:
        vars(layer).clear()
        vars(layer).update(before)


def parts_of(
    layer: Any, made: Tensor | None, read: Tensor | None, role: Role | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a layer with some of its channels, and its sizes, by their torch names.

    Args:
        layer: A layer that has a role.
        made: As in `narrowed`.
        read: As in `narrowed`.
        role: The role of the layer; required unless it `is_of_torch`.
    """
    if role is not None and not role.is_of_torch:
        kept = {"made": made, "read": read, "gates": rows_of_gates(role, made)}
        parts: dict[str, Tensor] = {}
        for name, dims in role.tensors.items():
            parts |= _cut(layer, {dim: kept[which] for dim, which in dims.items()}, name)
        there = {name: kept[which] for name, which in role.sizes.items()}
        sizes: dict[str, Any] = {n: count(k, role.per.get(n, 1)) for n, k in there.items() if k is not None}
        return parts, {n: (v,) if isinstance(getattr(layer, n), tuple) else v for n, v in sizes.items()}
    if isinstance(layer, nn.RNNBase):
        return parts_of_units(layer, made, read)
    if isinstance(layer, nn.MultiheadAttention):
        return parts_of_width(layer, made, read)
    if isinstance(layer, nn.Embedding):
        return _cut(layer, {1: made}, "weight"), _sizes(embedding_dim=made)
    if isinstance(layer, nn.Linear):
        tensors = _cut(layer, {0: made, 1: read}, "weight") | _cut(layer, {0: made}, "bias")
        return tensors, _sizes(out_features=made, in_features=read)
    if hasattr(layer, "kernel_size"):
        if layer.groups > 1:
            return _parts_of_groups(layer, read)
        sides = {1: made, 0: read} if isinstance(layer, tuple(_TRANSPOSED)) else {0: made, 1: read}
        tensors = _cut(layer, sides, "weight") | _cut(layer, {0: made}, "bias")
        return tensors, _sizes(out_channels=made, in_channels=read)
    tensors = _cut(layer, {0: read}, "weight", "bias", "running_mean", "running_var")
    if isinstance(layer, (*_BATCH_NORMS, *_INSTANCE_NORMS)):
        return tensors, _sizes(num_features=read)
    if isinstance(layer, nn.PReLU):
        return tensors, _sizes(num_parameters=read)
    return tensors, {} if read is None else {"normalized_shape": (len(read),)}


def rows_of_gates(role: Role, values: Tensor | None) -> Tensor | None:
    """Return the rows of channels, one block of rows per gate; None stands for all channels."""
    if values is None or role.gates == 1:
        return values
    return (torch.arange(role.gates).unsqueeze(1) * (role.makes or 0) + values.cpu()).flatten()


def _parts_of_groups(layer: Any, read: Tensor | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what `parts_of` returns, for a grouped convolution, which keeps whole groups."""
    if read is None:
        return {}, {}
    many, made = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    groups = torch.unique(read // many)
    if len(read) != many * len(groups):
        raise ValueError(f"a group of {many} channels is left in part")
    out = (groups.unsqueeze(1) * made + torch.arange(made, device=groups.device)).flatten()
    first = read if isinstance(layer, tuple(_TRANSPOSED)) else out
    tensors = _cut(layer, {0: first}, "weight") | _cut(layer, {0: out}, "bias")
    return tensors, {**_sizes(out_channels=out, in_channels=read), "groups": len(groups)}


def count(there: Tensor, per: int) -> int:
    """Return the number of groups that the channels left belong to.

    Args:
        there: Indices of the channels that are left.
        per: Number of channels in a whole group.

    Raises:
        ValueError: These groups have different numbers of channels left.

    Example:
        >>> count(torch.tensor([0, 1, 4, 5]), 4), count(torch.tensor([0, 1, 2, 3]), 4)
        (2, 1)
    """
    sizes = torch.unique(there // per, return_counts=True)[1]
    if bool((sizes != sizes[0]).any()):
        raise ValueError(f"groups of {per} channels have {sizes.tolist()} of them left")
    return len(sizes)


def _cut(layer: nn.Module, kept: Mapping[int, Tensor | None], *names: str) -> dict[str, Tensor]:
    parts: dict[str, Tensor] = {}
    for name in names:
        part = getattr(layer, name, None)
        if part is None:
            continue
        for dim, indices in kept.items():
            part = part if indices is None else part.index_select(dim, indices.to(part.device))
        parts[name] = part
    return parts


def _sizes(**kept: Tensor | None) -> dict[str, int]:
    return {name: len(indices) for name, indices in kept.items() if indices is not None}
