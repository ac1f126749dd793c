"""Compare the outputs of two calls of a network, whatever it returns."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from asng.training.data.nested import parts_of

__all__ = ["TOLERANCE", "copied", "difference"]

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 5e-2}
"""How far outputs that should be equal may be apart, as a share of the greatest number. They agree to the
last bit if torch computes the same each time; compiled parts, GPUs and other kernels do not always."""


def copied(value: Any) -> Any:
    """Return a value with detached copies of its tensors, which no later change reaches.

    Inside of `torch.func.grad`, `vmap` and the like, they are plain tensors; of a mapped one, its first.

    Example:
        >>> x = torch.zeros(2)
        >>> kept = copied({"x": [x]})
        >>> _ = x.add_(1)
        >>> kept
        {'x': [tensor([0., 0.])]}
    """
    if isinstance(value, torch.Tensor):
        if not torch._C._are_functorch_transforms_active():
            return value.detach().clone().requires_grad_(value.requires_grad)
        with torch._C._DisableFuncTorch():
            return _outside(value).detach().clone()
    if type(value) in (tuple, list):
        return type(value)(copied(part) for part in value)
    if type(value) is dict:
        return {key: copied(part) for key, part in value.items()}
    if callable(getattr(value, "clone", None)) and not isinstance(value, type):
        return value.clone()  # a graph
    return value


def _outside(value: torch.Tensor) -> torch.Tensor:
    """Return a tensor as it is outside of all transforms of `torch.func`; of a mapped one, its first."""
    func: Any = torch._C._functorch
    while func.is_functorch_wrapped_tensor(value):
        dim = func.maybe_get_bdim(value) if func.is_batchedtensor(value) else None
        value = func.get_unwrapped(value)
        if dim is not None:
            value = value.select(dim, 0)
    return value


def difference(
    got: Any, expected: Any, *, tolerance: float | Mapping[torch.dtype, float] = 0.0
) -> str | None:
    """Return in words how an output differs from another one, or None if it does not.

    Containers must have the same type and keys, tensors the same shape; NaN equals NaN.

    Args:
        got: An output.
        expected: The output to compare it with.
        tolerance: How far numbers may be apart, as a share of the greatest one; or a mapping from dtypes to
            such shares, with 0 for other dtypes.

    Example:
        >>> difference({"y": torch.ones(2)}, {"y": torch.ones(3)})
        "['y']: shape (2,), not (3,)"
    """
    return next(_differences(got, expected, tolerance, ""), None)


def _differences(got: Any, expected: Any, tolerance: Any, path: str) -> Iterator[str]:
    where = f"{path}: " if path else ""
    if isinstance(expected, torch.Tensor):
        if not isinstance(got, torch.Tensor):
            yield f"{where}{_kind(got)}, not a tensor"
        elif got.shape != expected.shape:
            yield f"{where}shape {tuple(got.shape)}, not {tuple(expected.shape)}"
        else:
            share = tolerance if isinstance(tolerance, float) else tolerance.get(expected.dtype, 0.0)
            yield from (f"{where}{words}" for words in _apart(got, expected, share))
        return
    if _kind(got) != _kind(expected):
        yield f"{where}{_kind(got)}, not {_kind(expected)}"
        return
    if isinstance(expected, Mapping) and list(got) != list(expected):
        yield f"{where}the names {list(got)}, not {list(expected)}"
        return
    left, right = parts_of(got), parts_of(expected)
    if len(left) != len(right):
        yield f"{where}{len(left)} parts, not {len(right)}"
        return
    names = list(expected) if isinstance(expected, Mapping) else range(len(right))
    for name, one, other in zip(names, left, right, strict=True):
        yield from _differences(one, other, tolerance, f"{path}[{name!r}]")
    if isinstance(expected, (int, float)) and tolerance != math.inf:
        both_nan = math.isnan(got) and math.isnan(expected)
        if got != expected and not both_nan:
            yield f"{where}{got!r}, not {expected!r}"


def _apart(got: torch.Tensor, expected: torch.Tensor, share: float) -> Iterator[str]:
    if share == math.inf or got.device.type == "meta" or got.layout is not torch.strided or got.is_nested:
        return
    if torch.equal(got, expected):
        return
    if not got.is_floating_point() and not got.is_complex():
        differ = int((got != expected).sum())
        # Integers that derive from other numbers, such as an argmax, jump if those are close.
        if share == 0.0:
            yield f"{differ} of {got.numel()} numbers differ"
        return
    a, b = got.detach().double().cpu(), expected.detach().double().cpu()
    if not torch.equal(torch.isfinite(a), torch.isfinite(b)):
        yield "other numbers are finite"
        return
    finite = torch.isfinite(a)
    apart = float((a - b)[finite].abs().max()) if finite.any() else 0.0
    greatest = float(b[finite].abs().max()) if finite.any() else 0.0
    if apart > share * greatest:
        yield f"numbers are up to {apart:.3g} apart, where the greatest is {greatest:.3g}"


def _kind(value: Any) -> str:
    return type(value).__name__
