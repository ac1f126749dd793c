"""Record from a pass with numbers what a pass on shapes alone needs: numbers that are read, and shapes.

Some functions do not run without numbers, such as one that selects rows by a mask. In a pass on shapes, such
a function gives a tensor of the shape that it gave in the pass with numbers, with as many channels as its
input has.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asng.nn.inputs import tensors_of

__all__ = ["Listen", "MisfitError", "Misfits"]


class MisfitError(Exception):
    """A function of torch could not take its arguments."""

    def __init__(self, function: str, shapes: list[tuple[int, ...]], numbers: Iterable[int] = ()) -> None:
        super().__init__(function)
        self.function, self.shapes, self.numbers = function, shapes, tuple(numbers)


_LOOKS = ("__bool__", "__int__", "__float__", "__index__", "item", "tolist", "equal", "allclose")
"""Functions that pass numbers to Python."""


_RUNS_ON = 10
"""Limit on function calls, as a multiple of those in the pass with numbers."""


class _Heard(NamedTuple):
    """The shapes of a call's arguments, and its result if that is a tensor."""

    given: list[tuple[int, ...]]
    result: tuple[int, ...] | None
    dtype: torch.dtype | None


class Listen(TorchFunctionMode):
    """Record the numbers that a model reads, and the shapes that functions take and give between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any]] = []
        self.heard: dict[str, list[_Heard]] = {}
        self._within = 0

    def leave_out(self, layers: Iterable[nn.Module]) -> None:
        """Record no shapes while one of these layers runs."""
        for layer in layers:
            layer.register_forward_pre_hook(lambda *_: self._step(1))
            layer.register_forward_hook(lambda *_: self._step(-1), always_call=True)

    def _step(self, by: int) -> None:
        self._within += by

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in _LOOKS:
            self.seen.append((name, result))
        elif not self._within:
            tensor = isinstance(result, Tensor)
            shape, dtype = (tuple(result.shape), result.dtype) if tensor else (None, None)
            self.heard.setdefault(name, []).append(_Heard(_shapes(args, kwargs), shape, dtype))
        return result


def _shapes(args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> list[tuple[int, ...]]:
    return [tuple(t.shape) for t in tensors_of([*args, *(kwargs or {}).values()])]


class Misfits(TorchFunctionMode):
    """Name the functions that cannot take their arguments, and replay the numbers of a pass that had some.

    Args:
        listened: The record of that pass.
    """

    def __init__(self, listened: Listen) -> None:
        super().__init__()
        self._seen, self._heard = list(listened.seen), listened.heard
        self._most = _RUNS_ON * sum(map(len, listened.heard.values())) + 1000
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
        try:
            return func(*args, **(kwargs or {}))
        except MisfitError:
            raise
        except Exception as error:
            given = _shapes(args, kwargs)
            heard = self._heard.get(name, [])[number : number + 1]
            if heard and (shape := _without_function(heard[0], given, error)) is not None:
                return torch.empty(shape, device="meta", dtype=heard[0].dtype)
            if name == "einsum" and args and isinstance(args[0], str):
                given = _misfits_of_einsum(args[0], given) or given
            raise MisfitError(name or "a function", given, _integers([args, kwargs])) from error


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
    heard: _Heard, given: list[tuple[int, ...]], error: Exception
) -> tuple[int, ...] | None:
    """Return the result shape of a function that does not run without numbers, or None if it is unknown.

    If no size of its arguments has changed, it is the recorded shape. Else a function that needs numbers,
    such as one that selects rows by a mask, keeps those last dimensions of its first argument that it kept in
    the record.
    """
    if heard.result is None:
        return None
    if heard.given == given:
        return heard.result
    if not (isinstance(error, NotImplementedError) or "meta" in str(error).lower()):
        return None
    if not given or len(heard.given) != len(given):
        return None
    shape = list(heard.result)
    for place in range(1, min(len(shape), len(given[0])) + 1):
        if heard.given[0][-place] != shape[-place]:
            break
        shape[-place] = given[0][-place]
    return tuple(shape)


def _integers(value: Any) -> Iterator[int]:
    if type(value) is int:
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _integers(part)
    elif isinstance(value, dict):
        yield from _integers(list(value.values()))
