"""What a search changes for a while and puts back: modes of modules, torch's generators."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["cuda_devices", "evaluating", "kept_modes"]


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
