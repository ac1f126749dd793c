"""Other ways to take a step of a search: threads, layout, precision, inference mode, foreach, compiling.

OMP_NUM_THREADS=2 python -m benchmarks.step.step_ways

Each way changes one thing of the step that `step.py` measures: one thread, channels-last images, float32,
scored without gradients. A repeat gives all ways the same architectures, in a random order; figures are
ratios to the first way within repeats, by the wall clock. A second run of the first ("again") shows the
noise. torch's fused SGD is not included: it fails if some weights have momentum and others are new.

Compiling is measured on a single operation of the cells. A search has hundreds of them, in two modes and at
several sizes, and torch compiles each by itself.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from asng.supernets import EnasCellNetwork
from benchmarks.measuring import spread
from benchmarks.record import write
from benchmarks.step.ours import Ours
from benchmarks.step.spaces import SPACES, Setting

FIRST, AGAIN = "as it is", "again"
OPERATION = "sep_conv_3x3"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Make torch compute on this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Way:
    """How a step is taken.

    Attributes:
        change: Changes the setting.
        prepare: Changes the objects made from it.
        around: The context in which a turn runs.
    """

    change: Callable[[Setting], Setting] = lambda setting: setting
    prepare: Callable[[Ours], Any] = lambda ours: None
    around: Callable[[], Any] = nullcontext


def _optimised(setting: Setting, **words: Any) -> Setting:
    make = partial(setting.settings["optimizer"], **words)
    return replace(setting, settings={**setting.settings, "optimizer": make})


def _default_layout(ours: Ours) -> None:
    ours.supernet.to(memory_format=torch.contiguous_format)


def _lowered(ours: Ours) -> None:
    loss = ours.loop.trainer.loss

    def lowered(forward: Any, batch: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return loss(forward, batch)

    ours.loop.trainer.loss = ours.loop.scorer.objective = lowered  # by which these spaces select too


def _inferring(ours: Ours) -> None:
    ours.loop.move_theta = torch.inference_mode()(ours.loop.move_theta)  # type: ignore[method-assign]


WAYS: Mapping[str, Way] = {
    FIRST: Way(),
    AGAIN: Way(),
    "two threads": Way(around=partial(threads, 2)),
    "default layout": Way(prepare=_default_layout),
    "bfloat16": Way(prepare=_lowered),
    "scored in inference mode": Way(prepare=_inferring),
    "SGD foreach": Way(partial(_optimised, foreach=True)),
}


def compare(setting: Setting, ways: Mapping[str, Way], repeats: int) -> dict[str, Any]:
    """Return the milliseconds of a step of the first way, and the ratio of each other way to it."""
    sides = {}
    for name, way in ways.items():
        sides[name] = Ours(way.change(setting))
        way.prepare(sides[name])
    draw, times = random.Random(0), {name: list[float]() for name in ways}
    for repeat in range(repeats + 1):
        drawn = setting.draw(sides[FIRST].supernet.space, draw)
        for name in draw.sample(list(ways), len(ways)):
            with ways[name].around():
                sides[name].ready(drawn)
                start = time.perf_counter()
                for _ in range(setting.steps):
                    sides[name].step()
                if repeat:  # the first turn includes one-time setup of torch
                    times[name].append(time.perf_counter() - start)
    row = {FIRST: {"ms": spread([1e3 * taken / setting.steps for taken in times[FIRST]])}}
    for name in list(ways)[1:]:
        row[name] = spread([a / b for a, b in zip(times[name], times[FIRST], strict=True)])
    return row


def compiled(repeats: int, *, batch: int = 64, channels: int = 16, side: int = 32) -> dict[str, Any]:
    """Return the time to compile one operation of the cells, and the time ratio of forward plus backward."""
    torch.manual_seed(0)
    net = EnasCellNetwork(in_channels=3, classes=10, image_size=side, cells=1, nodes=1, channels=channels)
    operation = next(module for name, module in net.named_modules() if name.endswith(OPERATION))
    operation.to(memory_format=torch.channels_last)
    x = torch.randn(batch, channels, side, side).to(memory_format=torch.channels_last).requires_grad_()
    sides = {"eager": operation, "compiled": torch.compile(operation)}

    def taken(name: str) -> float:
        start = time.perf_counter()
        sides[name](x).sum().backward()
        return time.perf_counter() - start

    seconds = {name: taken(name) for name in sides}
    pairs = [[taken(name) for name in sides] for _ in range(10 * repeats)]
    return {
        "first_pass_seconds": {name: round(value, 3) for name, value in seconds.items()},
        "eager_ms": spread([1e3 * eager for eager, _ in pairs]),
        "ratio": spread([other / eager for eager, other in pairs]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="2 or more (default: 7)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for name, setting in SPACES.items():
        rows[name] = compare(setting, WAYS, arguments.repeats)
        print(name, json.dumps(rows[name]), flush=True)
    operation = compiled(arguments.repeats)
    print("compiled", json.dumps(operation))
    print(
        write("step_ways", {"repeats": arguments.repeats, "spaces": rows, f"{OPERATION}_compiled": operation})
    )


if __name__ == "__main__":
    main()
