"""Record from a pass with numbers what a pass on shapes alone needs: numbers that are read, and shapes.

Some functions do not run without numbers, such as one that selects rows by a mask. In a pass on shapes, such
a function gives a tensor of the shape that it gave in the pass with numbers, with as many channels as its
input has.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asng.nn.inputs import tensors_of

__all__ = ["GROUPED", "Listen", "MisfitError", "Misfits"]


class MisfitError(Exception):
    """A function of torch could not take its arguments."""

    def __init__(self, function: str, shapes: list[tuple[int, ...]], numbers: Iterable[int] = ()) -> None:
        super().__init__(function)
        self.function, self.shapes, self.numbers = function, shapes, tuple(numbers)


_LOOKS = ("__bool__", "__int__", "__float__", "__index__", "item", "tolist", "equal", "allclose")
"""Functions that pass numbers to Python."""


_ACTIVATIONS = ("gelu", "silu", "mish", "elu", "celu", "selu", "hardswish", "hardsigmoid", "softplus")
"""Functions that give a tensor like their first. On the meta device, torch takes a millisecond for some."""

GROUPED = ("grouped_mm", "_grouped_mm")
"""Products of rows with one matrix of a stack each; the third argument says where the rows of each end."""

_SPARSE = ("mm", "matmul", "__matmul__", "spmm", "_sparse_mm")
"""Products that may have a sparse first factor."""

_RUNS_ON = 10
"""Limit on function calls, as a multiple of those in the pass with numbers."""

_IN_A_LAYER = 50
"""More than the calls that the pass on shapes makes for a layer."""


class _Heard(NamedTuple):
    """The shapes and numbers in a call's arguments, and the shapes and types of the tensors that it gave."""

    given: list[tuple[int, ...]]
    numbers: tuple[int, ...]
    results: list[tuple[tuple[int, ...], torch.dtype]]
    kind: type


class Listen(TorchFunctionMode):
    """Record the numbers that a model reads, and the shapes that functions take and give between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any]] = []
        self.heard: dict[str, list[_Heard]] = {}
        self._within = self.layers = 0

    def leave_out(self, layers: Iterable[nn.Module]) -> None:
        """Record no shapes while one of these layers runs."""
        for layer in layers:
            layer.register_forward_pre_hook(lambda *_: self._step(1))
            layer.register_forward_hook(lambda *_: self._step(-1), always_call=True)

    def _step(self, by: int) -> None:
        self._within += by
        self.layers += max(by, 0)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in _LOOKS:
            self.seen.append((name, result))
        elif not self._within:
            results = [(tuple(t.shape), t.dtype) for t in tensors_of([result])]
            numbers = tuple(_integers([args, kwargs]))
            heard = _Heard(_shapes(args, kwargs), numbers, results, type(result))
            self.heard.setdefault(name, []).append(heard)
        return result


def _shapes(args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> list[tuple[int, ...]]:
    return [tuple(t.shape) for t in tensors_of([*args, *(kwargs or {}).values()])]


class Misfits(TorchFunctionMode):
    """Name the functions that cannot take their arguments, and replay the numbers of a pass that had some.

    Args:
        listened: The record of that pass.
        sums: Is filled: sizes that a concatenation has made, to the sizes of its parts.
        within: Returns the layers, as numbers, whose channels a size counts.
    """

    def __init__(
        self, listened: Listen, sums: dict[int, list[int]], within: Callable[[int], set[int]]
    ) -> None:
        super().__init__()
        self._sums, self._within = sums, within
        self._seen, self._heard = list(listened.seen), listened.heard
        calls = sum(map(len, listened.heard.values()))
        self._most = _RUNS_ON * calls + _IN_A_LAYER * listened.layers + 1000
        self._calls: Counter[str] = Counter()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if self._seen and name == self._seen[0][0]:
            return self._seen.pop(0)[1]
        number = self._calls[name]
        self._calls[name] += 1
        if self._calls.total() > self._most:
            raise RuntimeError("a size stands for a number of steps")
        for size, bound in _bounds(name, args, kwargs or {}):
            here, there = self._within(size), self._within(abs(bound))
            if here and there and here.isdisjoint(there):
                raise MisfitError("cutting a tensor", [(size,), (abs(bound),)])
        if (product := _shape_of_product(name, args, kwargs or {})) is not None:
            return torch.empty(product, dtype=args[1].dtype)
        if name in _ACTIVATIONS and args and isinstance(args[0], Tensor) and args[0].is_floating_point():
            return torch.empty_like(args[0])
        try:
            result = func(*args, **(kwargs or {}))
        except MisfitError:
            raise
        except Exception as error:
            given, numbers = _shapes(args, kwargs), tuple(_integers([args, kwargs]))
            heard = self._heard.get(name, [])[number : number + 1]
            if heard and (shapes := _without_function(heard[0], given, numbers, error)):
                made = [torch.empty(shape, device="meta", dtype=dtype) for shape, dtype in shapes]
                return heard[0].kind(made) if heard[0].kind in (tuple, list) else made[0]
            if name == "einsum" and args and isinstance(args[0], str):
                given = _misfits_of_einsum(args[0], given) or given
            else:  # indices, masks and lengths last, since they meet few channels
                tensors = tensors_of([*args, *(kwargs or {}).values()])
                given = _shapes(sorted(tensors, key=lambda tensor: not tensor.is_floating_point()), {})
            raise MisfitError(name or "a function", given, numbers) from error
        if (written := _misfits_of_writing(name, args)) is not None:
            raise MisfitError("writing into a tensor", written)
        if name in ("cat", "concat", "concatenate", "hstack", "vstack"):
            parts = _shapes(args, kwargs)
            for dim, size in enumerate(result.shape):
                if len(parts[0]) == result.ndim and size != parts[0][dim]:
                    self._sums[size] = [part[dim] for part in parts]
        return result


def _shape_of_product(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the shape of a product that the meta device refuses, if its factors agree; else None.

    These are products of groups, of which it takes a single type, and those with a sparse first factor.
    """
    if len(args) < 2 or not all(isinstance(factor, Tensor) for factor in args[:2]):
        return None
    one, other = args[:2]
    if name in GROUPED and other.ndim == 3:
        ends = args[2] if len(args) > 2 else kwargs.get("offs")
        fits = ends is not None and len(ends) == len(other)
    else:
        fits = name in _SPARSE and one.layout != torch.strided and other.ndim == 2
    return (*one.shape[:-1], other.shape[-1]) if fits and one.shape[-1] == other.shape[-2] else None


def _bounds(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Yield the sizes of a tensor that a call cuts, each with a place or a length at which it is cut.

    Python and torch take any: a slice may end behind the tensor, and a split may have a part too few.

    Example:
        >>> list(_bounds("__getitem__", [torch.ones(2, 9), (..., slice(4, 8))], {}))
        [(9, 4), (9, 8)]
        >>> list(_bounds("split", [torch.ones(2, 9), 3], {"dim": -1}))
        [(9, 3)]
    """
    if len(args) < 2 or not isinstance(args[0], Tensor):
        return
    shape, by = args[0].shape, args[1]
    if name == "split" and type(by) is int and shape:
        yield shape[args[2] if len(args) > 2 else kwargs.get("dim", 0)], by
    elif name == "__getitem__":
        index = [i for i in (by if isinstance(by, tuple) else (by,)) if i is not None]
        if any(isinstance(i, Tensor) and i.dtype == torch.bool for i in index):
            return  # it may stand for several dimensions
        end = next((n for n, i in enumerate(index) if i is Ellipsis), len(index))
        pairs = [*zip(index[:end], shape, strict=False)]
        pairs += zip(reversed(index[end + 1 :]), reversed(shape), strict=False)
        for i, size in pairs:
            bounds = (i.start, i.stop) if isinstance(i, slice) else ()
            yield from ((size, bound) for bound in bounds if type(bound) is int)


def _misfits_of_writing(name: str, args: Sequence[Any]) -> list[tuple[int, ...]] | None:
    """Return the shapes of a part of a tensor and of what is written into it, if these do not agree.

    The meta device does not check them.
    """
    if len(args) < 3 or not all(isinstance(args[place], Tensor) for place in (0, -1)):
        return None
    whole, source = args[0], tuple(args[-1].shape)
    if name == "index_add_" and len(source) == whole.ndim:
        dim = args[1] % whole.ndim
        part = (*whole.shape[:dim], source[dim], *whole.shape[dim + 1 :])
    elif name == "__setitem__":
        mask = args[1]
        if isinstance(mask, Tensor) and mask.dtype == torch.bool:
            part = (*source[: len(source) - whole.ndim + mask.ndim], *whole.shape[mask.ndim :])
        else:
            try:
                part = tuple(whole[mask].shape)
            except Exception:  # a mask among other indices
                return None
    else:
        return None
    apart = (a != b and 1 not in (a, b) for a, b in zip(reversed(part), reversed(source), strict=False))
    return [part, source] if any(apart) else None


def _misfits_of_einsum(equation: str, shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the sizes of an index whose tensors disagree, each as a shape; none if all agree.

    Example:
        >>> _misfits_of_einsum("bi, ij -> bj", [(2, 3), (4, 5)])
        [(3,), (4,)]
    """
    terms = equation.partition("->")[0].replace(" ", "").split(",")
    sizes: dict[str, list[int]] = {}
    for term, shape in zip(terms, shapes, strict=False):
        first, _, last = term.partition("...")  # the dimensions in between are broadcast
        ends = [*zip(first, shape, strict=False), *zip(reversed(last), reversed(shape), strict=False)]
        for index, size in ends:
            sizes.setdefault(index, []).append(size)
    apart = (found for found in sizes.values() if len(set(found) - {1}) > 1)
    return [(size,) for size in next(apart, [])]


def _without_function(
    heard: _Heard, given: list[tuple[int, ...]], numbers: tuple[int, ...], error: Exception
) -> list[tuple[tuple[int, ...], torch.dtype]]:
    """Return the shapes and types that a function gives without numbers; none if they are unknown.

    If no size or number among its arguments has changed, they are those of the record. Else a function that
    needs numbers, such as one that selects rows by a mask, keeps those last dimensions of its first argument
    that it kept in the record.
    """
    if not (heard.kind in (tuple, list) or issubclass(heard.kind, Tensor)):
        return []
    if (heard.given, heard.numbers) == (given, numbers):
        return heard.results
    if not (isinstance(error, NotImplementedError) or "meta" in str(error).lower()):
        return []
    if not given or len(heard.given) != len(given):
        return []
    shapes = []
    for result, dtype in heard.results:
        shape = list(result)
        for place in range(1, min(len(shape), len(given[0])) + 1):
            if heard.given[0][-place] != shape[-place]:
                break
            shape[-place] = given[0][-place]
        shapes.append((tuple(shape), dtype))
    return shapes


def _integers(value: Any) -> Iterator[int]:
    if type(value) is int:
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _integers(part)
    elif isinstance(value, dict):
        yield from _integers(list(value.values()))
