"""Prepare the data and the supernet of a run, so that errors show before anything is written to disk."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from asng.distributed import own_device
from asng.errors import AsngError, InputError, in_one_line, located
from asng.nn import Searchable, Supernet
from asng.pipeline.task import Loaders, Task
from asng.settings import SearchSettings
from asng.training import Objective
from asng.training.data.nested import to_device
from asng.training.data.random_state import seeded, staged
from asng.training.data.stream import BatchStream
from asng.training.forward import ArchitectureForward
from asng.training.inputs import make_whole
from asng.training.modes import left_alone
from asng.training.objective import as_number

__all__ = ["Prepared", "prepare", "device_of", "first_of", "make_baseline", "place"]


@dataclass(frozen=True)
class Prepared:
    """The data of a run, and its supernet on its device."""

    loaders: Loaders
    supernet: Supernet


def prepare(task: Task, settings: SearchSettings, seed: int) -> Prepared:
    """Make the data and the supernet, and try the loss and the score on one batch each.

    The loss is tried on a training batch of the search, the score on a validation batch. A baseline is made
    and tried as well, so that it does not fail after hours of search.

    Raises:
        InputError: The data, the model, the baseline, the loss or the device are invalid.
        SpaceError: Nothing in the model is searchable.
    """
    device = device_of(settings.device)
    with staged(seed, "data"):  # a split may draw from the global generators
        loaders = task.loaders(seed)
    with seeded(seed):
        supernet = Supernet(task.build())
        _check_weights("model", supernet.model)
        make_whole(supernet, task.loss, first_of(loaders.search_train))
    place(supernet, device)
    forward = ArchitectureForward(supernet, supernet.space.sample(random.Random(0)))
    baseline = None
    if task.baseline is not None:
        with seeded(seed):
            baseline = make_baseline(task)
            make_whole(baseline, task.loss, first_of(loaders.search_train))
            place(baseline, device)
    # The loss in training mode; the score in eval mode, as for the networks that are compared at the end.
    tried = [
        ("loss", task.loss, loaders.search_train, True),
        (task.metric, task.score, loaders.search_valid, False),
    ]
    for name, objective, loader, training in tried:
        with staged(seed, "trial"):
            # One batch for both: a baseline must not advance a loader's generator, and so change the search.
            for batch in loader:
                batch = to_device(batch, device)
                _try(supernet, forward, name, objective, batch, training=training)
                if baseline is not None:
                    _try_baseline(baseline, name, objective, batch, training=training)
                break
    return Prepared(loaders, supernet)


def make_baseline(task: Task) -> nn.Module:
    """Return the baseline of a task with fresh weights.

    Raises:
        InputError: The task has no baseline, or its baseline has no weights or contains a searchable layer.
    """
    if task.baseline is None:
        raise InputError(f"baseline: expected a task with one, got {task.name!r} without.")
    model = task.baseline()
    for name, module in model.named_modules():
        if isinstance(module, Searchable):
            raise InputError(
                f"baseline: expected a plain network, got {type(model).__name__} with the searchable "
                f"{type(module).__name__} at {name or 'its top'!r}. Put a layer of torch there."
            )
    _check_weights("baseline", model)
    return model


def _check_weights(what: str, model: nn.Module) -> None:
    if next(model.parameters(), None) is None:
        raise InputError(f"{what}: expected weights to train, got none in {type(model).__name__}.")


def first_of(loader: DataLoader[Any]) -> Callable[[], Any]:
    """Return a function that reads the first batch of a loader and leaves the generators as they are."""
    return lambda: BatchStream(loader, "loader").first()


@torch.no_grad()
def _try(
    model: nn.Module,
    forward: Callable[..., Any],
    name: str,
    objective: Objective,
    batch: Any,
    *,
    training: bool,
) -> None:
    with located(lambda: f"While {name} was tried on a first batch."), left_alone(model):
        model.train(training)
        as_number(objective(forward, batch), name, objective)


def _try_baseline(model: nn.Module, name: str, objective: Objective, batch: Any, *, training: bool) -> None:
    try:
        _try(model, model, name, objective, batch, training=training)
    except AsngError as error:
        raise type(error)(f"baseline: {error}") from error
    except Exception as error:  # whatever the user's network raises
        raise InputError(
            f"baseline: expected a network for the batches that the model takes, got "
            f"{type(error).__name__} from {type(model).__name__}: {in_one_line(error)}."
        ) from error


def device_of(name: str) -> torch.device:
    """Return a device by name; "auto" means the accelerator of this process if there is one, else the CPU.

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
    """Move a model to a device in channels-last memory format, which is faster for images.

    Example:
        >>> conv = place(nn.Conv2d(3, 4, 5), torch.device("cpu"))
        >>> conv.weight.is_contiguous(memory_format=torch.channels_last)
        True
    """
    # channels_last is a format of four dimensions; torch rejects it if a weight has five.
    if any(tensor.ndim == 5 for tensor in chain(model.parameters(), model.buffers())):
        return model.to(device)
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
