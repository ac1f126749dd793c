"""What a step of our search costs on a GPU, over the same work of the children. Ten minutes at most.

python -m benchmarks.step.gpu

This script needs an NVIDIA GPU, which no other figures need; without one it says so and exits with 2. In each
space of `step.py`, in float32 and under autocast to bfloat16, it takes steps of our search and of the
previously extracted children in turns. Our batches come from the loader in pinned memory. With compiled
operations, and with those as CUDA graphs, it takes our steps alone. Torch's debug mode counts how often the
host waits for the GPU. Failures are recorded, and the rest continues.
"""

import argparse
import json
import random
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from asng.nn import compile_operations
from benchmarks.measuring import spread
from benchmarks.record import write
from benchmarks.step.counting import LimitOnDevice, OnDevice
from benchmarks.step.ours import Ours
from benchmarks.step.spaces import SPACES

MINUTES = 9.0
"""Seconds after which no further row is started."""
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "autocast": {"precision": "bfloat16"},
    "compiled": {"mode": None},
    "graphs": {"mode": "reduce-overhead"},
}


def paired(setting: OnDevice, repeats: int) -> dict[str, Any]:
    """Return the milliseconds of a step of both sides, and their ratio within repeats."""
    sides = {"ours": Ours(setting), "limit": LimitOnDevice(setting)}
    draw = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for index in range(repeats + 1):
        drawn = setting.draw(sides["ours"].supernet.space, draw)
        for name in draw.sample(list(sides), 2):
            if name == "ours":
                taken = seconds(sides[name], drawn, setting)  # once without timing, for one-time setup
            taken = seconds(sides[name], drawn, setting)
            if index:
                times[name].append(1e3 * taken)
    return {
        "ms": {name: spread(some) for name, some in times.items()},
        "ratio": spread([mine / other for mine, other in zip(*times.values(), strict=True)]),
        "asked": asked(lambda: sides["ours"].step(), sides["ours"], setting),
    }


def alone(setting: OnDevice, repeats: int, mode: str | None) -> dict[str, Any]:
    """Return the milliseconds of our step with compiled operations, and the time of compiling."""
    ours, draw = Ours(setting), random.Random(0)
    operations = compile_operations(ours.supernet, mode=mode)
    times, first = [], 0.0
    for _ in range(repeats + 1):
        drawn = setting.draw(ours.supernet.space, draw)
        first += seconds(ours, drawn, setting) * setting.steps
        times.append(1e3 * seconds(ours, drawn, setting))
    return {"operations": operations, "first_passes_s": round(first, 2), "ms": {"ours": spread(times[1:])}}


def seconds(side: Any, drawn: Any, setting: OnDevice) -> float:
    """Return the seconds of a step."""
    side.ready(drawn)
    synchronize(setting.device)
    start = time.perf_counter()
    for _ in range(setting.steps):
        side.step()
    synchronize(setting.device)
    return (time.perf_counter() - start) / setting.steps


def synchronize(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def asked(step: Callable[[], Any], ours: Ours, setting: OnDevice) -> int:
    """Return how often the host waits for the GPU in a step, by torch's warnings."""
    ours.ready(setting.draw(ours.supernet.space, random.Random(1)))
    on_gpu = setting.device.type == "cuda"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if on_gpu:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            if on_gpu:
                torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in said)


def measured(device: torch.device, repeats: int, spaces: list[str]) -> dict[str, Any]:
    """Return all rows for which there is time, or the reason why a row is missing."""
    rows: dict[str, Any] = {}
    start = time.perf_counter()
    for name in spaces:
        for way, options in WAYS.items():
            if time.perf_counter() - start > 60 * MINUTES:
                rows.setdefault(name, {})[way] = {"left_out": "the time was over"}
                continue
            named = {"precision": options["precision"]} if "precision" in options else {}
            base = SPACES[name]
            setting = OnDevice.of(base, device=device, settings={**base.settings, **named})
            try:
                row = (
                    alone(setting, repeats, options["mode"])
                    if "mode" in options
                    else paired(setting, repeats)
                )
            except Exception as error:  # on an unknown machine, the other rows are still wanted
                row = {"failed": f"{type(error).__name__}: {error}"[:400]}
            rows.setdefault(name, {})[way] = row
            print(name, way, json.dumps(row), flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="2 or more (default: 9)")
    parser.add_argument("--spaces", nargs="+", default=list(SPACES), choices=list(SPACES))
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print(
            "gpu: expected a GPU that torch can use, got none. Run it on a machine with one.", file=sys.stderr
        )
        return 2
    device = torch.device("cuda", torch.cuda.current_device())
    figures = {
        "gpu": torch.cuda.get_device_name(device),
        "cuda": torch.version.cuda,
        "repeats": arguments.repeats,
        "spaces": measured(device, arguments.repeats, arguments.spaces),
    }
    print(write("gpu", figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
