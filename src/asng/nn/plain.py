"""Plain layers of torch over parts of the weights of larger ones."""

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["dense", "draw_anew", "leading", "owning", "shell"]

_FIELDS = vars(nn.Module())
"""What every module has of its own: hooks, and tables of weights and parts."""

_NOT_TAKEN_OVER = (frozenset(_FIELDS) - {"training"}) | {"names", "path"}
"""That, and what a supernet binds."""


def leading(weight: Tensor, *sizes: int) -> Tensor:
    """Return the first entries along each dimension, the weight itself where that is all of it.

    A part that has gaps in memory is copied into the weight's own memory format, so that it is computed with
    just as the weight of a plain layer is, to the last bit.

    Args:
        weight: Of any shape.
        sizes: How many entries of the first dimensions; of the others, all.

    Example:
        >>> leading(torch.arange(6).reshape(2, 3), 2, 1)
        tensor([[0],
                [3]])
    """
    if weight.shape[: len(sizes)] == sizes:
        return weight
    return dense(weight[tuple(slice(size) for size in sizes)], weight)


def dense(part: Tensor, weight: Tensor) -> Tensor:
    """Return `part` without gaps, in the memory format of the weight that it is a part of."""
    last = weight.ndim == 4 and not weight.is_contiguous()
    return part.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def shell(
    source: nn.Module,
    weights: Mapping[str, Tensor | None],
    attributes: Mapping[str, object],
    modules: Mapping[str, nn.Module] | None = None,
) -> nn.Module:
    """Return the plain layer that is like `source`, a layer of torch or its twin, over other tensors.

    It costs a few microseconds: nothing is drawn, copied or registered. It is to be run and thrown away, or
    to be made a module of its own by `owning`. Gradients flow through the tensors.

    Args:
        source: The larger layer.
        weights: Name to tensor, in place of the parameters.
        attributes: What may differ of the attributes.
        modules: Name to module, in place of the submodules.

    Returns:
        A layer of the class of torch; `source` itself, where nothing differs.
    """
    if _is_same(source, weights, attributes, modules):
        return source
    kind = _class_of_torch(type(source))  # type: ignore[arg-type]
    layer: nn.Module = kind.__new__(kind)
    state = layer.__dict__
    state.update(_FIELDS)
    for name, value in source.__dict__.items():
        if name not in _NOT_TAKEN_OVER and not name.startswith("search_"):
            state[name] = value
    state["_parameters"] = weights if torch.is_grad_enabled() else _as_trainable(weights, source)
    state["_buffers"] = source._buffers
    state["_modules"] = source._modules if modules is None else modules
    state.update(attributes)
    return layer


def owning(layer: nn.Module, source: nn.Module) -> nn.Module:
    """Return a layer as a shell is, with parameters of its own, trainable where those of `source` are."""
    kind = _class_of_torch(type(layer))  # type: ignore[arg-type]
    own: nn.Module = kind.__new__(kind)
    nn.Module.__init__(own)
    for name, value in layer.__dict__.items():
        if name not in _NOT_TAKEN_OVER and not name.startswith("search_"):
            own.__dict__[name] = value
    for name, tensor in layer._parameters.items():
        trained = tensor is not None and getattr(source, name).requires_grad
        own._parameters[name] = (
            None if tensor is None else nn.Parameter(tensor.detach().clone(), requires_grad=trained)
        )
    own._buffers.update(layer._buffers)
    for name, part in layer._modules.items():
        origin = source._modules[name]
        same = part is None or origin is None or part is origin
        own._modules[name] = copy.deepcopy(part) if same else owning(part, origin)  # type: ignore[arg-type]
    return own


def draw_anew(layer: nn.Module) -> None:
    """Draw the weights of a plain layer by torch's own rule, as when it is made: parts before the whole."""
    for module in reversed(list(layer.modules())):
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if reset is not None:
            reset()


@cache
def _class_of_torch(kind: Any) -> Any:
    return next(base for base in kind.__mro__ if base.__module__.startswith("torch.nn.modules."))


def _is_same(
    source: nn.Module,
    weights: Mapping[str, Tensor | None],
    attributes: Mapping[str, object],
    modules: Mapping[str, nn.Module] | None,
) -> bool:
    own, parts = source._parameters, source._modules
    return (
        all(tensor is own.get(name) for name, tensor in weights.items())
        and all(getattr(source, name) == value for name, value in attributes.items())
        and (modules is None or all(part is parts[name] for name, part in modules.items()))
    )


def _as_trainable(weights: Mapping[str, Tensor | None], source: nn.Module) -> dict[str, Tensor | None]:
    """Let the tensors ask for gradients where the parameters of `source` do, though none are recorded.

    torch.matmul computes differently, in the last bits, for tensors that do.
    """
    trained = {name for name, p in source._parameters.items() if p is not None and p.requires_grad}
    return {
        name: t if t is None or name not in trained or t.requires_grad else t.detach().requires_grad_()
        for name, t in weights.items()
    }
