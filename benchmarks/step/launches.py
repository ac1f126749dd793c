"""What a GPU would see of a step of our search, over the same work of the children: counted without a GPU.

OMP_NUM_THREADS=1 python -m benchmarks.step.launches

If a launch costs as much as a kernel, a step takes as long as the work of the host. So both sides of
`step.py` run on torch's meta device, where no kernel runs. Three things are counted: operations that launch a
kernel, waits of the host for the device, and copies to it. The children have their batches loaded.

Python's time is that of a pass of the supernet minus that of its child, in microseconds for each searchable
module that the pass runs. The passes have two items and few channels, so that kernels have almost nothing to
do. (Without kernels it cannot be measured, since torch's meta functions are in Python themselves.) It is CPU
time; both sides take turns, and the least of each counts. "both" is forward and backward, with the gradients
of cut weights.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from asng.nn import Searchable
from asng.supernets import ConvAutoencoder, EnasCellNetwork
from benchmarks.measuring import spread
from benchmarks.record import write
from benchmarks.step.counting import Counted, LimitOnDevice, OnDevice, answered, on_meta
from benchmarks.step.limit import Limit
from benchmarks.step.ours import Ours
from benchmarks.step.spaces import SPACES, Setting, images

LAUNCHES, LAYER_US = 1.05, 6.0
"""Targets: launches as a multiple of the children's, and most microseconds for a searchable layer."""
TINY: Mapping[str, Mapping[str, Any]] = {
    "cells": {
        "build": partial(EnasCellNetwork, in_channels=3, classes=10, image_size=8, channels=2),
        "items": partial(images, side=8),
    },
    "autoencoder": {"build": partial(ConvAutoencoder, in_channels=3, image_size=32, channels=(2, 4))},
}
"""Changes to a space that keep its number of modules, with almost no work in them."""
MOST = 10
"""Number of operations that are listed by name."""


def counted(setting: OnDevice, turns: int) -> dict[str, Any]:
    """Return launches, waits and copies of a step on both sides, over the same architectures."""
    sides = {"ours": Ours(setting), "limit": LimitOnDevice(setting)}
    draw, steps = random.Random(0), turns * setting.steps
    counts = {name: Counted() for name in sides}
    for _ in range(turns):
        drawn = setting.draw(sides["ours"].supernet.space, draw)
        for name, side in sides.items():
            with answered():
                side.ready(drawn)
                if name == "ours":  # weights that are trained for the first time have no momentum yet
                    for _ in range(setting.steps):
                        side.step()
                    side.ready(drawn)
            with counts[name]:
                for _ in range(setting.steps):
                    side.step()
    ours, limit = counts["ours"], counts["limit"]
    more = {name: ours.launched[name] - limit.launched[name] for name in ours.launched | limit.launched}
    return {
        "launches": {name: counts[name].launched.total() / steps for name in sides}
        | {"ratio": round(ours.launched.total() / limit.launched.total(), 4)},
        "asked": {name: counts[name].asked / steps for name in sides},
        "sent": {name: counts[name].sent / steps for name in sides},
        "more_launches": {
            name: round(more[name] / steps, 2)
            for name in sorted(more, key=lambda name: -abs(more[name]))[:MOST]
            if more[name]
        },
    }


def layers(setting: Setting, architectures: int, turns: int) -> dict[str, Any]:
    """Return the microseconds that a searchable module adds to a pass, and how many modules a pass runs."""
    supernet, draw = setting.supernet().train(), random.Random(0)
    batch = next(iter(setting.loader(1)))
    rows: dict[str, list[float]] = {"forward_us": [], "both_us": [], "run": []}
    for _ in range(architectures):
        architecture = supernet.space.sample(draw)
        child = supernet.extract(architecture, example=tuple(batch[:-1])).train()
        ours = partial(supernet, architecture=architecture)
        with modules_run(supernet) as called:
            setting.objective(ours, batch)
        took: dict[str, list[float]] = {}
        for _ in range(turns):
            for name, forward in (("ours", ours), ("child", child)):
                start = time.process_time()
                loss = setting.objective(forward, batch)
                there = time.process_time()
                loss.backward()
                took.setdefault(name, []).append(there - start)
                took.setdefault(f"{name} both", []).append(time.process_time() - start)
        least = {name: 1e6 * min(times) / len(called) for name, times in took.items()}
        rows["forward_us"].append(least["ours"] - least["child"])
        rows["both_us"].append(least["ours both"] - least["child both"])
        rows["run"].append(len(called))
    return {name: spread(values) for name, values in rows.items()}


@contextmanager
def modules_run(model: nn.Module) -> Iterator[list[nn.Module]]:
    """Record the searchable modules that run within the block, one for each call."""
    called: list[nn.Module] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, _: called.append(module))
        for module in model.modules()
        if isinstance(module, Searchable)
    ]
    yield called
    for hook in hooks:
        hook.remove()


def step_ms(setting: Setting, repeats: int) -> dict[str, Any]:
    """Return the milliseconds of a step of both sides, measured in turns."""
    sides = {"ours": Ours(setting), "limit": Limit(setting)}
    draw = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for index in range(repeats + 1):
        drawn = setting.draw(sides["ours"].supernet.space, draw)
        for name in draw.sample(list(sides), 2):
            sides[name].ready(drawn)
            start = time.process_time()
            for _ in range(setting.steps):
                sides[name].step()
            if index:
                times[name].append(1e3 * (time.process_time() - start) / setting.steps)
    pairs = list(zip(times["ours"], times["limit"], strict=True))
    return {
        **{name: spread(some) for name, some in times.items()},
        "ratio": spread([mine / other for mine, other in pairs]),
        "more": spread([mine - other for mine, other in pairs]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=8, help="2 or more (default: 8)")
    parser.add_argument(
        "--spaces",
        nargs="+",
        default=list(SPACES),
        choices=list(SPACES),
        help="some only, of which nothing is written",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for name in arguments.spaces:
        with on_meta():
            rows[name] = counted(OnDevice.of(SPACES[name], steps=4), arguments.turns)
        tiny = replace(SPACES[name], batch=2, steps=4, **TINY.get(name, {}))
        rows[name]["layer"] = layers(tiny, architectures=arguments.turns, turns=25)
        rows[name]["step_ms"] = step_ms(tiny, arguments.turns)
        print(name, json.dumps(rows[name]), flush=True)
    if set(rows) == set(SPACES):
        aims = {"launches": LAUNCHES, "layer_us": LAYER_US}
        print(write("launches", {"turns": arguments.turns, "aims": aims, "spaces": rows}))


if __name__ == "__main__":
    main()
