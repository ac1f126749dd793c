"""What a model holds beside its weights when it is made a supernet, to train it from scratch later."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from asng.nn.extraction.recording import is_script

__all__ = ["Beginning"]

_PLAIN = (bool, int, float, str, type(None))
_OF_TORCH = frozenset((*vars(nn.Module()), *dir(nn.Module)))
"""Names that are not state of a user's: modes, tables, hooks, and what `compile` sets."""


class Beginning:
    """The buffers of a model, and its attributes that are tensors or plain values, as they are now.

    Passes change them: counters, running averages, codebooks, flags that say whether one is filled. Weights
    are not kept: they are large, and their layers can draw them again. Modules whose buffers or weights have
    no size yet are left out, because the attributes of their class change with the first input.

    Args:
        model: It is not kept; tensors are copied.

    Example:
        >>> norm = nn.BatchNorm1d(2)
        >>> beginning = Beginning(norm)
        >>> y = norm(torch.ones(3, 2))
        >>> beginning.restore(norm)
        >>> norm.running_mean, int(norm.num_batches_tracked)
        (tensor([0., 0.]), 0)
    """

    def __init__(self, model: nn.Module) -> None:
        copies: dict[int, Tensor] = {}
        self._buffers: dict[str, dict[str, Any]] = {}
        self._attributes: dict[str, dict[str, Any]] = {}
        for path, module in model.named_modules():
            if is_script(module):  # its tables are not Python's
                continue
            if not any(map(is_lazy, (*module._parameters.values(), *module._buffers.values()))):
                self._buffers[path] = _kept(module._buffers, copies)
                self._attributes[path] = _kept(vars(module), copies)

    def restore(self, model: nn.Module) -> None:
        """Give a model copies of these values, on the device and in the type of those that it has.

        A module that was made in a pass stays as it is.

        Args:
            model: The model, or a copy of it.
        """
        copies: dict[int, Tensor] = {}
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        for path, module in model.named_modules():
            if path not in self._buffers:
                continue
            for table, first in (
                (module._buffers, self._buffers[path]),
                (vars(module), self._attributes[path]),
            ):
                for name, value in first.items():
                    if table is module._buffers or name in table:
                        table[name] = _like(value, table.get(name), device, copies)
            for name in [name for name in module._buffers if name not in self._buffers[path]]:
                delattr(module, name)  # a pass has registered it


def _kept(table: Mapping[str, Any], copies: dict[int, Tensor]) -> dict[str, Any]:
    """Return the tensors and plain values in a table; a tensor that occurs several times has one copy."""
    kept = {}
    for name, value in table.items():
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            if id(value) not in copies:
                copies[id(value)] = value.detach().clone()
            kept[name] = copies[id(value)]
        elif type(value) in _PLAIN and name not in _OF_TORCH:
            kept[name] = value
    return kept


def _like(value: Any, now: Any, device: torch.device, copies: dict[int, Tensor]) -> Any:
    """Return a value or a copy of a tensor, on the device and in the type of what is there now."""
    if not isinstance(value, Tensor):
        return value
    if id(value) not in copies:
        like = now if isinstance(now, Tensor) else value.to(device)
        copies[id(value)] = value.to(like.device, like.dtype, copy=True)
    return copies[id(value)]
