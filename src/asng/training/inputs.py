"""What a model is given as inputs, learnt from a loss and a batch."""

import inspect
from typing import Any

import torch
from torch.utils.data import DataLoader

from asng.errors import InputError
from asng.nn import Supernet
from asng.space import Architecture
from asng.training.data.nested import to_device
from asng.training.faults import OutOfMemory
from asng.training.modes import cuda_devices, evaluating
from asng.training.objective import Loss

__all__ = ["example_inputs", "inputs_of"]


def example_inputs(
    supernet: Supernet, architecture: Architecture, loss: Loss, loader: DataLoader[Any]
) -> tuple[Any, ...]:
    """Return the inputs that `loss` gives the network for the loader's first batch, by position.

    Raises:
        InputError: The loss never runs the network, or gives it an input that goes by name only.
    """
    with torch.random.fork_rng(devices=cuda_devices()):
        return inputs_of(supernet, architecture, loss, next(iter(loader)))


def inputs_of(supernet: Supernet, architecture: Architecture, loss: Loss, batch: Any) -> tuple[Any, ...]:
    """Return the inputs that `loss` gives the network for a batch, by position.

    Raises:
        InputError: The loss never runs the network, or gives it an input that goes by name only.
    """
    seen: list[tuple[Any, ...]] = []

    def forward(*inputs: Any, **named: Any) -> Any:
        seen.append(_positional(supernet, inputs, named))
        return supernet(*inputs, architecture=architecture, **named)

    device = next(supernet.parameters()).device
    # An architecture that does not fit into memory has shown its inputs before.
    with evaluating(supernet), torch.random.fork_rng(devices=cuda_devices()), OutOfMemory().noted():
        loss(forward, to_device(batch, device))
    if not seen:
        raise InputError("loss: expected it to call forward once at least, got a loss that never does.")
    return seen[0]


def _positional(supernet: Supernet, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    if not named:
        return inputs
    bound = inspect.signature(supernet.model.forward).bind(*inputs, **named)
    if bound.kwargs:
        raise InputError(
            f"loss: expected inputs of forward that can go by position, got {sorted(bound.kwargs)} by name "
            "only. Let the model take them without the * before them, or call supernet.extract yourself."
        )
    bound.apply_defaults()  # of inputs before a named one
    return bound.args
