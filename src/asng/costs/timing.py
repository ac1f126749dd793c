"""How long a forward pass takes, in torch and as an ONNX program in onnxruntime.

On a machine that does other work too, a wall clock tells twice as much in one second as in the next. The time
that other processes take of the processor is therefore left out if it can be told. A pass that computes in
the thread that called it, and never waited of itself, took the time that its thread had the processor. Each
pass is looked at by itself. Of one that waited (for a GPU, for other threads, for a disk) the wall clock
counts.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import nn

from asng.checks import integer_at_least, real_between
from asng.errors import InputError, RunError, in_one_line
from asng.nn import Inputs
from asng.training.data.nested import tensors_in
from asng.training.export import onnx_runner
from asng.training.modes import evaluating

if sys.platform == "linux":
    import resource

__all__ = ["latency", "onnx_latency"]

_MOST_WARMUP = 10
"""Passes beyond those asked for that are taken at most until the network no longer becomes faster."""
_FASTER = 0.9
"""A pass of less than this share of the fastest one before says that it is not yet warm."""


def latency(
    child: nn.Module,
    inputs: tuple[Any, ...],
    *,
    warmup: int = 3,
    repeats: int = 15,
    seconds: float = 0.02,
) -> float:
    """Return the median time of a forward pass in seconds, in eval mode and under inference mode.

    On Linux it is, as far as can be told, the time of a machine that does nothing else. For a pass that
    computes in one thread, what other processes take of the processor does not count. With several threads,
    on a GPU and elsewhere it is the time by the wall clock.

    Args:
        child: A network, on the device that is asked about.
        inputs: Its inputs, on the same device: a tuple, or `asng.nn.Inputs`.
        warmup: Passes before the first that counts, >= 0, and up to ten more as long as they become faster.
            Default 3.
        repeats: Passes that count, >= 1. Default 15.
        seconds: More passes count until all of them took so long, >= 0, at most 20 times as many. Default
            0.02.

    Example:
        >>> 0.0 < latency(nn.Linear(3, 2), (torch.ones(5, 3),)) < 1.0
        True
    """
    call = Inputs.of(inputs)
    tensors = (*child.parameters(), *tensors_in([call, call.named]))
    device = next((t.device for t in tensors), torch.device("cpu"))

    def run() -> None:
        call.call(child)
        _wait_for(device)

    with evaluating(child), torch.inference_mode():
        return _median_time(
            run,
            partial(_wait_for, device),
            warmup=warmup,
            repeats=repeats,
            seconds=seconds,
        )


def onnx_latency(
    child: nn.Module,
    inputs: tuple[Any, ...],
    *,
    warmup: int = 3,
    repeats: int = 15,
    seconds: float = 0.02,
    threads: int | None = None,
) -> float:
    """Return the median time of a child as an ONNX program in onnxruntime on the processor, in seconds.

    The program is exported anew for every child, which takes seconds, and far longer than it runs. Its sizes
    are those of the inputs. Needs the extra `onnx`.

    Args:
        child: A network.
        inputs: Its inputs: a tuple, or `asng.nn.Inputs`.
        warmup: As in `latency`.
        repeats: As in `latency`.
        seconds: As in `latency`.
        threads: Of onnxruntime, >= 1. Default: as many as torch has, `torch.get_num_threads()`.

    Raises:
        InputError: The packages for it are not installed, or the child cannot be exported or run as ONNX.
    """
    threads = torch.get_num_threads() if threads is None else integer_at_least("threads", threads, 1)
    with tempfile.TemporaryDirectory() as folder:
        try:
            run = onnx_runner(Path(folder) / "child.onnx", child, inputs, threads=threads)
            return _median_time(run, lambda: None, warmup=warmup, repeats=repeats, seconds=seconds)
        except RunError as error:
            words = in_one_line(error, 300)
            raise InputError(
                f"onnx_latency: expected a network that runs as ONNX, got one that does not: {words}. "
                "Measure 'latency' instead."
            ) from error


class _Reading(NamedTuple):
    """What the clocks show: wall, processor time of this thread, and how often the thread waited."""

    wall: float
    own: float
    waits: int


def _read() -> _Reading:
    if sys.platform != "linux":
        return _Reading(time.perf_counter(), 0.0, -1)
    waits = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    return _Reading(time.perf_counter(), time.thread_time(), waits)


def _between(start: _Reading, end: _Reading) -> float:
    """Return what a pass took: by the processor's clock if the thread never waited of itself."""
    wall = end.wall - start.wall
    return end.own - start.own if end.waits == start.waits >= 0 else wall


def _median_time(
    run: Callable[[], object],
    settle: Callable[[], object],
    *,
    warmup: int,
    repeats: int,
    seconds: float,
) -> float:
    """Return the median time of what `run` does; `settle` is called before each, and takes no time."""
    integer_at_least("warmup", warmup, 0)
    integer_at_least("repeats", repeats, 1)
    real_between("seconds", seconds, 0.0, 3600.0)

    def time_of_one() -> float:
        settle()
        start = _read()
        run()
        return _between(start, _read())

    before = [time_of_one() for _ in range(warmup)]
    for _ in range(_MOST_WARMUP if len(before) > 1 else 0):
        if before[-1] >= _FASTER * min(before[:-1]):
            break
        before.append(time_of_one())
    times = [time_of_one() for _ in range(repeats)]
    while sum(times) < seconds and len(times) < 20 * repeats:
        times.append(time_of_one())
    return median(times)


def _wait_for(device: torch.device) -> None:
    """Wait until a device that works on its own has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
