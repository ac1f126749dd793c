"""Remember what layers gave: most passes of a proof differ from an earlier one in few layers.

A cut changes nothing before the layers that make its channels. Behind their readers, the network with NaN and
the one with numbers compute the same, and the narrowed network does up to the order of sums. So a function of
a layer that is given what it was given before, number by number, is not computed again.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["Known"]

_FUNCTIONS = {"linear"} | {f"conv{kind}{n}d" for n in (1, 2, 3) for kind in ("", "_transpose")}
"""Functions that are remembered. Others take little more time than a comparison of their inputs."""

_ROUNDED = 1e-12
"""Largest difference that is put down to the order of sums, as a share of the largest number.

It is a thousandth of the difference of outputs that a proof accepts (`proof`).
"""

_MOST = 2**27
"""Largest number of bytes of what is remembered of a pass."""


class _Heard(NamedTuple):
    x: Tensor
    y: Tensor


class Known(TorchFunctionMode):
    """The functions of a model's layers, with what they were given in the first and in the last pass kept.

    Args:
        model: A model in evaluation mode, of which passes are made without derivatives.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._own = {id(p): p for p in model.parameters()}
        self._first: dict[Any, _Heard] = {}
        self._last: dict[Any, _Heard] = {}
        self._calls: Counter[Any] = Counter()
        self._keep, self._rounded, self._bytes = False, False, 0

    @contextmanager
    def during(self, *, keep: bool = False, rounded: bool = False) -> Iterator[None]:
        """Look up what functions give while a pass runs.

        Args:
            keep: Whether to remember the pass, beside the first one that was kept.
            rounded: Whether inputs may differ from those of the last pass by rounding.
        """
        self._calls.clear()
        self._keep, self._rounded = keep, rounded
        if keep:
            self._first, self._last, self._bytes = self._first or self._last, {}, 0
        with self:
            yield

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if kwargs or name not in _FUNCTIONS or len(args) < 2 or type(args[0]) is not Tensor:
            return func(*args, **(kwargs or {}))
        x, *weights = args[:3]
        if any(w is not None and id(w) not in self._own for w in weights):
            return func(*args)
        # The version tells whether a tensor was changed in place; its data may be another's for a while.
        marks = [None if w is None else (id(w), w.data_ptr(), w._version) for w in weights]
        rest = [tuple(value) if isinstance(value, list) else value for value in args[3:]]
        key: Any = (name, *marks, *rest)
        key = *key, self._calls[key]
        self._calls[key[:-1]] += 1
        first, last = self._first.get(key), self._last.get(key)
        for heard in (last, first):
            if heard is not None and _is_same(x, heard.x):
                return self._given(key, heard)
        if self._rounded and last is not None and _is_rounded(x, last.x):
            return last.y.clone()
        y = func(*args)
        return self._given(key, _Heard(x.clone(), y)) if self._keep else y

    def _given(self, key: Any, heard: _Heard) -> Tensor:
        """Return what a function gave, of which the model may change its copy in place."""
        if self._keep and self._bytes < _MOST:
            self._last[key] = heard
            self._bytes += heard.x.nbytes + heard.y.nbytes
        return heard.y.clone()


def _is_same(x: Tensor, known: Tensor) -> bool:
    if x.dtype != known.dtype or x.shape != known.shape or x.stride() != known.stride():
        return False
    return x.device == known.device and torch.equal(x, known)


def _is_rounded(x: Tensor, known: Tensor) -> bool:
    if x.dtype != torch.float64 or x.shape != known.shape or x.stride() != known.stride() or not x.numel():
        return False
    return bool((x - known).abs().max() <= _ROUNDED * known.abs().max())
