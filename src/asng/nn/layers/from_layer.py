"""Make a twin from an existing layer."""

import inspect
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from asng.checks import nearest
from asng.errors import InputError
from asng.nn.layers.subclasses import definer, plain_class

__all__ = ["twin_of"]

_WHERE = {
    "d_model": "self_attn.embed_dim",
    "nhead": "self_attn.num_heads",
    "dim_feedforward": "linear1.out_features",
    "layer_norm_eps": "norm1.eps",
    "batch_first": "self_attn.batch_first",
}
"""Arguments of Transformer layers, to the attributes of their parts that hold the values."""


def twin_of(kind: Any, layer: nn.Module, changes: dict[str, Any]) -> Any:
    """Return a twin of the class `kind` with the arguments, the weights and the state of a layer.

    Raises:
        InputError: The layer is of another class, has a forward of its own or is parametrised, an argument
            is unknown, or the twin's largest sizes are not those of the layer.
    """
    torchs = plain_class(kind)
    name = f"{kind.__name__}.of"
    if not isinstance(layer, torchs):
        raise InputError(
            f"{name}: expected a {torchs.__module__.partition('.')[0]} {torchs.__name__}, got "
            f"{type(layer).__name__}."
        )
    changed = definer(type(layer), "forward") is not definer(torchs, "forward") or "forward" in vars(layer)
    if changed or is_parametrized(layer):
        raise InputError(
            f"{name}: expected a {torchs.__name__} with torch's forward and weights of its own, got "
            f"{type(layer).__name__} with a forward or a parametrisation that a twin would lose."
        )
    parameters = inspect.signature(kind.__init__).parameters
    for argument in changes:
        if argument not in parameters:
            raise InputError(
                f"{name}: {argument}: {kind.__name__} has no such argument.{nearest(argument, parameters)}"
            )
    given = {n: _argument(layer, n) for n in list(parameters)[1:] if _is_known(layer, n)} | changes
    twin = kind(**given, **(_META if "device" in parameters else {}))
    _take_over(name, twin, layer)
    return twin


_META = {"device": "meta"}
"""Weights come from the layer, so that none are initialised and no memory is allocated for them."""


def _is_known(layer: nn.Module, argument: str) -> bool:
    made_of_parts = argument in _WHERE and hasattr(layer, "linear1")
    return argument in ("bias", "add_bias_kv") or made_of_parts or hasattr(layer, argument)


def _argument(layer: nn.Module, argument: str) -> Any:
    """Return the value of an argument that a layer was made with."""
    if argument == "track_running_stats":
        return False
    if argument == "add_bias_kv":
        return getattr(layer, "bias_k", None) is not None
    if argument == "bias":
        bias = getattr(layer, "bias", getattr(layer, "in_proj_bias", getattr(layer, "linear1", None)))
        if isinstance(bias, nn.Linear):
            bias = bias.bias
        return bias if isinstance(bias, bool) else bias is not None
    value: Any = layer
    known = argument in _WHERE and hasattr(layer, "linear1")
    for part in (_WHERE[argument] if known else argument).split("."):
        value = getattr(value, part)
    return value.p if isinstance(value, nn.Dropout) else value


def _take_over(name: str, twin: nn.Module, layer: nn.Module) -> None:
    given = dict(layer.named_parameters())
    for path, parameter in list(twin.named_parameters()):
        there = given.get(path)
        if there is None or there.shape != parameter.shape:
            size = "none" if there is None else tuple(there.shape)
            raise InputError(
                f"{name}: expected sizes whose largest values are those of the layer, so that its weights "
                f"are the twin's, got {path} of shape {tuple(parameter.shape)} for the layer's {size}."
            )
        owner, _, last = path.rpartition(".")
        twin.get_submodule(owner)._parameters[last] = there
    parts = dict(twin.named_modules())
    for path, part in layer.named_modules():
        own = parts[path]
        own.training = part.training
        for table in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
            getattr(own, table).update(getattr(part, table))
        for table in (
            "_forward_hooks_with_kwargs",
            "_forward_pre_hooks_with_kwargs",
            "_forward_hooks_always_called",
        ):
            getattr(own, table).update(getattr(part, table))
        own._is_full_backward_hook = part._is_full_backward_hook
    if isinstance(twin, nn.RNNBase):
        twin._init_flat_weights()
