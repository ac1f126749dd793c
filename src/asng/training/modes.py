"""What a search changes for a while and puts back: modes of modules, torch's generators."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["Modes", "cuda_devices", "evaluating", "kept_modes"]

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
            norm.training = True


def _attributes(model: nn.Module) -> list[dict[str, Any]] | None:
    """Return the attributes of all modules, or None where one has a `train` of its own."""
    modules = list(model.modules())
    own = any(type(module).train is not nn.Module.train or "train" in vars(module) for module in modules)
    return None if own else [vars(module) for module in modules]


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


def cuda_devices() -> list[int]:
    """Return all CUDA devices: `torch.random.fork_rng` warns where there are several and none is named."""
    return list(range(torch.cuda.device_count()))
