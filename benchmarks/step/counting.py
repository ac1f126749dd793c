"""What a device sees of a step, counted where no kernel runs: on torch's meta device, as if it were a GPU.

Tensors on the meta device have shapes and no numbers. All that a step does in Python, in autograd and in
torch's dispatcher is done; what is left out is what a GPU would do beside it. Where a number is asked for, 1
is the answer.
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
    """Counts what is called of the meta device while it is entered.

    Attributes:
        launched: Operations with a kernel, by name. Some have two on a GPU, as the gradient of a slice.
        asked: How often the host waits for the device.
        sent: Copies from the host to the device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.launched: Counter[str] = Counter()
        self.asked = self.sent = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._can_decompose():  # in inference mode, composite operations come whole
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
    """Have torch's optimisers take the meta device for one that updates many weights by one operation."""
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
    """Have tensors without numbers say 1 where they are asked for some, in less time than by `Counted`."""
    item, tolist = Tensor.item, Tensor.tolist
    try:
        Tensor.item = lambda self: 1.0  # type: ignore[method-assign,assignment]
        Tensor.tolist = lambda self: [1.0] * len(self)  # type: ignore[method-assign,assignment]
        yield
    finally:
        Tensor.item, Tensor.tolist = item, tolist  # type: ignore[method-assign]


@dataclass(frozen=True)
class OnDevice(Setting):
    """A setting whose supernet is on another device than its data; by default on one without numbers."""

    device: torch.device = META

    @classmethod
    def of(cls, setting: Setting, **changed: Any) -> "OnDevice":
        """Return one from a setting, with other values of some fields."""
        return cls(**{field.name: getattr(setting, field.name) for field in fields(setting)} | changed)

    def supernet(self) -> Supernet:
        """Return the supernet there."""
        return super().supernet().to(self.device)

    def loader(self, seed: int) -> DataLoader[Any]:
        """Return a loader over one half of the data, for a GPU in memory that it can copy from by itself."""
        loader = super().loader(seed)
        loader.pin_memory = self.device.type == "cuda"
        return loader

    def at_home(self) -> Supernet:
        """Return the supernet where its data are."""
        return super().supernet()


class LimitOnDevice(Limit):
    """The limit there, whose children are extracted at home, and whose batches are at hand on the device."""

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
