"""Places to measure costs: a supernet and its inputs on a device, or without numbers on the meta device."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn

from asng.costs.measures import Measure, multiply_adds_of
from asng.errors import in_one_line, located
from asng.nn import Inputs, Supernet
from asng.nn.conversion import as_told
from asng.nn.extraction.recording import ByShape
from asng.space import Architecture
from asng.training.batch_norm import give_averages
from asng.training.data.nested import to_device
from asng.training.modes import cuda_devices, evaluating

__all__ = ["Place", "meta_copy", "moved"]

_M = TypeVar("_M", bound=nn.Module)


def meta_copy(model: _M) -> _M:
    """Return a copy with parameters and buffers on the meta device, without copying their numbers.

    A pass of it takes only the time of Python and of torch's bookkeeping, and no memory. Tensors that the
    model shares are shared in the copy too.

    Example:
        >>> meta_copy(nn.Linear(3, 2))(torch.ones(5, 3, device="meta")).shape
        torch.Size([5, 2])
    """
    # The memo of copy.deepcopy holds what is already copied.
    memo: dict[int, Any] = {id(buffer): torch.empty_like(buffer, device="meta") for buffer in model.buffers()}
    for parameter in model.parameters():
        empty = torch.empty_like(parameter, device="meta")
        memo[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
    return copy.deepcopy(model, memo)


class Place(NamedTuple):
    """A supernet and its inputs on one device, for measurements that keep generators and modes unchanged.

    Attributes:
        supernet: The supernet whose children are measured.
        inputs: Inputs of the model.
        device: The device of both.
        also: Further calls, which read variables and reach layers that `inputs` alone do not.
        elsewhere: Another device, to which children are moved before they are measured.
    """

    supernet: Supernet
    inputs: Inputs
    device: torch.device
    also: tuple[Inputs, ...] = ()
    elsewhere: torch.device | None = None

    def reads(self, architecture: Architecture) -> frozenset[str]:
        """Return the names of the variables that a pass under the architecture reads."""
        with self._quietly():
            self._run(architecture)
            return self._active(architecture)

    def size(self, architecture: Architecture) -> tuple[float, frozenset[str]]:
        """Return the multiply-adds of a pass under the architecture, and the variables that it reads."""
        with self._quietly():
            count = multiply_adds_of(lambda: self._run(architecture))
            return count, self._active(architecture)

    def measured(self, architecture: Architecture, measures: Mapping[str, Measure]) -> dict[str, Any]:
        """Return the values of the measures for the child of an architecture."""
        with self._quietly():
            child = give_averages(
                self.supernet.extract(architecture, example=[self.inputs, *self.also])
            ).eval()
            inputs = self.inputs
            if self.elsewhere is not None:
                child, inputs = child.to(self.elsewhere), moved(inputs, self.elsewhere)
            values: dict[str, Any] = {}
            for name, measure in measures.items():
                with located(partial(_measured, name, architecture)):
                    values[name] = measure(child, inputs)
            return values

    def _active(self, architecture: Architecture) -> frozenset[str]:
        """Return the variables that the last pass has read, and those that the further calls read."""
        active = self.supernet.active
        for call in self.also:
            with ByShape(), as_told(self.supernet, call):
                self.supernet(*call, architecture=architecture, **call.named)
            active |= self.supernet.active
        return active

    def _run(self, architecture: Architecture) -> Any:
        with ByShape():
            return self.supernet(*self.inputs, architecture=architecture, **self.inputs.named)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        # On the meta device new tensors must have no numbers either. Elsewhere the context would only slow
        # down timed passes.
        new_tensors = self.device if self.device.type == "meta" else nullcontext()
        with torch.random.fork_rng(devices=cuda_devices()), evaluating(self.supernet), new_tensors:
            yield


def _measured(name: str, architecture: Architecture) -> str:
    return f"While the cost {name!r} of the architecture {in_one_line(dict(architecture))} was measured."


def moved(inputs: tuple[Any, ...], device: torch.device) -> Inputs:
    """Return the inputs moved to a device."""
    call = Inputs.of(inputs)
    named = to_device(dict(call.named), device)
    return Inputs(to_device(tuple(call), device), named, training=call.training)
