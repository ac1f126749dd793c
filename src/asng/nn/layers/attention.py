"""Multi-head attention."""

from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from asng.errors import InputError
from asng.nn.layers.linear import linear_part
from asng.nn.layers.plain import PLANS, Plan, cut_of, planned
from asng.nn.layers.sizes import Rate, Size, check_plain, largest, rate_range, variables_among
from asng.nn.layers.twin import Twin, parts_of

__all__ = ["MultiheadAttention", "attention_part", "check_heads"]


class MultiheadAttention(Twin, nn.MultiheadAttention):
    """torch.nn.MultiheadAttention as wide as its query, whose heads and dropout may be variables.

    The heads share the width: more heads are narrower, and use the same weights.

    Args:
        embed_dim: Largest width of queries and outputs. The width of every query must be a multiple of the
            number of heads.
        num_heads: Number of heads.
        dropout: Dropout rate of the attention weights, read in training mode only; see `Dropout`.
        bias: As in torch.
        add_bias_kv: As in torch.
        add_zero_attn: As in torch.
        kdim: Largest width of keys. Default: `embed_dim`; the keys are then as wide as the query.
        vdim: Largest width of values. Default: `embed_dim`; the values are then as wide as the query.
        batch_first: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1.
        SpaceError: A variable may take an invalid value.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Categorical
        >>> attention = MultiheadAttention(16, Categorical([1, 2, 4], label="heads"), batch_first=True)
        >>> x = torch.ones(2, 5, 8)
        >>> output, weights = Supernet(attention)(x, x, x, architecture={"heads": 4})
        >>> output.shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        embed_dim: Size,
        num_heads: Size,
        dropout: Rate = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: Size | None = None,
        vdim: Size | None = None,
        batch_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(bias=bias, add_bias_kv=add_bias_kv, add_zero_attn=add_zero_attn, batch_first=batch_first)
        check_plain(device=device, dtype=dtype)
        heads = largest("num_heads", num_heads)
        # One head, which divides any width: torch would check only the largest numbers.
        nn.MultiheadAttention.__init__(
            self,
            largest("embed_dim", embed_dim),
            1,
            rate_range("dropout", dropout),
            bias,
            add_bias_kv,
            add_zero_attn,
            None if kdim is None else largest("kdim", kdim),
            None if vdim is None else largest("vdim", vdim),
            batch_first,
            device=device,
            dtype=dtype,
        )
        self.num_heads, self.head_dim = heads, self.embed_dim // heads
        self.search_variables = variables_among(num_heads=num_heads, dropout=dropout)
        self.search_parts = parts_of(self)

    def plain(
        self,
        query: Tensor | None = None,
        key: Tensor | None = None,
        value: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> nn.Module:
        """Return the plain layer for a query, key and value (..., width)."""
        width = self.width(query, -1, self.embed_dim, "embed_dim")
        widths = {"kdim": width, "vdim": width}
        for name, x in (("kdim", key), ("vdim", value)):
            widths[name] = self.width(x, -1, getattr(self, name), name)
            if self._qkv_same_embed_dim and x is not None and widths[name] != width:
                raise InputError(
                    f"{self.described()}: expected keys and values as wide as the query, {width}, got "
                    f"{widths[name]}. Give kdim and vdim."
                )
        heads = check_heads(self, width, self.setting("num_heads"))
        rate = float(self.setting("dropout", note=self.training))
        return attention_part(self, width, heads, rate, **widths)


def check_heads(layer: Twin, width: int, heads: int) -> int:
    """Return the number of heads, which must divide the width.

    Raises:
        InputError: It does not.
    """
    if width % heads:
        raise InputError(
            f"{layer.described()}: expected a width in multiples of the number of heads = {heads}, got "
            f"{width}. Give the width a step that all numbers of heads divide."
        )
    return heads


def attention_part(
    source: nn.MultiheadAttention, width: int, heads: int, rate: float, *, kdim: int, vdim: int
) -> nn.Module:
    """Return attention of smaller sizes over the weights of `source`, or `source` if none are smaller."""
    most = source.embed_dim, source.num_heads, source.dropout, source.kdim, source.vdim
    plan = _attention_plan(most, (width, heads, rate, kdim, vdim))
    if plan.whole:
        return source
    return planned(source, plan, {"out_proj": linear_part(source.out_proj, width, width)})


_Sizes: TypeAlias = tuple[int, int, float, int, int]
"""Width, number of heads, dropout rate, width of keys, width of values."""


@lru_cache(maxsize=PLANS)
def _attention_plan(most: _Sizes, sizes: _Sizes) -> Plan:
    (wide, _, _, wide_k, wide_v), (width, heads, rate, kdim, vdim) = most, sizes
    cuts = {
        # Three blocks each, for query, key and value.
        "in_proj_weight": cut_of((3 * wide, wide_k), (3 * width, kdim), groups=3),
        "in_proj_bias": cut_of((3 * wide,), (3 * width,), groups=3),
        "q_proj_weight": cut_of((wide, wide), (width, width)),
        "k_proj_weight": cut_of((wide, wide_k), (width, kdim)),
        "v_proj_weight": cut_of((wide, wide_v), (width, vdim)),
        "bias_k": cut_of((1, 1, wide), (1, 1, width)),
        "bias_v": cut_of((1, 1, wide), (1, 1, width)),
    }
    attributes = {
        "embed_dim": width,
        "num_heads": heads,
        "head_dim": width // heads,
        "kdim": kdim,
        "vdim": vdim,
        "dropout": rate,
    }
    return Plan(attributes, cuts, sizes == most)
