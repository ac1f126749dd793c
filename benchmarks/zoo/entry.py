"""One architecture of the zoo: a model of another library, and how it is made searchable."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Entry", "lines_of", "named_batch", "pair_loss", "tensors_of"]


def named_batch(inputs: Any) -> Any:
    """Return the inputs of a batch by name, without its labels."""
    return {name: value for name, value in inputs.items() if name != "labels"}


def model_loss(forward: Any, batch: Any) -> Tensor:
    """Return the loss that a model of transformers computes itself."""
    loss: Tensor = forward(**batch).loss
    return loss


def pair_loss(forward: Any, batch: Any) -> Tensor:
    """Return the squared error of a batch of inputs and a target."""
    *inputs, target = batch
    return nn.functional.mse_loss(forward(*inputs), target)


@dataclass(frozen=True)
class Entry:
    """A model of the zoo.

    Attributes:
        name: Name of the architecture.
        family: The library.
        make: Makes a tiny plain model from its config.
        search: Makes it searchable in place, or returns a searchable model.
        batch: Makes a batch of a given number of items.
        loss: Function of (forward, batch).
        inputs: The inputs of the model in a batch, a mapping by name or a tuple.
        write: Writes an architecture into the config; None if no config can express it.
        reason: Why no config can.
    """

    name: str
    family: str
    make: Callable[[], nn.Module]
    search: Callable[[Any], nn.Module | None]
    batch: Callable[[int], Any]
    loss: Callable[[Any, Any], Tensor] = model_loss
    inputs: Callable[[Any], Any] = named_batch
    write: Callable[[Any, Mapping[str, Any]], None] | None = None
    reason: str = ""


def lines_of(search: Callable[..., Any]) -> int:
    """Return how many lines it takes to make a model searchable: those of a function without its first."""
    source = inspect.getsource(search).splitlines()
    first = next(number for number, line in enumerate(source) if line.rstrip().endswith(":"))
    body = [line.strip() for line in source[first + 1 :]]
    return sum(bool(line) and not line.startswith(("#", '"""')) for line in body)


def tensors_of(output: Any) -> list[Tensor]:
    """Return all tensors in what a model returns."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        return [tensor for part in output.values() for tensor in tensors_of(part)]
    if isinstance(output, (tuple, list)):
        return [tensor for part in output for tensor in tensors_of(part)]
    return []


def tokens(n: int, length: int = 7, vocabulary: int = 99) -> Tensor:
    """Return random tokens, none of which is special."""
    return torch.randint(5, vocabulary, (n, length))
