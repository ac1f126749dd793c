"""Make plain layers of torch over parts of the weights of larger layers."""

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
    "asking",
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
"""The attributes that every module has of its own: hooks, and tables of weights and parts."""

_NOT_TAKEN_OVER = {*_FIELDS, "names", "path", "forward"}
"""Those, what a supernet binds, and a forward replaced on the instance, which would call the twin."""


Cut: TypeAlias = Callable[[Tensor], Tensor]
"""A function that takes the part of a weight that a smaller layer has."""

PLANS = 4096
"""Size of the caches of plans, for each kind of layer, and of cuts; an entry takes some hundred bytes."""


def leading(weight: Tensor, *sizes: int, groups: int = 1) -> Tensor:
    """Return the first entries along each dimension, or the weight itself if that is all of it.

    Args:
        weight: Of any shape.
        sizes: Numbers of entries along the first dimensions; along the others, all entries.
        groups: Number of blocks in the first dimension. The first entries of each are taken, `sizes[0]` in
            all.

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
    """Return a block of a weight, without gaps and in the weight's own memory format.

    So torch computes with it as with the weight of a plain layer, to the last bit.

    Args:
        weight: Of any shape.
        sizes: Shape of the block.
        starts: Where the block begins along the first dimensions; along the others, and by default, at 0.
        groups: As in `leading`; if above 1, the block begins at 0 along the first dimension.
    """
    cut = cut_of(weight.shape, sizes, starts, groups)
    return weight if cut is None else cut(weight)


@lru_cache(maxsize=PLANS)
def cut_of(
    shape: tuple[int, ...], sizes: tuple[int, ...], starts: tuple[int, ...] = (), groups: int = 1
) -> Cut | None:
    """Return the function that cuts the block that `window` describes; None if that is the whole weight."""
    if shape == sizes:
        return None
    if groups > 1:
        blocks, block = (groups, shape[0] // groups, *shape[1:]), (groups, sizes[0] // groups, *sizes[1:])
        starts = (0, *starts)
        return lambda weight: asking(weight, window(weight.view(blocks), block, starts).flatten(0, 1))
    if len(sizes) > 1 and shape[1:] == sizes[1:]:
        return lambda weight: asking(weight, weight[: sizes[0]])
    # Padding by negative numbers cuts, in one operation forward and one backward. Slicing would take one
    # operation per dimension and a copy, and each would spread the gradient over a larger weight.
    starts += (0,) * (len(shape) - len(starts))
    ends = zip(reversed(starts), reversed(sizes), reversed(shape), strict=True)
    pads = [pad for start, size, most in ends for pad in (-start, start + size - most)]
    if len(sizes) > 1:
        return lambda weight: asking(weight, torch.constant_pad_nd(weight, pads))
    return lambda vector: (
        torch.constant_pad_nd(vector, pads) if torch.is_grad_enabled() else vector[: sizes[0]]
    )


def asking(weight: Tensor, part: Tensor) -> Tensor:
    """Return a part that requires gradients if its weight does, even if none are recorded.

    torch.matmul computes differently, in the last bits, for weights that require gradients. Inside of
    `torch.func.grad` and the like, where torch refuses to set this, the part is returned as it is.
    """
    if part.requires_grad or not weight.requires_grad or torch._C._are_functorch_transforms_active():
        return part
    return part.requires_grad_()


class Plan(NamedTuple):
    """How a layer runs as a smaller one; computed once for the sizes, and cached.

    Attributes:
        sizes: Torch's name of each size to its value in the smaller layer.
        cuts: Name of a weight to the function that cuts it; None if all of it is used.
        whole: Whether nothing is smaller.
    """

    sizes: Mapping[str, object]
    cuts: Mapping[str, Cut | None]
    whole: bool

    def parts(self, *weights: Tensor | None) -> Sequence[Tensor | None]:
        """Return the smaller layer's parts of the weights, which are given in the order of `cuts`."""
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
    """Return the plan of a layer whose weights are all vectors, such as a norm.

    Args:
        name: Torch's name of their length.
        most: The largest length.
        width: The length in the smaller layer.
    """
    cut = cut_of((most,), (width,))
    return Plan({name: width}, {"weight": cut, "bias": cut}, width == most)


def planned(source: nn.Module, plan: Plan, modules: Mapping[str, nn.Module] | None = None) -> nn.Module:
    """Return the plain layer that a plan makes of `source`, or `source` itself if nothing is smaller.

    Args:
        source: The larger layer.
        plan: The plan for the sizes.
        modules: As in `shell`.
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
    """Return a plain layer like `source`, a layer of torch or its twin, over other tensors.

    It costs a few microseconds: nothing is initialised, copied or registered. Run its `forward` and discard
    it, or make it a module of its own with `owning`. Gradients flow through the tensors.

    Args:
        source: The larger layer.
        weights: Name to tensor, in place of the parameters.
        attributes: Attributes that may differ from those of `source`.
        modules: Name to module, in place of the submodules.
        whole: Whether to keep the weights and submodules of `source` that these leave out, as a subclass may
            have some of its own.

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
    # What only a twin has is kept too, unused: removing it would cost more than all the rest. Weights are
    # also put here because they are found sooner than in the table of parameters.
    tables = {"_parameters": weights, "_buffers": source._buffers, "_modules": parts}
    names = {**source.__dict__, **_FIELDS, **weights, **attributes, **tables}
    names.pop("forward", None)  # replaced on the instance of the twin, and calls the twin's own
    object.__setattr__(layer, "__dict__", names)
    return layer


def owning(layer: nn.Module, source: nn.Module, copied: Callable[[Any], Any] = copy.deepcopy) -> nn.Module:
    """Return a copy of a shell with tensors of its own, which are trainable if those of `source` are.

    Args:
        layer: A shell, or `source` itself.
        source: The larger layer.
        copied: Function that copies an attribute, a buffer or a part.
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
    """Reinitialise the weights of a plain layer by torch's own rule, parts before the whole."""
    for module in reversed(list(layer.modules())):
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if reset is not None:
            reset()
