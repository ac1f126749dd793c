"""What layers of torch do to channels: make them, read them, or pass each one on by itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from asng.nn.extraction.hooks import is_wrapped
from asng.nn.layers.subclasses import definer

__all__ = ["Role", "narrowed", "role_of", "roles_in"]

_CONVOLUTIONS: dict[type, int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Role:
    """What a layer does to channels.

    Attributes:
        makes: Whether its output has channels of its own: then how many.
        reads: Whether each number of its output comes from all channels of the input.
        norms: Whether it normalises over channels, and passes them on.
        dims: How many dimensions come after that of the channels; None: it is the second one.
    """

    makes: int | None
    reads: bool
    norms: bool = False
    dims: int | None = 0

    def dim(self, x: Tensor) -> int:
        """Return the dimension of the channels."""
        return 1 if self.dims is None else x.ndim - 1 - self.dims


def role_of(module: nn.Module) -> Role | None:
    """Return the role of a layer, None of what is no layer of torch, or changed.

    Example:
        >>> role_of(nn.Linear(3, 8))
        Role(makes=8, reads=True, norms=False, dims=0)
        >>> role_of(nn.ReLU()) is None
        True
    """
    kind = next((k for k in (*_KINDS, *_CONVOLUTIONS) if isinstance(module, k)), None)
    if kind is None or definer(type(module), "forward") is not definer(kind, "forward"):
        return None
    if is_wrapped(module) or is_parametrized(module):
        return None
    if kind not in _CONVOLUTIONS:
        return _KINDS[kind](module)
    layer: Any = module
    if layer.groups == layer.in_channels == layer.out_channels:
        return Role(None, reads=False, dims=_CONVOLUTIONS[kind])
    return Role(layer.out_channels, reads=True, dims=_CONVOLUTIONS[kind]) if layer.groups == 1 else None


def _of_norm(layer: Any) -> Role | None:
    return Role(None, reads=False, norms=True) if len(layer.normalized_shape) == 1 else None


_KINDS: Mapping[type, Any] = {
    nn.Linear: lambda layer: Role(layer.out_features, reads=True),
    nn.Embedding: lambda layer: None if layer.max_norm else Role(layer.embedding_dim, reads=False),
    nn.LayerNorm: _of_norm,
    nn.RMSNorm: _of_norm,
    nn.PReLU: lambda layer: Role(None, reads=False, dims=None) if layer.num_parameters > 1 else None,
    **{kind: lambda layer: Role(None, reads=False, dims=None) for kind in _BATCH_NORMS},
}


def roles_in(model: nn.Module) -> dict[str, Role]:
    """Return the roles of all layers that have one, by their paths."""
    roles = {path: role_of(module) for path, module in model.named_modules()}
    return {path: role for path, role in roles.items() if role is not None}


@contextmanager
def narrowed(layer: Any, made: Tensor | None, read: Tensor | None) -> Iterator[None]:
    """Have a layer be that of some of its channels while the block runs.

    Args:
        layer: One that has a role.
        made: Indices of the channels that it makes; None: all.
        read: Those that it reads, or passes on; None: all.
    """
    before = dict(vars(layer))
    vars(layer)["_parameters"], vars(layer)["_buffers"] = dict(layer._parameters), dict(layer._buffers)
    try:
        for name, value in _parts(layer, made, read).items():
            if isinstance(value, nn.Parameter):
                layer._parameters[name] = value
            elif isinstance(value, Tensor):
                layer._buffers[name] = value
            else:
                vars(layer)[name] = value
        yield
    finally:
        vars(layer).clear()
        vars(layer).update(before)


def _parts(layer: Any, made: Tensor | None, read: Tensor | None) -> dict[str, Any]:
    if isinstance(layer, nn.Embedding):
        return _cut(layer, {1: made}, weight=True) | _sizes(embedding_dim=made)
    if isinstance(layer, nn.Linear):
        parts = _cut(layer, {0: made, 1: read}, weight=True) | _cut(layer, {0: made}, bias=True)
        return parts | _sizes(out_features=made, in_features=read)
    if isinstance(layer, tuple(_CONVOLUTIONS)):
        if layer.groups > 1:
            parts = _cut(layer, {0: read}, weight=True, bias=True)
            return parts | _sizes(out_channels=read, in_channels=read, groups=read)
        parts = _cut(layer, {0: made, 1: read}, weight=True) | _cut(layer, {0: made}, bias=True)
        return parts | _sizes(out_channels=made, in_channels=read)
    everything = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), True)
    parts = _cut(layer, {0: read}, **everything)
    if isinstance(layer, _BATCH_NORMS):
        return parts | _sizes(num_features=read)
    if isinstance(layer, nn.PReLU):
        return parts | _sizes(num_parameters=read)
    return parts | ({} if read is None else {"normalized_shape": (len(read),)})


def _cut(layer: nn.Module, kept: Mapping[int, Tensor | None], **names: bool) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for name in names:
        whole = getattr(layer, name, None)
        if whole is None:
            continue
        part = whole.detach()
        for dim, indices in kept.items():
            part = part if indices is None else part.index_select(dim, indices)
        parts[name] = nn.Parameter(part, requires_grad=False) if isinstance(whole, nn.Parameter) else part
    return parts


def _sizes(**kept: Tensor | None) -> dict[str, int]:
    return {name: len(indices) for name, indices in kept.items() if indices is not None}
