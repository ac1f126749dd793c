"""Counted costs: parameters, bytes and multiply-adds; and the names of all measures.

A measure is a function `(child, inputs) -> float`: `child` is a plain network, `inputs` the tuple of its
positional inputs. If some are given by name only, `inputs` is an `asng.nn.Inputs`, a tuple that has these as
`named`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from asng.checks import one_of
from asng.costs.activations import activation_memory
from asng.costs.timing import latency, onnx_latency
from asng.errors import InputError
from asng.nn import Inputs
from asng.training.data.nested import tensors_in
from asng.training.modes import evaluating

__all__ = [
    "MEASURES",
    "Measure",
    "is_timed",
    "measure_of",
    "multiply_adds",
    "multiply_adds_of",
    "name_of",
    "needs_numbers",
    "parameters",
    "stored_bytes",
]

Measure: TypeAlias = Callable[[nn.Module, tuple[Any, ...]], float]
"""A cost of a child on inputs."""


def parameters(child: nn.Module, inputs: tuple[Any, ...] = ()) -> float:
    """Return the number of weights of a network, shared ones counted once and buffers not at all.

    Example:
        >>> parameters(nn.Linear(3, 2))
        8.0
    """
    return float(sum(parameter.numel() for parameter in child.parameters()))


def stored_bytes(child: nn.Module, inputs: tuple[Any, ...] = ()) -> float:
    """Return the size of a network's `state_dict` tensors in bytes, shared ones counted once.

    These are weights and buffers, each in its own dtype. The overhead of a file format is not counted.

    Example:
        >>> stored_bytes(nn.Linear(3, 2)), stored_bytes(nn.Linear(3, 2).bfloat16())
        (32.0, 16.0)
    """
    tensors = {id(tensor): tensor for tensor in tensors_in(child.state_dict(keep_vars=True))}
    return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()))


def multiply_adds(child: nn.Module, inputs: tuple[Any, ...]) -> float:
    """Return the multiply-adds of one forward pass in eval mode: half of the FLOPs of torch's counter.

    Matrix products, convolutions and attention count, also inside recurrent layers. Elementwise functions,
    biases, normalisation, pooling, softmax and look-ups count nothing. Nor do operations that torch's counter
    does not know, such as custom kernels.

    Args:
        child: A network, on any device; on "meta" nothing is computed.
        inputs: Its inputs, on the same device: a tuple, or `asng.nn.Inputs`. The count is for the whole batch
            that they hold.

    Example:
        >>> multiply_adds(nn.Linear(3, 2), (torch.ones(5, 3),))
        30.0
    """
    with evaluating(child):
        return multiply_adds_of(lambda: Inputs.of(inputs).call(child))


def multiply_adds_of(run: Callable[[], Any]) -> float:
    """Return the multiply-adds of everything that `run` computes, counted as in `multiply_adds`."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _AsOne()  # type: ignore[assignment]
    with _countable(), counter:
        run()
    return counter.get_total_flops() / 2


class _AsOne:
    """Makes torch's counter treat all modules as one.

    Its own module tracker fails without gradients if one module passes a weight to another.
    """

    parents = frozenset({"Global"})

    def __enter__(self) -> None:
        """Begin, without hooks."""

    def __exit__(self, *_: object) -> None:
        """End."""


MEASURES: dict[str, Measure] = {
    "parameters": parameters,
    "multiply_adds": multiply_adds,
    "bytes": stored_bytes,
    "activation_memory": activation_memory,
    "latency": latency,
    "onnx_latency": onnx_latency,
}
"""The built-in measures by name."""

_COUNTED = (parameters, multiply_adds, stored_bytes, activation_memory)
_TIMED = (latency, onnx_latency)


def measure_of(measure: object) -> Measure:
    """Return the measure with a name, or a function as it is.

    Raises:
        InputError: `measure` is neither a known name nor a function.
    """
    if isinstance(measure, str):
        return MEASURES[one_of("measure", measure, MEASURES)]
    if not callable(measure):
        raise InputError(
            f"measure: expected one of {', '.join(MEASURES)}, or a function of (child, inputs), got "
            f"{measure!r}."
        )
    return measure


def name_of(measure: str | Measure) -> str:
    """Return the name of a measure: a built-in name, or the name of its function."""
    if isinstance(measure, str):
        return measure
    function = _function_of(measure)
    known = (name for name, known in MEASURES.items() if known is function)
    return next(known, str(getattr(function, "__name__", type(function).__name__)))


def _function_of(measure: Measure) -> Measure:
    return measure.func if isinstance(measure, partial) else measure


def needs_numbers(measure: Measure) -> bool:
    """Whether a measure needs real weights and inputs; the others count on the meta device."""
    return measure not in _COUNTED


def is_timed(measure: Measure) -> bool:
    """Whether a measure reads a clock, so that its value varies from call to call."""
    return _function_of(measure) in _TIMED


@contextmanager
def _countable() -> Iterator[None]:
    """Disable torch's fused kernels of recurrent and attention layers, which its counter cannot see."""
    backends: tuple[Any, ...] = (torch.backends.mkldnn, torch.backends.cudnn)
    before = [backend.enabled for backend in backends]
    fused_attention = torch.backends.mha.get_fastpath_enabled()
    for backend in backends:
        backend.enabled = False
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused_attention)
        for backend, enabled in zip(backends, before, strict=True):
            backend.enabled = enabled
