"""The encoder layer of the Transformer."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from asng.errors import InputError, SpaceError
from asng.nn.layers.attention import attention_part, check_heads
from asng.nn.layers.linear import linear_part
from asng.nn.layers.norms import layer_norm_part
from asng.nn.layers.plain import shell
from asng.nn.layers.sizes import Rate, Size, largest, rate_range, variables_among
from asng.nn.layers.twin import Twin
from asng.nn.searchable import Searchable
from asng.space import Categorical

__all__ = ["TransformerEncoderLayer"]

_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "relu": (functional.relu, 1),
    "gelu": (functional.gelu, 2),
}
"""Name to function, and torch's number of it, by which its fast path knows the function."""


class TransformerEncoderLayer(Twin, nn.TransformerEncoderLayer):
    """torch.nn.TransformerEncoderLayer with variables for heads, feed-forward width, dropout or activation.

    It is as wide as its input. The heads share the width: more heads are narrower ones over the same weights.

    Args:
        d_model: The greatest width of inputs. Every width that comes must be a multiple of the heads.
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
        InputError: A size is no integer >= 1.
        SpaceError: A variable stands for something else, or for an activation that torch has not.

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
        heads = largest("nhead", nhead)
        nn.TransformerEncoderLayer.__init__(
            self,
            largest("d_model", d_model),
            1,  # which divides any width: torch's check would be of the greatest numbers only
            largest("dim_feedforward", dim_feedforward),
            rate_range("dropout", dropout),
            _check_names(activation) if isinstance(activation, Categorical) else activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device=device,
            dtype=dtype,
        )
        self.self_attn.num_heads = heads
        self.self_attn.head_dim = self.linear1.in_features // heads
        if isinstance(self.activation, Searchable):
            raise InputError(
                "activation: expected a name, a function, a plain module or a Categorical of names, got "
                f"{self.activation.described()}. Give asng.Categorical(['relu', 'gelu'])."
            )
        self.search_variables = variables_among(
            nhead=nhead, dim_feedforward=dim_feedforward, dropout=dropout, activation=activation
        )

    def plain(self, src: Tensor | None = None, *args: Any, **kwargs: Any) -> nn.Module:
        """Return the plain layer for a source (..., width)."""
        attention, linear = self.self_attn, self.linear1
        most = (linear.in_features, linear.out_features, attention.num_heads, self.dropout.p, self.activation)
        width = self.width(src, -1, most[0], "d_model")
        hidden = self._of("dim_feedforward", most[1])
        heads = check_heads(self, width, self._of("nhead", most[2]))
        rate = float(self._of("dropout", most[3], note=self.training))
        function, number = most[4], self.activation_relu_or_gelu
        if "activation" in self.search_variables:
            function, number = _ACTIVATIONS[cast(str, self.value("activation"))]
        if (width, hidden, heads, rate, function) == most:
            return self
        modules: dict[str, nn.Module] = {
            "self_attn": attention_part(attention, width, heads, rate, kdim=width, vdim=width),
            "linear1": linear_part(linear, width, hidden),
            "dropout": shell(self.dropout, {}, {"p": rate}),
            "linear2": linear_part(self.linear2, hidden, width),
            "norm1": layer_norm_part(self.norm1, (width,)),
            "norm2": layer_norm_part(self.norm2, (width,)),
            "dropout1": shell(self.dropout1, {}, {"p": rate}),
            "dropout2": shell(self.dropout2, {}, {"p": rate}),
        }
        attributes: dict[str, object] = {"activation_relu_or_gelu": number}
        if isinstance(function, nn.Module):
            modules["activation"] = function
        else:
            attributes["activation"] = function
        return shell(self, {}, attributes, modules)

    def _of(self, slot: str, fixed: Any, *, note: bool = True) -> Any:
        """Return a value that torch's layer keeps in one of its parts."""
        return self.value(slot, note=note) if slot in self.search_variables else fixed


def _check_names(activation: Categorical) -> str:
    for choice in activation.choices:
        if choice not in _ACTIVATIONS:
            raise SpaceError(f"activation: expected choices among {list(_ACTIVATIONS)}, got {choice!r}.")
    return str(activation.choices[0])
