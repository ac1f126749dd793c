"""Encoder and decoder layers of the Transformer."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from asng.checks import one_of
from asng.errors import InputError, SpaceError
from asng.nn.base import Searchable
from asng.nn.layers.attention import attention_part, check_heads
from asng.nn.layers.linear import linear_part
from asng.nn.layers.norms import layer_norm_part
from asng.nn.layers.plain import shell
from asng.nn.layers.sizes import Rate, Size, check_plain, largest, rate_range, variables_among
from asng.nn.layers.twin import Twin, parts_of
from asng.space import Categorical

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]

_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "relu": (functional.relu, 1),
    "gelu": (functional.gelu, 2),
}
"""Name to function, and the number by which torch's fast path identifies the function."""


class TransformerEncoderLayer(Twin, nn.TransformerEncoderLayer):
    """torch.nn.TransformerEncoderLayer with variables for heads, feed-forward width, dropout or activation.

    It is as wide as its input. The heads share the width: more heads are narrower, and use the same weights.

    Args:
        d_model: Largest width of inputs. The width of every input must be a multiple of the number of heads.
        nhead: Number of heads.
        dim_feedforward: Width of the hidden layer of the feed-forward block.
        dropout: Rate of all dropouts, read in training mode only; see `Dropout`.
        activation: As in torch, or a `Categorical` of "relu" and "gelu".
        layer_norm_eps: As in torch.
        batch_first: As in torch.
        norm_first: As in torch.
        bias: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1, or the activation is a searchable module or another name.
        SpaceError: A variable may take an invalid value, or an activation other than "relu" and "gelu".

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Categorical, Integer
        >>> layer = TransformerEncoderLayer(
        ...     16, Categorical([1, 2, 4], label="heads"), Integer(8, 64, label="hidden"), batch_first=True
        ... )
        >>> supernet = Supernet(layer)
        >>> supernet(torch.ones(2, 5, 16), architecture={"heads": 2, "hidden": 20}).shape
        torch.Size([2, 5, 16])
    """

    def __init__(
        self,
        d_model: Size,
        nhead: Size,
        dim_feedforward: Size = 2048,
        dropout: Rate = 0.1,
        activation: str | Callable[[Tensor], Tensor] | Categorical = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(layer_norm_eps=layer_norm_eps, batch_first=batch_first, norm_first=norm_first, bias=bias)
        check_plain(device=device, dtype=dtype)
        nn.TransformerEncoderLayer.__init__(
            self,
            largest("d_model", d_model),
            1,  # which divides any width: torch would check only the largest numbers
            largest("dim_feedforward", dim_feedforward),
            rate_range("dropout", dropout),
            _checked(activation),
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device=device,
            dtype=dtype,
        )
        searched = {"nhead": nhead, "dim_feedforward": dim_feedforward, "dropout": dropout}
        _note(self, searched | {"activation": activation})

    def plain(self, src: Tensor | None = None, *args: Any, **kwargs: Any) -> nn.Module:
        """Return the plain layer for a source (..., width)."""
        return _plain(self, self.width(src, -1, self.linear1.in_features, "d_model"))


class TransformerDecoderLayer(Twin, nn.TransformerDecoderLayer):
    """torch.nn.TransformerDecoderLayer with variables for heads, feed-forward width, dropout or activation.

    It is as wide as its target, and the memory must have the same width. See `TransformerEncoderLayer` for
    arguments and errors.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Categorical
        >>> layer = TransformerDecoderLayer(16, Categorical([1, 2, 4], label="heads"), 32, batch_first=True)
        >>> x, memory = torch.ones(2, 5, 8), torch.ones(2, 3, 8)
        >>> Supernet(layer)(x, memory, architecture={"heads": 2}).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        d_model: Size,
        nhead: Size,
        dim_feedforward: Size = 2048,
        dropout: Rate = 0.1,
        activation: str | Callable[[Tensor], Tensor] | Categorical = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(layer_norm_eps=layer_norm_eps, batch_first=batch_first, norm_first=norm_first, bias=bias)
        check_plain(device=device, dtype=dtype)
        nn.TransformerDecoderLayer.__init__(
            self,
            largest("d_model", d_model),
            1,
            largest("dim_feedforward", dim_feedforward),
            rate_range("dropout", dropout),
            _checked(activation),
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device=device,
            dtype=dtype,
        )
        searched = {"nhead": nhead, "dim_feedforward": dim_feedforward, "dropout": dropout}
        _note(self, searched | {"activation": activation})

    def plain(
        self, tgt: Tensor | None = None, memory: Tensor | None = None, *args: Any, **kwargs: Any
    ) -> nn.Module:
        """Return the plain layer for a target and a memory (..., width)."""
        most = self.linear1.in_features
        width = self.width(tgt, -1, most, "d_model")
        if memory is not None and self.width(memory, -1, most, "d_model") != width:
            raise InputError(
                f"{self.described()}: expected a memory as wide as the target, {width}, got "
                f"{memory.shape[-1]}. Give both widths the same label."
            )
        return _plain(self, width)


def _note(layer: Any, searched: dict[str, Any]) -> None:
    """Set the variables of a new layer, and its largest number of heads."""
    heads = largest("nhead", searched["nhead"])
    for attention in _attentions(layer):
        attention.num_heads, attention.head_dim = heads, attention.embed_dim // heads
    if isinstance(layer.activation, Searchable):
        raise InputError(
            "activation: expected a name, a function, a plain module or a Categorical of names, got "
            f"{layer.activation.described()}. Give asng.Categorical(['relu', 'gelu'])."
        )
    layer.search_variables = variables_among(**searched)
    layer.search_parts = parts_of(layer)


def _attentions(layer: nn.Module) -> list[nn.MultiheadAttention]:
    return [part for part in layer._modules.values() if isinstance(part, nn.MultiheadAttention)]


def _plain(layer: Any, width: int) -> nn.Module:
    """Return the plain layer of an encoder or decoder layer, at a width."""
    attention, linear = layer.self_attn, layer.linear1
    function = layer.activation
    most = (linear.in_features, linear.out_features, attention.num_heads, layer.dropout.p, function)
    hidden = _of(layer, "dim_feedforward", most[1])
    heads = check_heads(layer, width, _of(layer, "nhead", most[2]))
    rate = float(_of(layer, "dropout", most[3], note=layer.training))
    attributes: dict[str, object] = {}
    if "activation" in layer.search_variables:
        function, number = _ACTIVATIONS[cast(str, layer.value("activation"))]
        if hasattr(layer, "activation_relu_or_gelu"):
            attributes["activation_relu_or_gelu"] = number
    if (width, hidden, heads, rate, function) == most:
        return layer  # type: ignore[no-any-return]
    modules: dict[str, nn.Module] = {}
    for name, part in layer._modules.items():
        if isinstance(part, nn.MultiheadAttention):
            modules[name] = attention_part(part, width, heads, rate, kdim=width, vdim=width)
        elif isinstance(part, nn.LayerNorm) and name.startswith("norm"):
            modules[name] = layer_norm_part(part, width)
        elif isinstance(part, nn.Dropout) and name.startswith("dropout"):
            modules[name] = part if part.p == rate else shell(part, {}, {"p": rate})
        elif name not in ("linear1", "linear2"):
            modules[name] = part  # an activation, or what a subclass adds
    modules["linear1"] = linear_part(linear, width, hidden)
    modules["linear2"] = linear_part(layer.linear2, hidden, width)
    if not isinstance(function, nn.Module):
        attributes["activation"] = function
    return shell(layer, {}, attributes, modules)


def _of(layer: Any, slot: str, fixed: Any, *, note: bool = True) -> Any:
    """Return the value of a variable, or `fixed`, which torch's layer keeps in one of its parts."""
    return layer.value(slot, note=note) if slot in layer.search_variables else fixed


def _checked(activation: Any) -> Any:
    """Return an activation for torch's layer: as given, or the first choice of a variable."""
    if isinstance(activation, str):
        return one_of("activation", activation, _ACTIVATIONS)
    if not isinstance(activation, Categorical):
        return activation
    for choice in activation.choices:
        if choice not in _ACTIVATIONS:
            raise SpaceError(f"activation: expected choices among {list(_ACTIVATIONS)}, got {choice!r}.")
    return activation.choices[0]
