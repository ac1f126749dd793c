"""The peak memory of a forward pass, besides the weights."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from asng.nn import Inputs
from asng.training.data.nested import tensors_in
from asng.training.modes import evaluating

__all__ = ["activation_memory"]


def activation_memory(child: nn.Module, inputs: tuple[Any, ...]) -> float:
    """Return the peak memory of one forward pass, besides weights and buffers, in bytes.

    After each torch operation, it sums all storages that are alive, inputs included; no gradient is computed.
    A view adds nothing. Memory that an operation needs only while it runs (the workspace of a convolution),
    rounding by an allocator, and sparse tensors are not counted. On the meta device a batch norm returns two
    vectors that it does not return elsewhere: 8 bytes per channel too many, if the peak is there.

    Args:
        child: A network, on any device; on "meta" nothing is computed.
        inputs: Its inputs, on the same device: a tuple, or `asng.nn.Inputs`.

    Example:
        >>> x = torch.ones(2, 3)  # 24 bytes, and the output of the first layer has 40
        >>> activation_memory(nn.Sequential(nn.Linear(3, 5), nn.Flatten(), nn.Linear(5, 1)), (x,))
        72.0
    """
    storages = _Storages([*child.parameters(), *child.buffers()])
    call = Inputs.of(inputs)
    storages.note([call, call.named])
    with evaluating(child), storages:
        call.call(child)
    return float(storages.peak)


class _Storages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the bytes of all storages that torch operations return, for as long as they are alive.

    Args:
        weights: Tensors whose storages do not count.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # torch keeps one Python object per storage as long as any tensor uses it, so its id identifies it.
        self._weights = {id(s): s for s in (tensor.untyped_storage() for tensor in weights if _dense(tensor))}
        self._alive: dict[int, Any] = {}
        self.bytes = 0
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        self.note(output)
        return output

    def note(self, value: Any) -> None:
        """Add the storages of the tensors in `value` that are new."""
        for tensor in tensors_in(value):
            if _dense(tensor):
                self._add(tensor.untyped_storage())
        self.peak = max(self.peak, self.bytes)

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._weights or key in self._alive:
            return
        self._alive[key] = ref(storage, partial(self._drop, key, size))
        self.bytes += size

    def _drop(self, key: int, size: int, _: Any) -> None:
        del self._alive[key]
        self.bytes -= size


def _dense(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided
