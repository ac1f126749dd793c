"""What a run needs before it begins; whatever is wrong with it shows here, with nothing on the disk yet."""

import random
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader

from asng.distributed import own_device
from asng.errors import InputError
from asng.nn import Supernet
from asng.pipeline.settings import SearchSettings
from asng.pipeline.task import Loaders, Task
from asng.training import Objective
from asng.training.data.nested import to_device
from asng.training.data.random_state import seeded
from asng.training.modes import cuda_devices, kept_modes
from asng.training.objective import as_number

__all__ = ["Prepared", "prepare", "device_of", "place"]


@dataclass(frozen=True)
class Prepared:
    """The data of a run, and its supernet on its device."""

    loaders: Loaders
    supernet: Supernet


def prepare(task: Task, settings: SearchSettings, seed: int) -> Prepared:
    """Make the data and the supernet, and try the loss and the score once on a batch of each half.

    Raises:
        InputError: The data, the model, the loss or the device are not what they must be.
        SpaceError: Nothing in the model is searchable.
    """
    device = device_of(settings.device)
    loaders = task.loaders(seed)
    with seeded(seed):
        supernet = Supernet(task.build())
    _check_weights(supernet)
    place(supernet, device)
    _try(supernet, "loss", task.loss, loaders.search_train, device)
    _try(supernet, task.metric, task.score, loaders.search_valid, device)
    return Prepared(loaders, supernet)


def _check_weights(supernet: Supernet) -> None:
    weights = dict(supernet.model.named_parameters())
    if not weights:
        raise InputError(f"model: expected weights to train, got none in {type(supernet.model).__name__}.")
    for name, weight in weights.items():
        if is_lazy(weight):
            raise InputError(
                f"model: expected layers of known sizes, got the lazy weight {name!r}. Give its layer the"
                " size of its input."
            )


@torch.no_grad()
def _try(
    supernet: Supernet, name: str, objective: Objective, loader: DataLoader[Any], device: torch.device
) -> None:
    architecture = supernet.space.sample(random.Random(0))

    def forward(*inputs: Any, **named: Any) -> Any:
        return supernet(*inputs, architecture=architecture, **named)

    with kept_modes(supernet), torch.random.fork_rng(devices=cuda_devices()):
        supernet.eval()
        for batch in loader:
            as_number(objective(forward, to_device(batch, device)), name, objective)
            break


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
