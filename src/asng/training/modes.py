"""Change the modes and the state of modules for a while, and restore them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from asng.nn.extraction.recording import contents_of, refill

__all__ = [
    "Modes",
    "cuda_devices",
    "evaluating",
    "has_own_train",
    "kept_modes",
    "learning",
    "left_alone",
    "Snapshot",
]

_LOOKS = 4
"""Number of switches in which modules are looked up: those of two steps."""
_AUTOCAST = ("cpu", "cuda", "mps", "xpu")
"""Types of devices whose autocast a caller may have turned on."""


class Modes:
    """Switches a model between training and eval mode, as its `train` does but in less time.

    A search switches twice a step, and `train` takes 10 microseconds for each of hundreds of modules in a
    supernet. If no class overrides `train`, all it does is set one attribute of each module.

    Args:
        model: Its modules are looked up in the first `_LOOKS` switches: some are made in a first pass.
        norms: Norms that stay in training mode.

    Example:
        >>> model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
        >>> Modes(model, norms=[model[1]]).set(training=False)
        >>> model[0].training, model[1].training
        (False, True)
    """

    def __init__(self, model: nn.Module, norms: Sequence[nn.Module] = ()) -> None:
        self._model, self._norms = model, norms
        self._attributes: list[dict[str, Any]] | None = None
        self._looks = 0

    def set_still(self) -> None:
        """Switch to training mode, except for layers of torch and asng: dropout, for example, stays off.

        The user's modules then compute what they do in training, so that a loss can use it.
        """
        self.set(training=True)
        for module in self._model.modules():
            if type(module).__module__.partition(".")[0] in ("torch", "asng"):
                module.training = False
        for norm in self._norms:
            norm.training = True

    def set(self, *, training: bool) -> None:
        """Switch to training or eval mode."""
        if self._looks < _LOOKS:
            self._looks += 1
            self._attributes = _attributes(self._model)
        if self._attributes is None:
            self._model.train(training)
        else:
            for attributes in self._attributes:
                attributes["training"] = training
        for norm in self._norms:
            vars(norm)["training"] = True


def _attributes(model: nn.Module) -> list[dict[str, Any]] | None:
    """Return the attributes of all modules, or None if one overrides `train`."""
    return None if has_own_train(model) else [vars(module) for module in model.modules()]


def has_own_train(model: nn.Module) -> bool:
    """Whether a class in a model, or a module itself, overrides torch's `train`."""
    return any(type(m).train is not nn.Module.train or "train" in vars(m) for m in model.modules())


@contextmanager
def kept_modes(model: nn.Module) -> Iterator[None]:
    """Restore the mode of every module, training or eval, after the block."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network in eval mode and turn gradients off while the block runs."""
    with kept_modes(model), torch.no_grad():
        model.eval()
        yield


@contextmanager
def learning() -> Iterator[None]:
    """Train in the block, even if the caller has turned gradients off.

    Under an autocast of the caller, torch would also keep the weights that it has cast once, so that passes
    would not see them change.

    Example:
        >>> with torch.no_grad(), learning():
        ...     nn.Linear(1, 1)(torch.ones(1)).requires_grad
        True
    """
    keeps = torch.is_autocast_cache_enabled()
    if any(map(torch.is_autocast_enabled, _AUTOCAST)):
        torch.clear_autocast_cache()
        torch.set_autocast_cache_enabled(False)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_autocast_cache_enabled(keeps)


@contextmanager
def left_alone(model: nn.Module) -> Iterator["Snapshot"]:
    """Undo all that passes in the block change in a network: modes, weights, buffers, attributes.

    This covers a norm's averages, a weight that is renormalised in a pass, a counter, and a tensor that a
    module keeps. It also covers a module or a hook that is made in a first pass, and what is put into a list,
    a dictionary or a set. What a pass changes within any other object stays changed.

    Example:
        >>> norm = nn.BatchNorm1d(2)
        >>> with left_alone(norm):
        ...     y = norm.train()(torch.ones(4, 2))
        >>> norm.running_mean, norm.num_batches_tracked
        (tensor([0., 0.]), tensor(0))
    """
    before = Snapshot(model)
    try:
        yield before
    finally:
        before.restore()


class Snapshot:
    """The state of a network, to be restored: see `left_alone`.

    Gigabytes of weights take long to copy, and a pass rarely changes one. torch counts the writes to each
    tensor, but misses those to `weight.data`.
    """

    def __init__(self, model: nn.Module) -> None:
        modules = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
        self._attributes = [(module, dict(vars(module))) for module in modules]
        self._contents = [
            (vars(module)[name], content)
            for module in modules
            for name, content in contents_of(module).items()
        ]
        tensors = [t for t in (*model.parameters(), *model.buffers()) if not is_lazy(t)]
        self._tensors = [(tensor, _copied(tensor)) for tensor in tensors]
        self._marks = [_mark(tensor) for tensor in tensors]

        self._tells: bool | None = None

    def restore(self, *, for_now: bool = False) -> None:
        """Put the network back into this state.

        Args:
            for_now: Whether to skip tensors that torch has counted no write to, provided that none of these
                had changed the first time.
        """
        if for_now and self._tells is None:
            self._tells = all(
                mark != _mark(tensor)
                or tensor.is_meta
                or torch.equal(tensor.detach().to(value.device), value)
                for (tensor, value), mark in zip(self._tensors, self._marks, strict=True)
            )
        for module, attributes in self._attributes:
            vars(module).clear()
            vars(module).update(attributes)
        for container, content in self._contents:
            if container or content:  # most are empty, and there are tens of thousands
                refill(container, content)
        for number, (tensor, value) in enumerate(self._tensors):
            if for_now and self._tells and self._marks[number] == _mark(tensor):
                continue
            tensor.data.copy_(value)
            self._marks[number] = _mark(tensor)


def _mark(tensor: torch.Tensor) -> int:
    """Return torch's count of writes to a tensor; -1 for one made in inference mode, which has no count."""
    return -1 if tensor.is_inference() else tensor._version


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    # Weights go to main memory, where there is more room than on a GPU.
    is_weight = isinstance(tensor, nn.Parameter) and tensor.device.type != "meta"
    return tensor.detach().to("cpu", copy=True) if is_weight else tensor.detach().clone()


def cuda_devices() -> list[int]:
    """Return all CUDA devices: `torch.random.fork_rng` warns if there are several and none is named."""
    return list(range(torch.cuda.device_count()))
