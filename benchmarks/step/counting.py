"""What a device sees of a step, counted without kernels: on torch's meta device, as if it were a GPU.

Tensors on the meta device have shapes but no numbers. All work of a step in Python, in autograd and in
torch's dispatcher is done; only the work of a GPU is left out. If a number is requested, the answer is 1.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from asng.nn import Supernet
from benchmarks.step.limit import Limit
from benchmarks.step.spaces import Setting

__all__ = ["Counted", "LimitOnDevice", "OnDevice", "answered", "on_meta"]

META = torch.device("meta")
ASKS = ("_local_scalar_dense", "nonzero", "equal", "_unique", "unique_", "masked_select")
"""Operations for whose result, or its shape, the host waits."""
NO_KERNELS = ("empty", "detach", "lift_fresh", "_unsafe_view", "alias", "set_")
"""Operations that launch nothing, beside views."""


class Counted(TorchDispatchMode):
    """Counts the operations on the meta device while it is entered.

    Attributes:
        launched: Operations with a kernel, by name. Some have two on a GPU, such as the gradient of a slice.
        asked: How often the host waits for the device.
        sent: Copies from the host to the device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.launched: Counter[str] = Counter()
        self.asked = self.sent = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._can_decompose():  # in inference mode, composite operations arrive undecomposed
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        name = func.name().removeprefix("aten::").partition(".")[0]
        inputs = _devices(args)
        if META in inputs and name.startswith(ASKS):
            self.asked += 1
            if name == "_local_scalar_dense":
                return 1.0 if args[0].is_floating_point() else 1
        if name == "_to_copy" and META in inputs and torch.device(kwargs.get("device", META)) != META:
            self.asked += 1
            return torch.ones(args[0].shape, dtype=kwargs.get("dtype", args[0].dtype))
        result = func(*args, **kwargs)
        outputs = _devices(result)
        if META in outputs and inputs and META not in inputs:
            self.sent += 1
        elif META in inputs and outputs and META not in outputs:
            self.asked += 1
        elif META in inputs | outputs and not func.is_view and not name.startswith(NO_KERNELS):
            self.launched[name] += 1
        return result


def _devices(values: Any) -> set[torch.device]:
    return {leaf.device for leaf in tree_leaves(values) if isinstance(leaf, Tensor)}


@contextmanager
def on_meta() -> Iterator[None]:
    """Make torch's optimisers treat the meta device as one that updates many weights in one operation."""
    supported = _foreach_utils._get_foreach_kernels_supported_devices
    places: list[Any] = [_foreach_utils, import_module("torch.optim.optimizer")]
    try:
        for place in places:
            place._get_foreach_kernels_supported_devices = lambda: [*supported(), "meta"]
        yield
    finally:
        for place in places:
            place._get_foreach_kernels_supported_devices = supported


@contextmanager
def answered() -> Iterator[None]:
    """Make tensors without numbers return 1 if a number is requested, in less time than by `Counted`."""
    item, tolist = Tensor.item, Tensor.tolist
    try:
        Tensor.item = lambda self: 1.0  # type: ignore[method-assign,assignment]
        Tensor.tolist = lambda self: [1.0] * len(self)  # type: ignore[method-assign,assignment]
        yield
    finally:
        Tensor.item, Tensor.tolist = item, tolist  # type: ignore[method-assign]


@dataclass(frozen=True)
class OnDevice(Setting):
    """A setting whose supernet is on another device than its data, by default the meta device."""

    device: torch.device = META

    @classmethod
    def of(cls, setting: Setting, **changed: Any) -> "OnDevice":
        """Make one from a setting, with some fields changed."""
        return cls(**{field.name: getattr(setting, field.name) for field in fields(setting)} | changed)

    def supernet(self) -> Supernet:
        """Return the supernet on that device."""
        return super().supernet().to(self.device)

    def loader(self, seed: int) -> DataLoader[Any]:
        """Return a loader over one half of the data, for a GPU in pinned memory."""
        loader = super().loader(seed)
        loader.pin_memory = self.device.type == "cuda"
        return loader

    def at_home(self) -> Supernet:
        """Return the supernet on the device of its data."""
        return super().supernet()


class LimitOnDevice(Limit):
    """The limit on that device: children are extracted on the data's device, batches are already there."""

    def __init__(self, setting: OnDevice) -> None:
        super().__init__(setting)
        self._device, self._home, self._example = setting.device, setting.at_home(), tuple(self.train[:-1])
        self.train, self.valid = (
            [tensor.to(setting.device) for tensor in batch] for batch in (self.train, self.valid)
        )
        if setting.settings.get("precision") == "bfloat16":
            self.loss = torch.autocast(setting.device.type, dtype=torch.bfloat16)(self.loss)

    def _child(self, architecture: Any) -> nn.Module:
        return self._home.extract(architecture, example=self._example).to(self._device)
