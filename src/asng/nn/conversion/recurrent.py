"""Recurrent layers and cells in a conversion: their hidden units are the channels that they make.

A hidden unit is read by the layers behind the module, and inside it: by all units in the next step, and by
those of both directions in the layer above. A lost unit must be read nowhere. All layers and directions of a
module have the same number of units, and lose the same ones.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from asng.nn.inputs import tensors_of

__all__ = [
    "CELLS_AND_LAYERS",
    "along_units",
    "directions",
    "first_replaced",
    "lost_units",
    "parts_of_units",
    "shapes_of_units",
    "without_states",
    "without_units",
]

CELLS_AND_LAYERS = (nn.RNNBase, nn.RNNCellBase)


def directions(layer: Any) -> int:
    """Return the number of directions of a recurrent layer: two if it is bidirectional."""
    return 2 if layer.bidirectional else 1


def parts_of_units(
    layer: Any, made: Tensor | None, read: Tensor | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a recurrent layer with some of its units, and its sizes, by their torch names.

    Args:
        layer: A layer without projections.
        made: Indices of the units that its output still has; None for all.
        read: Indices of the features that it is still given; None for all.

    Raises:
        ValueError: The directions have different units left.

    Example:
        >>> from torch import nn
        >>> lstm = nn.LSTM(3, 4)
        >>> parts, sizes = parts_of_units(lstm, torch.tensor([0, 2]), None)
        >>> parts["weight_hh_l0"].shape, sizes["hidden_size"]
        (torch.Size([8, 2]), 2)
    """
    units = _units(layer, made)
    parts = {}
    for name, weight in zip(layer._flat_weights_names, layer._flat_weights, strict=True):
        columns = _columns(name, made, units, read)
        if units is not None:
            gates = torch.arange(0, len(weight), layer.hidden_size).unsqueeze(1)
            weight = weight.index_select(0, (gates + units).flatten().to(weight.device))
        parts[name] = weight if columns is None else weight.index_select(1, columns.to(weight.device))
    sizes = {} if units is None else {"hidden_size": len(units)}
    sizes |= {} if read is None else {"input_size": len(read)}
    # torch keeps references because a layer's parameters may be replaced; here they are not.
    lists = {"_flat_weights": list(parts.values()), "_flat_weight_refs": [None] * len(parts)}
    return parts, {**sizes, **lists}


def _units(layer: Any, made: Tensor | None) -> Tensor | None:
    """Return the indices of the units that each direction still has."""
    if made is None:
        return None
    run, unit = made // layer.hidden_size, made % layer.hidden_size
    first, *others = [unit[run == k] for k in range(directions(layer))]
    if any(not torch.equal(first, other) for other in others):
        raise ValueError("its directions have different units left")
    kept: Tensor = first
    return kept


def _columns(name: str, made: Tensor | None, units: Tensor | None, read: Tensor | None) -> Tensor | None:
    """Return the columns that a weight still has; None if it has all, or is a vector."""
    if name.startswith("bias"):
        return None
    if name.startswith("weight_hh"):
        return units
    return read if name.startswith("weight_ih_l0") else made


def along_units(layer: Any, side: str) -> Tensor:
    """Return the weights of a side as a matrix whose first dimension is its channels.

    Args:
        layer: A layer without projections.
        side: "made" for the input weights of each unit of the last layer, "read" for the weights of each
            feature in the first layer.
    """
    weights = dict(zip(layer._flat_weights_names, layer._flat_weights, strict=True))
    number = 0 if side == "read" else layer.num_layers - 1
    names = [f"weight_ih_l{number}{end}" for end in ("", "_reverse")[: directions(layer)]]
    tables = [weights[name].detach() for name in names]
    if side == "read":
        return torch.cat(tables).T
    return torch.cat(
        [table.unflatten(0, (-1, layer.hidden_size)).transpose(0, 1).flatten(1) for table in tables]
    )


# --- without numbers ------------------------------------------------------------------------------------


def shapes_of_units(layer: Any, out: int, args: Sequence[Any]) -> tuple[Any, Any, tuple[int, int] | None]:
    """Return the outputs of a recurrent layer, on the meta device, if it makes `out` channels.

    Args:
        layer: The layer.
        out: Number of channels of the output, over all directions.
        args: Arguments of the call.

    Returns:
        The output, the last states, and a pair of the expected and the actual units of an initial state. The
        pair is None if they agree, or there is no initial state.
    """
    x = next(tensors_of(args))
    if isinstance(layer, nn.RNNCellBase):
        unit = torch.empty((*x.shape[:-1], out), device="meta", dtype=x.dtype)
        other = next((t.shape[-1] for t in tensors_of(args[1:]) if t.shape[-1] != out), None)
        apart = None if other is None else (out, other)
        return (unit, unit) if isinstance(layer, nn.LSTMCell) else unit, None, apart
    given, units = args[0], out // directions(layer)
    made = torch.empty((*x.shape[:-1], out), device="meta", dtype=x.dtype)
    if isinstance(given, PackedSequence):
        items: tuple[int, ...] = (int(given.batch_sizes[0]),)
        made = given._replace(data=made)  # type: ignore[assignment]
    else:
        items = () if x.ndim == 2 else (x.shape[0 if layer.batch_first else 1],)
    state = torch.empty((layer.num_layers * directions(layer), *items, units), device="meta", dtype=x.dtype)
    states = (state, state) if layer.mode == "LSTM" else state
    other = next((t.shape[-1] for t in tensors_of(args[1:]) if t.shape[-1] != units), None)
    return made, states, None if other is None else (units, other)


# --- with lost units ------------------------------------------------------------------------------------


def without_units(layer: Any, kept: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Run a recurrent layer in which nothing reads its lost units of the previous step or layer.

    Args:
        layer: The layer.
        kept: Indices of the channels that its output still has.
        *args: Positional arguments of the call, with an initial state or without.
        **kwargs: Keyword arguments of the call.
    """
    units, whole = _units(layer, kept), layer._flat_weights
    assert units is not None
    columns = (_columns(name, kept, units, None) for name in layer._flat_weights_names)
    vars(layer)["_flat_weights"] = [
        weight if there is None else weight * _there(there, weight.shape[1]).to(weight)
        for weight, there in zip(whole, columns, strict=True)
    ]
    lost = _there(units, layer.hidden_size) == 0.0
    states = (_known(part, lost) for part in args[1:])
    try:
        return type(layer).forward(
            layer, *args[:1], *states, **{n: _known(v, lost) for n, v in kwargs.items()}
        )
    finally:
        vars(layer)["_flat_weights"] = whole


def without_states(layer: Any, kept: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Run a recurrent cell in which nothing reads its lost units of the previous step.

    Args:
        layer: The cell.
        kept: Indices of the channels that it still has.
        *args: Positional arguments of the call, with a state or without.
        **kwargs: Keyword arguments of the call.
    """
    whole, lost = layer._parameters["weight_hh"], _there(kept, layer.hidden_size) == 0.0
    part = whole.detach().masked_fill(lost.to(whole.device), 0.0)
    layer._parameters["weight_hh"] = nn.Parameter(part, requires_grad=False)
    states = (_known(part, lost) for part in args[1:])
    try:
        return type(layer).forward(
            layer, *args[:1], *states, **{n: _known(v, lost) for n, v in kwargs.items()}
        )
    finally:
        layer._parameters["weight_hh"] = whole


def _there(kept: Tensor, size: int) -> Tensor:
    return torch.zeros(size, device=kept.device).index_fill(0, kept, 1.0)


def _known(state: Any, lost: Tensor) -> Any:
    """Return an initial state with zeros for NaN in its lost units, which nothing reads."""
    if isinstance(state, tuple):
        return tuple(_known(part, lost) for part in state)
    if not isinstance(state, Tensor) or state.shape[-1] != len(lost):
        return state
    return state.masked_fill(state.isnan() & lost.to(state.device), 0.0)


def lost_units(layer: Any, kept: Tensor, output: Any, value: float) -> Any:
    """Return the output and states of a recurrent layer, with `value` put into the lost units of both."""
    if isinstance(layer, nn.RNNCellBase):
        lost = _there(kept, layer.hidden_size) == 0.0
        filled = tuple(x.masked_fill(lost.to(x.device), value) for x in tensors_of([output]))
        return filled if isinstance(output, tuple) else filled[0]
    units = _units(layer, kept)
    assert units is not None
    both, one = (
        _there(part, runs * layer.hidden_size) == 0.0
        for part, runs in ((kept, directions(layer)), (units, 1))
    )
    made, states = output
    x = next(tensors_of([made]))
    x = x.masked_fill(both.to(x.device), value)
    filled = tuple(state.masked_fill(one.to(x.device), value) for state in tensors_of([states]))
    return first_replaced([made], x)[0], filled if isinstance(states, tuple) else filled[0]


def first_replaced(values: Sequence[Any], x: Tensor) -> list[Any]:
    """Return values with the first one, a tensor or a packed sequence, replaced by another tensor.

    Example:
        >>> first_replaced([torch.ones(2), "more"], torch.zeros(1))
        [tensor([0.]), 'more']
    """
    first = values[0]
    return [first._replace(data=x) if isinstance(first, PackedSequence) else x, *values[1:]]
