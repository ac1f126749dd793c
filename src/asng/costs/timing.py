"""Time a forward pass, in torch and as an ONNX program in onnxruntime.

On a machine with other work, wall-clock times can differ by a factor of two from one second to the next. Time
that other processes take from the processor is therefore left out if it can be determined. If a pass computes
in the calling thread and never waits voluntarily, its time is the processor time of that thread. This is
decided for each pass separately. If a pass waited (for a GPU, for other threads, for a disk), the wall clock
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
"""Most extra warm-up passes, taken until the network no longer becomes faster."""
_FASTER = 0.9
"""A pass that takes less than this share of the fastest one before shows that warm-up is not over."""


def latency(
    child: nn.Module,
    inputs: tuple[Any, ...],
    *,
    warmup: int = 3,
    repeats: int = 15,
    seconds: float = 0.02,
) -> float:
    """Return the median time of a forward pass in seconds, in eval mode and under inference mode.

    On Linux it is, as far as possible, the time on an otherwise idle machine: if a pass computes in one
    thread, the processor time of other processes does not count. With several threads, on a GPU and on other
    systems it is wall-clock time.

    Args:
        child: A network, on the device to measure.
        inputs: Its inputs, on the same device: a tuple, or `asng.nn.Inputs`.
        warmup: Passes before the first that counts, >= 0. From 2 on, up to ten more follow as long as they
            become faster. Default 3.
        repeats: Passes that count, >= 1. Default 15.
        seconds: More passes are counted until all together took this long, >= 0, at most 20 times `repeats`.
            Default 0.02.

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
    """Return the median time of a child as an ONNX program in onnxruntime on the CPU, in seconds.

    Each child is exported to its own program, which takes seconds, far longer than running it. The program
    has the fixed sizes of the inputs. Needs the extra `onnx`.

    Args:
        child: A network.
        inputs: Its inputs: a tuple, or `asng.nn.Inputs`.
        warmup: As in `latency`.
        repeats: As in `latency`.
        seconds: As in `latency`.
        threads: Number of threads of onnxruntime, >= 1. Default: that of torch, `torch.get_num_threads()`.

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
    """A reading of the clocks: wall time, this thread's processor time, and its number of voluntary waits."""

    wall: float
    own: float
    waits: int


def _read() -> _Reading:
    if sys.platform != "linux":
        return _Reading(time.perf_counter(), 0.0, -1)
    waits = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    return _Reading(time.perf_counter(), time.thread_time(), waits)


def _between(start: _Reading, end: _Reading) -> float:
    """Return a pass's duration: processor time if the thread never waited voluntarily, else wall time."""
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
    """Return the median time of `run`; `settle` is called before each run and is not timed."""
    warmup = integer_at_least("warmup", warmup, 0)
    repeats = integer_at_least("repeats", repeats, 1)
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
    """Wait until an asynchronous device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
