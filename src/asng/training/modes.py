"""What a search changes for a while and puts back: modes of modules, their tensors, torch's generators."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from asng.nn.extraction.recording import contents_of, refill

__all__ = ["Modes", "cuda_devices", "evaluating", "has_own_train", "kept_modes", "left_alone", "Snapshot"]

_LOOKS = 4
"""Switches: two steps."""


class Modes:
    """Switches a model between training and evaluation, as its `train` does but in less time.

    A search switches twice a step, and `train` takes 10 microseconds for each module of a supernet that has
    hundreds. Where no class has a `train` of its own, all it does is to set one attribute of each module.

    Args:
        model: Whose modules are looked for in the first `_LOOKS` switches: some are made in a first pass.
        norms: Those that are to stay in training mode.

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
        """Switch to training, but for layers of torch and of this library: dropout, for one, stays off.

        Modules of the user then compute what they do in training, so that a loss can be taken of it.
        """
        self.set(training=True)
        for module in self._model.modules():
            if type(module).__module__.partition(".")[0] in ("torch", "asng"):
                module.training = False
        for norm in self._norms:
            norm.training = True

    def set(self, *, training: bool) -> None:
        """Switch to training, or to evaluation."""
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
    """Return the attributes of all modules, or None if one has a `train` of its own."""
    return None if has_own_train(model) else [vars(module) for module in model.modules()]


def has_own_train(model: nn.Module) -> bool:
    """Whether a class in a model, or a module itself, has a `train` other than torch's."""
    return any(type(m).train is not nn.Module.train or "train" in vars(m) for m in model.modules())


@contextmanager
def kept_modes(model: nn.Module) -> Iterator[None]:
    """Put every module back into the mode, training or evaluation, that it is in now."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Have a network in eval mode and take no gradients, for a while."""
    with kept_modes(model), torch.no_grad():
        model.eval()
        yield


@contextmanager
def left_alone(model: nn.Module) -> Iterator["Snapshot"]:
    """Put back all that passes in the block change in a network: modes, weights, buffers, attributes.

    So it is as if they had not been. This holds for a norm's averages, a weight that is renormalised in a
    pass, a counter, and a tensor that a module keeps. It holds for a module or a hook that is made in its
    first pass too, and for what is put into a list, a dictionary or a set. What a pass changes within any
    other object stays changed.

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
    """What a network is like: see `left_alone`.

    Gigabytes of weights take long to copy, and hardly a pass changes one. torch counts the changes of each;
    what it does not see is a write to `weight.data`.
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
        """Have it be like that again.

        Args:
            for_now: Whether tensors may be passed over that torch has seen no change of, provided that none
                of these had changed the first time.
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
    """Return how many times torch has seen a tensor written; one made in inference mode is never counted."""
    return -1 if tensor.is_inference() else tensor._version


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    # Weights in main memory, where there is more room than on a GPU.
    is_weight = isinstance(tensor, nn.Parameter) and tensor.device.type != "meta"
    return tensor.detach().to("cpu", copy=True) if is_weight else tensor.detach().clone()


def cuda_devices() -> list[int]:
    """Return all CUDA devices: `torch.random.fork_rng` warns if there are several and none is named."""
    return list(range(torch.cuda.device_count()))
