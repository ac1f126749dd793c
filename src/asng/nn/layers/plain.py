"""Plain layers of torch over parts of the weights of larger ones."""

import copy
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from asng.nn.layers.subclasses import plain_class

__all__ = ["draw_anew", "leading", "owning", "shell", "window"]

_FIELDS = {name: value for name, value in vars(nn.Module()).items() if name != "training"}
"""What every module has of its own: hooks, and tables of weights and parts."""

_NOT_TAKEN_OVER = {*_FIELDS, "names", "path", "forward"}
"""That, what a supernet binds, and a forward that was replaced on the instance: it calls the twin."""


def leading(weight: Tensor, *sizes: int, groups: int = 1) -> Tensor:
    """Return the first entries along each dimension, the weight itself where that is all of it.

    Args:
        weight: Of any shape.
        sizes: How many entries of the first dimensions; of the others, all.
        groups: How many blocks the first dimension has: of each the first entries, `sizes[0]` in all.

    Example:
        >>> import torch
        >>> leading(torch.arange(6).reshape(2, 3), 2, 1)
        tensor([[0],
                [3]])
        >>> leading(torch.arange(8), 4, groups=2)
        tensor([0, 1, 4, 5])
    """
    return window(weight, (*sizes, *weight.shape[len(sizes) :]), groups=groups)


def window(weight: Tensor, sizes: tuple[int, ...], starts: tuple[int, ...] = (), groups: int = 1) -> Tensor:
    """Return a block of a weight: without gaps, in the weight's own memory format.

    So it is computed with just as the weight of a plain layer is, to the last bit.

    Args:
        weight: Of any shape.
        sizes: Shape of the block.
        starts: Where it begins along the first dimensions; along the others, and by default, at 0.
        groups: As in `leading`; then it begins at 0 along the first dimension.
    """
    if weight.shape == sizes:
        return weight
    part = _cut(weight, sizes, starts, groups)
    # torch.matmul computes differently, in the last bits, for weights that ask for gradients, also where none
    # are recorded.
    if weight.requires_grad and not part.requires_grad:
        part.requires_grad_()
    return part


def _cut(weight: Tensor, sizes: tuple[int, ...], starts: tuple[int, ...], groups: int) -> Tensor:
    shape = weight.shape
    if groups > 1:
        blocks = weight.view(groups, -1, *shape[1:])
        return window(blocks, (groups, sizes[0] // groups, *sizes[1:]), (0, *starts)).flatten(0, 1)
    if len(sizes) == 1 or shape[1:] == sizes[1:]:
        return weight[: sizes[0]]
    return functional.pad(weight, _pads(shape, sizes, starts))


@lru_cache(maxsize=1024)
def _pads(shape: tuple[int, ...], sizes: tuple[int, ...], starts: tuple[int, ...]) -> tuple[int, ...]:
    """Return by how much to pad at each end of each dimension, the last one first.

    Padding by negative numbers cuts, in one operation forth and one back. Slices would be one for each
    dimension and a copy, and the gradient would be spread over a larger weight by each.
    """
    starts += (0,) * (len(shape) - len(starts))
    ends = zip(reversed(starts), reversed(sizes), reversed(shape), strict=True)
    return tuple(pad for start, size, most in ends for pad in (-start, start + size - most))


def shell(
    source: nn.Module,
    weights: Mapping[str, Tensor | None],
    attributes: Mapping[str, object],
    modules: Mapping[str, nn.Module] | None = None,
    *,
    whole: bool = True,
) -> nn.Module:
    """Return the plain layer that is like `source`, a layer of torch or its twin, over other tensors.

    It costs a few microseconds: nothing is drawn, copied or registered. Its `forward` is to be run, and it is
    thrown away, or made a module of its own by `owning`. Gradients flow through the tensors.

    Args:
        source: The larger layer.
        weights: Name to tensor, in place of the parameters.
        attributes: What may differ of the attributes.
        modules: Name to module, in place of the submodules.
        whole: Whether what these leave out of `source` comes along as it is: a subclass has weights of its
        own.

    Returns:
        A layer of the plain class.
    """
    kind: Any = plain_class(type(source))  # type: ignore[arg-type]
    layer: nn.Module = kind.__new__(kind)
    parts = source._modules if modules is None else modules
    if whole and (
        len(weights) < len(source._parameters) or len(parts) < len(source._modules)
    ):  # a subclass has more
        weights, parts = {**source._parameters, **weights}, {**source._modules, **parts}
    # What only a twin has comes along too, unused: to leave it out would cost more than all the rest.
    layer.__dict__.update(source.__dict__)
    layer.__dict__.update(_FIELDS)
    layer.__dict__.update(weights)  # found sooner here than in the table of parameters
    layer.__dict__.update(
        attributes,
        _parameters=weights,
        _buffers=source._buffers,
        _modules=parts,
    )
    if "forward" in layer.__dict__:
        del layer.__dict__["forward"]  # replaced on the instance of the twin, whose own it calls
    return layer


def owning(layer: nn.Module, source: nn.Module, copied: Callable[[Any], Any] = copy.deepcopy) -> nn.Module:
    """Return a layer as a shell is, with tensors of its own, trainable where those of `source` are.

    Args:
        layer: A shell, or `source` itself.
        source: The larger layer.
        copied: Returns a copy of an attribute, a buffer or a part.
    """
    kind: Any = plain_class(type(layer))  # type: ignore[arg-type]
    own: nn.Module = kind.__new__(kind)
    nn.Module.__init__(own)
    for name, value in layer.__dict__.items():
        if name not in _NOT_TAKEN_OVER and name not in layer._parameters and not name.startswith("search_"):
            own.__dict__[name] = copied(value)
    for name, tensor in layer._parameters.items():
        trained = tensor is not None and getattr(source, name).requires_grad
        own._parameters[name] = (
            None if tensor is None else nn.Parameter(tensor.detach().clone(), requires_grad=trained)
        )
    own._buffers.update({name: copied(buffer) for name, buffer in layer._buffers.items()})
    own._non_persistent_buffers_set = set(source._non_persistent_buffers_set)
    for name, part in layer._modules.items():
        origin = source._modules[name]
        same = part is None or origin is None or part is origin
        own._modules[name] = copied(part) if same else owning(part, origin, copied)  # type: ignore[arg-type]
    return own


def draw_anew(layer: nn.Module) -> None:
    """Draw the weights of a plain layer by torch's own rule, as when it is made: parts before the whole."""
    for module in reversed(list(layer.modules())):
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if reset is not None:
            reset()
