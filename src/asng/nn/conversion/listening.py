"""What a pass with numbers tells a pass without: numbers that the model looks at, and shapes that they give.

Some functions do not run without numbers, as one that chooses rows by a mask. Such a function gives a tensor
of the shape that it gave in the pass that had some, and of as many channels as it is given.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asng.nn.extraction.recording import tensors_of

__all__ = ["Listen", "MisfitError", "Misfits"]


class MisfitError(Exception):
    """A function of torch could not take its arguments."""

    def __init__(self, function: str, shapes: list[tuple[int, ...]], numbers: Iterable[int] = ()) -> None:
        super().__init__(function)
        self.function, self.shapes, self.numbers = function, shapes, tuple(numbers)


_LOOKS = ("__bool__", "__int__", "__float__", "__index__", "item", "tolist", "equal", "allclose")
"""Functions that give numbers to Python."""


_RUNS_ON = 10
"""So many times as many functions are called at most as in the pass with numbers."""


class _Heard(NamedTuple):
    """What a function was given, and gave: a tensor, or something else of which nothing is noted."""

    given: list[tuple[int, ...]]
    result: tuple[int, ...] | None
    dtype: torch.dtype | None


class Listen(TorchFunctionMode):
    """Notes what numbers a model looks at, and what shapes functions give, but inside of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any]] = []
        self.heard: dict[str, list[_Heard]] = {}
        self._within = 0

    def leave_out(self, layers: Iterable[nn.Module]) -> None:
        """Note nothing while one of these layers runs."""
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
    """Names the functions that cannot take their arguments, and gives the numbers of a pass that had some.

    Args:
        listened: That pass.
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
    """Return the sizes of an index that is not as long in all tensors, each as a shape; none if all are.

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
    """Return the shape that a function gives that does not run without numbers, None if it cannot be told.

    If nothing that it is given stands for channels, it is what it was. Else a function of numbers, such as
    one that chooses rows by a mask, leaves the last dimensions as they were.
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
