"""Restore the weights that a pass writes to, such as a moving average of others."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from asng.nn.inputs import tensors_of

__all__ = ["SparedWeights", "storage_of"]


class SparedWeights(TorchFunctionMode):
    """Give the parameters of a model their values back when the block ends.

    A model may update some in its forward in training, as the momentum encoder of MoCo. Parameters are copied
    only when the first function writes to them, since gigabytes of them take long to copy, and few models do.

    Args:
        model: The model.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> with torch.no_grad(), SparedWeights(layer):
        ...     weight = layer.weight.zero_()
        >>> bool(layer.weight.any())
        True
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model
        self._owners: dict[int | None, list[nn.Parameter]] | None = None
        self._before: dict[int, tuple[nn.Parameter, Tensor, Tensor]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in _WRITERS or (name.endswith("_") and not name.endswith("__")):
            with torch._C.DisableTorchFunction():  # or a record of what is read would have all parameters
                for tensor in tensors_of(args[:1]):
                    self._spare(tensor)
        return func(*args, **(kwargs or {}))

    def __exit__(self, *reasons: Any) -> None:
        super().__exit__(*reasons)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter, own, value in self._before.values():
                own.copy_(value)
                if parameter.data_ptr() != own.data_ptr():
                    parameter.data = own
        self._before.clear()

    def _spare(self, tensor: Tensor) -> None:
        if self._owners is None:
            self._owners = {}
            for parameter in self._model.parameters():
                self._owners.setdefault(storage_of(parameter), []).append(parameter)
        number = storage_of(tensor)
        for parameter in self._owners.get(number, []) if number is not None else []:
            if id(parameter) not in self._before:
                self._before[id(parameter)] = parameter, parameter.data, parameter.detach().clone()


_WRITERS = {"__set__", "__setitem__", *(f"__i{name}__" for name in ("add", "sub", "mul", "truediv", "pow"))}
"""Functions that write to their first argument, beside those whose names end with an underscore."""


def storage_of(tensor: Tensor) -> int | None:
    """Return a number of the memory of a tensor, None if it has none."""
    if is_lazy(tensor) or not tensor.numel():
        return None
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # sparse and other tensors without a storage
        return id(tensor)
