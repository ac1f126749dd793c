"""Where a network computes, and in which memory format."""

from itertools import chain

import torch
from torch import nn

from asng.distributed import own_device
from asng.errors import InputError

__all__ = ["device_of", "place"]


def device_of(name: str) -> torch.device:
    """Return the device of that name; "auto" is an accelerator where there is one, each process its own.

    Raises:
        InputError: There is no such device.
    """
    if name == "auto":
        return own_device()
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device: expected auto, cpu or a device that is here, got {name!r}: {reason}"
        ) from None


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a model to a device, its images channels last, which is faster there.

    Example:
        >>> conv = place(nn.Conv2d(3, 4, 5), torch.device("cpu"))
        >>> conv.weight.is_contiguous(memory_format=torch.channels_last)
        True
    """
    # The format is one of four dimensions, and torch refuses it where a weight has five.
    if any(tensor.ndim == 5 for tensor in chain(model.parameters(), model.buffers())):
        return model.to(device)
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
