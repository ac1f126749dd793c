"""Recurrent layers: RNN, LSTM and GRU."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from asng.errors import SpaceError
from asng.nn.base import Extraction
from asng.nn.layers.plain import asking, shell, window
from asng.nn.layers.sizes import Rate, Size, check_plain, largest, rate_range, variables_among
from asng.nn.layers.twin import Twin

__all__ = ["GRU", "LSTM", "RNN"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}

_Layer: TypeAlias = "RNN | LSTM | GRU"


class LSTM(Twin, nn.LSTM):
    """torch.nn.LSTM whose hidden size, number of layers and dropout may be variables.

    It uses the first layers, and the first units of each gate. A state passed to it must have the current
    sizes.

    Args:
        input_size: Largest number of input features.
        hidden_size: Number of units per layer and direction.
        num_layers: Number of layers.
        bias: As in torch.
        batch_first: As in torch.
        dropout: Rate between layers, read in training mode only; see `Dropout`.
        bidirectional: As in torch.
        proj_size: As in torch, an integer; smaller than every hidden size.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1.
        SpaceError: A variable may take an invalid value, or a hidden size is not larger than `proj_size`.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> lstm = LSTM(8, Integer(4, 16, label="hidden"), Integer(1, 2, label="layers"), batch_first=True)
        >>> output, state = Supernet(lstm)(torch.ones(3, 5, 6), architecture={"hidden": 7, "layers": 2})
        >>> output.shape, state[0].shape
        (torch.Size([3, 5, 7]), torch.Size([2, 3, 7]))
    """

    def __init__(
        self,
        input_size: Size,
        hidden_size: Size,
        num_layers: Size = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: Rate = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(proj_size=proj_size)
        if proj_size and proj_size >= _least(hidden_size):
            raise SpaceError(
                f"hidden_size: expected more than proj_size = {proj_size}, got {hidden_size}. Raise its "
                "least value."
            )
        flags = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
        sizes = (input_size, hidden_size, num_layers)
        most = _checked(sizes, dropout, **flags, device=device, dtype=dtype)
        nn.LSTM.__init__(self, *most, **flags, proj_size=proj_size, device=device, dtype=dtype)
        _note(self, sizes, dropout)

    def plain(self, input: Tensor | PackedSequence | None = None, *args: Any, **kwargs: Any) -> nn.Module:
        """Return the plain layer for a sequence (..., features)."""
        return _plain(self, input)

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain layer with weights of its own."""
        return _linked(super().extract(extraction))


class GRU(Twin, nn.GRU):
    """torch.nn.GRU whose hidden size, number of layers and dropout may be variables; see `LSTM`.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> gru = GRU(8, Integer(4, 16, label="hidden"))
        >>> Supernet(gru)(torch.ones(5, 3, 8), architecture={"hidden": 7})[0].shape
        torch.Size([5, 3, 7])
    """

    def __init__(
        self,
        input_size: Size,
        hidden_size: Size,
        num_layers: Size = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: Rate = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        flags = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
        sizes = (input_size, hidden_size, num_layers)
        most = _checked(sizes, dropout, **flags, device=device, dtype=dtype)
        nn.GRU.__init__(self, *most, **flags, device=device, dtype=dtype)
        _note(self, sizes, dropout)

    def plain(self, input: Tensor | PackedSequence | None = None, *args: Any, **kwargs: Any) -> nn.Module:
        """Return the plain layer for a sequence (..., features)."""
        return _plain(self, input)

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain layer with weights of its own."""
        return _linked(super().extract(extraction))


class RNN(Twin, nn.RNN):
    """torch.nn.RNN whose hidden size, number of layers and dropout may be variables; see `LSTM`.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> rnn = RNN(8, Integer(4, 16, label="hidden"), nonlinearity="relu")
        >>> Supernet(rnn)(torch.ones(5, 3, 8), architecture={"hidden": 7})[0].shape
        torch.Size([5, 3, 7])
    """

    def __init__(
        self,
        input_size: Size,
        hidden_size: Size,
        num_layers: Size = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: Rate = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(nonlinearity=nonlinearity)
        flags = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
        sizes = (input_size, hidden_size, num_layers)
        most = _checked(sizes, dropout, **flags, device=device, dtype=dtype)
        nn.RNN.__init__(self, *most, nonlinearity=nonlinearity, **flags, device=device, dtype=dtype)
        _note(self, sizes, dropout)

    def plain(self, input: Tensor | PackedSequence | None = None, *args: Any, **kwargs: Any) -> nn.Module:
        """Return the plain layer for a sequence (..., features)."""
        return _plain(self, input)

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain layer with weights of its own."""
        return _linked(super().extract(extraction))


def _least(size: Size) -> int:
    return size if isinstance(size, int) else min(_all(size))


def _all(size: Any) -> Sequence[int]:
    if hasattr(size, "choices"):
        return list(size.choices)
    return [size.low] if hasattr(size, "low") else list(size.values())


def _checked(sizes: Sequence[Size], dropout: Rate, **others: Any) -> tuple[int, int, int]:
    check_plain(**others)
    rate_range("dropout", dropout)
    names = ("input_size", "hidden_size", "num_layers")
    first, hidden, layers = (largest(name, size) for name, size in zip(names, sizes, strict=True))
    return first, hidden, layers


def _note(layer: _Layer, sizes: Sequence[Size], dropout: Rate) -> None:
    # Not passed to torch's __init__, which warns if a single layer has a dropout rate.
    layer.dropout = rate_range("dropout", dropout)
    _, hidden, layers = sizes
    layer.search_variables = variables_among(hidden_size=hidden, num_layers=layers, dropout=dropout)


def _plain(layer: _Layer, x: Tensor | PackedSequence | None) -> nn.Module:
    first = x.data if isinstance(x, PackedSequence) else x
    width = layer.width(first, -1, layer.input_size, "input_size")
    hidden, layers = layer.setting("hidden_size"), layer.setting("num_layers")
    rate = float(layer.setting("dropout", note=layer.training and layers > 1))
    most = (layer.input_size, layer.hidden_size, layer.num_layers, layer.dropout)
    if (width, hidden, layers, rate) == most:
        return layer
    directions = 2 if layer.bidirectional else 1
    table = layer._all_weights[: layers * directions]
    names = [name for row in table for name in row]
    extra = {n: p for n, p in layer._parameters.items() if n not in layer._flat_weights_names}
    weights: dict[str, Tensor] = {
        n: _part(layer, n, getattr(layer, n), width=width, hidden=hidden) for n in names
    }
    attributes = {
        "input_size": width,
        "hidden_size": hidden,
        "num_layers": layers,
        "dropout": rate,
        "_flat_weights_names": names,
        "_all_weights": table,
        "_flat_weights": list(weights.values()),
        "_flat_weight_refs": [None]
        * len(names),  # torch allows a layer's parameters to be replaced; here they are not
    }
    return shell(layer, {**weights, **extra}, attributes, whole=False)


def _part(layer: _Layer, name: str, weight: Tensor, *, width: int, hidden: int) -> Tensor:
    """Return the part of a weight: the first rows of each gate, and the columns of its input."""
    gates, directions = _GATES[layer.mode], 2 if layer.bidirectional else 1
    out = layer.proj_size or hidden
    if name.startswith("weight_hr"):
        return window(weight, (layer.proj_size, hidden))
    if name.startswith("bias"):
        return window(weight, (gates * hidden,), groups=gates)
    if name.startswith("weight_hh"):
        return window(weight, (gates * hidden, out), groups=gates)
    if name.startswith("weight_ih_l0"):
        return window(weight, (gates * hidden, width), groups=gates)
    rows = window(weight, (gates * hidden, weight.shape[1]), groups=gates)
    if out * directions == weight.shape[1]:
        return rows
    # Columns: the outputs of the previous layer, one direction after the other.
    columns = rows.view(gates * hidden, directions, -1)
    return asking(weight, window(columns, (gates * hidden, directions, out)).flatten(1))


def _linked(child: nn.Module) -> nn.Module:
    """Make the list of weights of a plain layer refer to its own parameters, and return the layer."""
    child._init_flat_weights()  # type: ignore[operator]
    return child
