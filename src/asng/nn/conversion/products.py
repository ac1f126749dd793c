"""Products of tensors that have lost the same channels, such as queries and keys, and sums over lost ones."""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["Masks", "Products"]

Masks: TypeAlias = tuple[Tensor | None, ...] | None
"""Mask of what to leave out, for each factor of a product; None if nothing."""


class Products(TorchFunctionMode):
    """Make matrix products leave out what both factors have lost, and sums what is lost.

    Attention that torch scales by the size of a head is scaled by the size that is left, as in the narrowed
    network: like a norm, it is that of the channels that remain.

    Args:
        lost: For each product, the masks of what its factors leave out; written or read.
        again: Whether to read the masks; else they are written.
    """

    def __init__(self, lost: list[Masks], *, again: bool = False) -> None:
        super().__init__()
        self._lost, self._again = lost, again

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, first = getattr(func, "__name__", ""), 0
        find: Callable[..., Masks]
        if len(args) < 2 and name in _NAMED and {*_NAMED[name][len(args) :]} <= (kwargs or {}).keys():
            args = (*args, *(kwargs[key] for key in _NAMED[name][len(args) :]))  # type: ignore[index]
            kwargs = {key: value for key, value in (kwargs or {}).items() if key not in _NAMED[name]}
        if name == "einsum" and isinstance(args[0], str) and len(args) > 2:
            find, first = partial(_lost_in_all, args[0]), 1
        elif name in _PRODUCTS and len(args) > 1:
            find = partial(_lost_in_both, dim=_PRODUCTS[name])
        elif name in _CONVOLUTIONS and len(args) > 1:
            find = _lost_in_convolution
        elif name == "sum" and args and _is_dense(args[0]):
            find = partial(_lost_in_sum, dims=args[1] if len(args) > 1 else (kwargs or {}).get("dim"))
        else:
            return func(*args, **(kwargs or {}))
        factors = args[:1] if name == "sum" else args[first:] if first else args[:2]
        if not self._again:
            self._lost.append(find(*factors))
        lost = self._lost.pop(0) if self._again else self._lost[-1]
        if lost is not None:
            known = (x if m is None else x.masked_fill(m, 0.0) for x, m in zip(factors, lost, strict=True))
            args = (*args[:first], *known, *args[first + len(factors) :])
            if name == "scaled_dot_product_attention" and (kwargs or {}).get("scale") is None:
                left = min(int((~mask).sum(-1).min()) for mask in lost if mask is not None)
                kwargs = {**(kwargs or {}), "scale": max(left, 1) ** -0.5}
        return func(*args, **(kwargs or {}))


_PRODUCTS = {
    **dict.fromkeys(("matmul", "__matmul__", "bmm", "mm", "grouped_mm", "_grouped_mm"), -2),
    **dict.fromkeys(("linear", "scaled_dot_product_attention"), -1),
}
"""Functions to the dimension of their second factor that they sum over."""

_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")

_NAMED = {
    "matmul": ("input", "other"),
    "scaled_dot_product_attention": ("query", "key"),
    **dict.fromkeys(("linear", *_CONVOLUTIONS), ("input", "weight")),
    **dict.fromkeys(("bmm", "mm"), ("input", "mat2")),
}
"""Functions to the names of their factors, which may be given by name."""


def _lost_in_both(one: Any, other: Any, *, dim: int) -> Masks:
    """Return the indices that a product sums over and that are lost in all rows of both factors.

    Args:
        one: The first factor, whose last dimension is summed over.
        other: The second factor.
        dim: The dimension of the second factor that is summed over.

    Returns:
        Masks of both factors, each with one row; None if no index is lost. If not each item of one factor
        meets one of the other, an index must be lost in all items.
    """
    if (
        not (_is_dense(one) and _is_dense(other))
        or min(one.ndim, other.ndim) < 2
        or one.shape[-1] != other.shape[dim]
    ):
        return None
    ours, theirs = one.isnan(), other.isnan().movedim(dim, -1)
    if not theirs.any():
        return None
    ours |= one == 0.0  # as the first state of a recurrent unit
    if ours.shape[:-2] != theirs.shape[:-2]:
        lost = ours.flatten(0, -2).all(dim=0) & theirs.flatten(0, -2).all(dim=0)
        return (lost, lost if dim == -1 else lost.unsqueeze(-1)) if bool(lost.any()) else None
    lost = (ours.all(dim=-2) & theirs.all(dim=-2)).unsqueeze(-2)
    partly = lost & ~lost.all(dim=-1, keepdim=True)  # a head that is lost as a whole still gives NaN
    return (partly, partly.movedim(-1, dim)) if bool(partly.any()) else None


def _lost_in_convolution(x: Any, weight: Any) -> Masks:
    """Return what `_lost_in_both` returns, for channels that a convolution sums over."""
    if x.ndim != weight.ndim or x.shape[1] != weight.shape[1]:  # without items, or in groups
        return None
    lost = x.isnan().movedim(1, 0).flatten(1).all(dim=1)
    if not lost.any():
        return None
    lost = (lost & weight.isnan().movedim(1, 0).flatten(1).all(dim=1)).reshape(-1, *[1] * (x.ndim - 2))
    return (lost, lost) if bool(lost.any()) else None


def _lost_in_sum(x: Tensor, *, dims: Any) -> Masks:
    """Return the mask of what a sum over dimensions leaves out: it is a product with ones."""
    dims = dims if isinstance(dims, (tuple, list)) else (dims,)
    if any(type(dim) is not int for dim in dims):
        return None
    nan = x.isnan()
    masks = []
    for dim in dims if bool(nan.any()) else ():
        lost = nan.movedim(dim, 0).flatten(1).all(dim=1)
        if bool(lost.any()) and not bool(lost.all()):
            masks.append(lost.reshape(-1, *[1] * (x.ndim - 1 - dim % x.ndim)))
    return (reduce(torch.logical_or, masks),) if masks else None


def _lost_in_all(equation: str, *factors: Any) -> Masks:
    """Return what `_lost_in_both` returns, for all factors of `torch.einsum`."""
    terms, arrow, result = equation.replace(" ", "").partition("->")
    indices = terms.split(",")
    summed = set(terms) - {*result, ","} if arrow else {one for one in terms if terms.count(one) > 1} - {","}
    if (
        not all(map(_is_dense, factors))
        or "." in terms
        or any(len(set(term)) < len(term) for term in indices)
    ):
        return None
    masks: list[Tensor | None] = [None] * len(factors)
    for index in summed:
        there = [number for number, term in enumerate(indices) if index in term]
        whole = [factors[n].isnan().movedim(indices[n].index(index), 0).flatten(1).all(dim=1) for n in there]
        lost = reduce(torch.logical_and, whole)
        if lost.all() or not lost.any():
            continue
        for n in there:
            mask = lost.reshape([-1 if one == index else 1 for one in indices[n]])
            before = masks[n]
            masks[n] = mask if before is None else before | mask
    return None if all(mask is None for mask in masks) else tuple(masks)


def _is_dense(x: Any) -> bool:
    """Whether something is a tensor of numbers that may be lost: a sparse one, as of edges, loses none."""
    return isinstance(x, Tensor) and x.layout == torch.strided and x.is_floating_point()
