"""How long a forward pass takes."""

import time
from statistics import median
from typing import Any

import torch
from torch import nn

from asng.checks import integer_at_least
from asng.nn import Inputs
from asng.training.data.nested import tensors_in
from asng.training.modes import evaluating

__all__ = ["latency"]


def latency(child: nn.Module, inputs: tuple[Any, ...], *, warmup: int = 3, repeats: int = 15) -> float:
    """Return the median time of a forward pass in seconds, in eval mode and under inference mode.

    Args:
        child: A network, on the device that is asked about.
        inputs: Its inputs, on the same device: a tuple, or `asng.nn.Inputs`.
        warmup: Passes before the first that counts, >= 0. Default 3.
        repeats: Passes that count, >= 1. Default 15.

    Example:
        >>> 0.0 < latency(nn.Linear(3, 2), (torch.ones(5, 3),)) < 1.0
        True
    """
    integer_at_least("warmup", warmup, 0)
    integer_at_least("repeats", repeats, 1)
    call = Inputs.of(inputs)
    tensors = (*child.parameters(), *tensors_in([call, call.named]))
    device = next((t.device for t in tensors), torch.device("cpu"))
    times = []
    with evaluating(child), torch.inference_mode():
        for _ in range(warmup + repeats):
            _wait_for(device)
            start = time.perf_counter()
            call.call(child)
            _wait_for(device)
            times.append(time.perf_counter() - start)
    return median(times[warmup:])


def _wait_for(device: torch.device) -> None:
    """Wait until a device that works on its own has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
