"""torch's attention in a conversion: `nn.MultiheadAttention`, which is as wide inside as outside.

It makes as many channels as it is given, and has as many inside, in heads of one size. So as its width
shrinks, it loses its last heads, which its output projection must then not read. The size of a head stays.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asng.nn.layers.plain import asking, shell

__all__ = ["along_width", "given", "heads_stay", "parts_of_width", "shapes_of_attention", "without_heads"]

_INPUTS = ("query", "key", "value")


def heads_stay(layer: Any) -> bool:
    """Whether an attention cannot be narrowed: its keys or values have another width, or a bias."""
    return not layer._qkv_same_embed_dim or layer.bias_k is not None


def parts_of_width(
    layer: Any, made: Tensor | None, read: Tensor | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of an attention with some of its channels, and its sizes and parts, by name.

    Args:
        layer: The layer.
        made: Indices of the channels that it still makes; None for all.
        read: Indices of the channels that it is still given; None for all.

    Raises:
        ValueError: Their numbers differ, or are not a whole number of heads.

    Example:
        >>> from torch import nn
        >>> attention, half = nn.MultiheadAttention(8, 4), torch.arange(0, 8, 2)
        >>> parts, sizes = parts_of_width(attention, half, half)
        >>> parts["in_proj_weight"].shape, sizes["num_heads"]
        (torch.Size([12, 4]), 2)
    """
    if made is None and read is None:
        return {}, {}
    if made is None or read is None or len(made) != len(read) or len(made) % layer.head_dim:
        raise ValueError(f"it makes as many channels as it is given, in heads of {layer.head_dim}")
    device, width = layer.in_proj_weight.device, len(made)
    inner = torch.arange(width, device=device)
    rows = torch.cat([inner + part * layer.embed_dim for part in range(3)])
    made, read, last = made.to(device), read.to(device), layer.out_proj
    tensors = {"in_proj_weight": layer.in_proj_weight.index_select(0, rows).index_select(1, read)}
    if layer.in_proj_bias is not None:
        tensors["in_proj_bias"] = layer.in_proj_bias.index_select(0, rows)
    own = {"weight": last.weight.index_select(0, made).index_select(1, inner)}
    if last.bias is not None:
        own["bias"] = last.bias.index_select(0, made)
    for name, part in own.items():
        asking(getattr(last, name), part)
    smaller = shell(last, own, {"in_features": width, "out_features": width})
    sizes = dict.fromkeys(("embed_dim", "kdim", "vdim"), width) | {"num_heads": width // layer.head_dim}
    return tensors, {**sizes, "_modules": {**layer._modules, "out_proj": smaller}}


def along_width(layer: Any, side: str) -> Tensor:
    """Return the weights of a side as a matrix whose first dimension is its channels.

    Args:
        layer: The layer.
        side: "made" or "read".
    """
    weight: Tensor = layer.out_proj.weight if side == "made" else layer.in_proj_weight.T
    return weight.detach()


def given(args: Sequence[Any], kwargs: Any) -> list[Tensor]:
    """Return the query, key and value of a call."""
    return [*args[:3], *(kwargs[name] for name in _INPUTS[len(args) :])]


def shapes_of_attention(
    layer: Any, out: int, args: Sequence[Any], kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """Return the outputs of an attention, on the meta device, if it makes `out` channels."""
    query, key, _ = given(args, kwargs)
    made = torch.empty((*query.shape[:-1], out), device="meta", dtype=query.dtype)
    if not kwargs.get("need_weights", args[4] if len(args) > 4 else True):
        return made, None
    first = layer.batch_first or query.ndim == 2
    queries, keys = (x.shape[-2] if first else x.shape[0] for x in (query, key))
    items = query.shape[: query.ndim - 2] if first else query.shape[1:2]
    heads = () if kwargs.get("average_attn_weights", True) else (layer.num_heads,)
    return made, torch.empty((*items, *heads, queries, keys), device="meta", dtype=query.dtype)


def without_heads(layer: Any, kept: Tensor, args: Sequence[Any], kwargs: Any) -> Any:
    """Run an attention that reads neither lost channels nor the heads that are lost with them.

    Args:
        layer: The layer.
        kept: Indices of the channels that it is still given.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.
    """
    last, there = layer.out_proj, kept.to(layer.in_proj_weight.device)
    weight = last.weight.clone()
    weight[:, len(kept) :] = 0.0
    clean = (
        torch.zeros_like(x).index_copy(-1, there, x.index_select(-1, there)) for x in given(args, kwargs)
    )
    others = {name: value for name, value in kwargs.items() if name not in _INPUTS}
    layer._modules["out_proj"] = shell(last, {"weight": weight, "bias": last.bias}, {})
    try:
        return type(layer).forward(layer, *clean, *args[3:], **others)
    finally:
        layer._modules["out_proj"] = last
