"""Plain layers of torch over parts of the weights of larger ones."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from asng.nn.layers.subclasses import plain_class

__all__ = [
    "PLANS",
    "Cut",
    "Plan",
    "cut_of",
    "draw_anew",
    "leading",
    "owning",
    "planned",
    "shell",
    "vector_plan",
    "window",
]

_FIELDS = {name: value for name, value in vars(nn.Module()).items() if name != "training"}
"""What every module has of its own: hooks, and tables of weights and parts."""

_NOT_TAKEN_OVER = {*_FIELDS, "names", "path", "forward"}
"""That, what a supernet binds, and a forward that was replaced on the instance: it calls the twin."""


Cut: TypeAlias = Callable[[Tensor], Tensor]
"""Takes the part of a weight that a smaller layer has."""

PLANS = 4096
"""So many plans of each kind of layer are kept, and so many cuts: each is some hundred bytes."""


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
    cut = cut_of(weight.shape, sizes, starts, groups)
    return weight if cut is None else cut(weight)


@lru_cache(maxsize=PLANS)
def cut_of(
    shape: tuple[int, ...], sizes: tuple[int, ...], starts: tuple[int, ...] = (), groups: int = 1
) -> Cut | None:
    """Return what takes the block that `window` describes out of weights of a shape; None if that is all."""
    if shape == sizes:
        return None
    if groups > 1:
        blocks, block = (groups, shape[0] // groups, *shape[1:]), (groups, sizes[0] // groups, *sizes[1:])
        starts = (0, *starts)
        return lambda weight: _asking(weight, window(weight.view(blocks), block, starts).flatten(0, 1))
    if len(sizes) > 1 and shape[1:] == sizes[1:]:
        return lambda weight: _asking(weight, weight[: sizes[0]])
    # Padding by negative numbers cuts, in one operation forth and one back. Slices would be one for each
    # dimension and a copy, and the gradient would be spread over a larger weight by each.
    starts += (0,) * (len(shape) - len(starts))
    ends = zip(reversed(starts), reversed(sizes), reversed(shape), strict=True)
    pads = [pad for start, size, most in ends for pad in (-start, start + size - most)]
    if len(sizes) > 1:
        return lambda weight: _asking(weight, torch.constant_pad_nd(weight, pads))
    return lambda vector: (
        torch.constant_pad_nd(vector, pads) if torch.is_grad_enabled() else vector[: sizes[0]]
    )


def _asking(weight: Tensor, part: Tensor) -> Tensor:
    """Return a part that asks for gradients as its weight does, also where none are recorded.

    torch.matmul computes differently, in the last bits, for weights that do.
    """
    return part if part.requires_grad or not weight.requires_grad else part.requires_grad_()


class Plan(NamedTuple):
    """How a layer runs as a smaller one: found once for the sizes, and kept.

    Attributes:
        sizes: What torch calls the sizes, to those of the smaller layer.
        cuts: Name of a weight to what cuts it, None where all of it is used.
        whole: Whether nothing is smaller.
    """

    sizes: Mapping[str, object]
    cuts: Mapping[str, Cut | None]
    whole: bool

    def parts(self, *weights: Tensor | None) -> Sequence[Tensor | None]:
        """Return the parts that the smaller layer has of the weights, which come in the order of `cuts`."""
        if self.whole:
            return weights
        if torch.is_inference_mode_enabled():
            # torch.matmul computes differently, in the last bits, for weights that are inference tensors.
            with torch.inference_mode(False):
                return self.parts(*weights)
        return [
            weight if weight is None or cut is None else cut(weight)
            for weight, cut in zip(weights, self.cuts.values(), strict=True)
        ]


@lru_cache(maxsize=PLANS)
def vector_plan(name: str, most: int, width: int) -> Plan:
    """Return the plan of a layer all of whose weights are vectors, as of a norm.

    Args:
        name: What torch calls their length.
        most: The largest.
        width: The one of the smaller layer.
    """
    cut = cut_of((most,), (width,))
    return Plan({name: width}, {"weight": cut, "bias": cut}, width == most)


def planned(source: nn.Module, plan: Plan, modules: Mapping[str, nn.Module] | None = None) -> nn.Module:
    """Return the plain layer that a plan makes of a larger one, that one where nothing is smaller.

    Args:
        source: The larger layer.
        plan: For its sizes.
        modules: As of `shell`.
    """
    if plan.whole:
        return source
    own = source._parameters
    weights = [own[name] if name in own else getattr(source, name, None) for name in plan.cuts]
    pairs = zip(plan.cuts, plan.parts(*weights), strict=True)
    parts = {name: part for name, part in pairs if part is not None or name in own}
    return shell(source, parts, plan.sizes, modules)


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
    # What only a twin has comes along too, unused: to leave it out would cost more than all the rest. Weights
    # are found sooner here than in the table of parameters.
    tables = {"_parameters": weights, "_buffers": source._buffers, "_modules": parts}
    names = {**source.__dict__, **_FIELDS, **weights, **attributes, **tables}
    names.pop("forward", None)  # replaced on the instance of the twin, whose own it calls
    object.__setattr__(layer, "__dict__", names)
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
