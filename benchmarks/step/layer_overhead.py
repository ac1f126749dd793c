"""Extra cost of a searchable layer over torch's: forward and backward at 64 channels, batch 64, one thread.

python -m benchmarks.step.layer_overhead

Two twins are compared with torch's layer of 64 channels: "whole" has 64, with its variable at its largest,
and "cut" has 128, of which 64 inputs and outputs are used. A repeat times torch's layer, a second one of
torch ("control", which shows the noise) and the twins, in random order; figures are ratios within repeats.
Times are CPU times rather than the wall clock, so that other processes matter less.
"""

import argparse
import gc
import os
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from asng import nn as snn
from asng.space import Integer
from benchmarks.record import write

BATCH, WIDTH, TOKENS = 64, 64, 1_000
LIMIT = 1.03
SAMPLE_SECONDS = 1e-3
"""Least time of one measurement, in which short layers run several times."""

Make = Callable[[int], nn.Module]


def variable(most: int) -> Integer:
    return Integer(WIDTH // 2, most, label=f"width{most}")


def _maps(side: int) -> tuple[Tensor, ...]:
    return (torch.randn(BATCH, WIDTH, side, side),)


def _sequence(length: int) -> tuple[Tensor, ...]:
    return (torch.randn(BATCH, length, WIDTH),)


def _encoder(most: int) -> nn.Module:
    hidden = Integer(WIDTH, 4 * most, label=f"hidden{most}")
    return snn.TransformerEncoderLayer(most, 4, hidden, dropout=0.0, batch_first=True)


LAYERS: dict[str, tuple[Make, Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "Conv2d 3x3 on 32x32": (
        lambda most: snn.Conv2d(most, variable(most), 3, padding=1),
        lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        _maps(32),
    ),
    "Conv2d 3x3 on 16x16": (
        lambda most: snn.Conv2d(most, variable(most), 3, padding=1),
        lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        _maps(16),
    ),
    "Conv2d 3x3 depthwise on 16x16": (
        lambda most: snn.Conv2d(variable(most), variable(most), 3, padding=1, groups=variable(most)),
        lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH),
        _maps(16),
    ),
    "Conv2d 1x1 on 16x16": (
        lambda most: snn.Conv2d(most, variable(most), 1),
        lambda: nn.Conv2d(WIDTH, WIDTH, 1),
        _maps(16),
    ),
    "Conv1d 3 on 128": (
        lambda most: snn.Conv1d(most, variable(most), 3, padding=1),
        lambda: nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
        (torch.randn(BATCH, WIDTH, 128),),
    ),
    "Linear on (64, 64)": (
        lambda most: snn.Linear(most, variable(most)),
        lambda: nn.Linear(WIDTH, WIDTH),
        (torch.randn(BATCH, WIDTH),),
    ),
    "Linear on (64, 32, 64)": (
        lambda most: snn.Linear(most, variable(most)),
        lambda: nn.Linear(WIDTH, WIDTH),
        _sequence(32),
    ),
    "BatchNorm2d on 16x16": (
        snn.BatchNorm2d,
        lambda: nn.BatchNorm2d(WIDTH, track_running_stats=False),
        _maps(16),
    ),
    "LayerNorm on (64, 32, 64)": (snn.LayerNorm, lambda: nn.LayerNorm(WIDTH), _sequence(32)),
    "MultiheadAttention on 32 tokens": (
        lambda most: snn.MultiheadAttention(most, 4, batch_first=True),
        lambda: nn.MultiheadAttention(WIDTH, 4, batch_first=True),
        _sequence(32) * 3,
    ),
    "TransformerEncoderLayer on 32 tokens": (
        _encoder,
        lambda: nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True),
        _sequence(32),
    ),
    "Embedding of (64, 32) tokens": (
        lambda most: snn.Embedding(TOKENS, variable(most)),
        lambda: nn.Embedding(TOKENS, WIDTH),
        (torch.randint(0, TOKENS, (BATCH, 32)),),
    ),
}


def trainer(layer: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], None]:
    """Return a function that runs forward and backward, to the inputs too, as in the middle of a network."""
    inputs = tuple(x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs)
    leaves = [*layer.parameters(), *(x for x in inputs if x.requires_grad)]
    first = layer(*inputs)
    gradient = torch.ones_like(first[0] if isinstance(first, tuple) else first)

    def train() -> None:
        for leaf in leaves:
            leaf.grad = None
        y: Any = layer(*inputs)
        torch.autograd.backward(y[0] if isinstance(y, tuple) else y, gradient)

    return train


def seconds(train: Callable[[], None], runs: int) -> float:
    train()  # so that the caches left by the previous layer do not matter
    start = time.process_time()
    for _ in range(runs):
        train()
    return (time.process_time() - start) / runs


def compare(trainers: dict[str, Callable[[], None]], budget: float) -> dict[str, list[float]]:
    """Return the seconds of each trainer, repeat by repeat."""
    once = min(seconds(trainers["torch"], 3) for _ in range(5))
    runs = max(1, round(SAMPLE_SECONDS / once))
    names, times, shuffle = list(trainers), {name: [] for name in trainers}, random.Random(0).shuffle
    end = time.perf_counter() + budget
    gc.disable()
    while time.perf_counter() < end or len(times["torch"]) < 15:
        for name in names:
            times[name].append(seconds(trainers[name], runs))
        shuffle(names)
    gc.enable()
    return times


class Inside(nn.Module):
    """Runs layers under an architecture, so that times do not include the supernet's own pass."""

    def __init__(self, layers: dict[str, nn.Module], run: Callable[[], Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self.run = run

    def forward(self) -> Any:
        return self.run()


def ratios(times: dict[str, list[float]], name: str) -> dict[str, float]:
    lower, median, upper = statistics.quantiles(
        [t / base for t, base in zip(times[name], times["torch"], strict=True)], n=4
    )
    return {"lower": round(lower, 4), "median": round(median, 4), "upper": round(upper, 4)}


def measure(name: str, budget: float) -> dict[str, Any]:
    make, make_plain, inputs = LAYERS[name]
    layers = {"torch": make_plain(), "control": make_plain(), "whole": make(WIDTH), "cut": make(2 * WIDTH)}
    inner = Inside(
        layers, lambda: compare({k: trainer(layer, inputs) for k, layer in layers.items()}, budget)
    )
    supernet = snn.Supernet(inner)
    times = supernet(architecture={name: 4 * WIDTH if "hidden" in name else WIDTH for name in supernet.space})
    base = 1e6 * statistics.median(times["torch"])
    row: dict[str, Any] = {"layer": name, "repeats": len(times["torch"]), "torch_us": round(base, 1)}
    for key in ("control", "whole", "cut"):
        extra = [t - u for t, u in zip(times[key], times["torch"], strict=True)]
        row[key] = {**ratios(times, key), "extra_us": round(1e6 * statistics.median(extra), 1)}
    row["whole_within_limit"] = row["whole"]["median"] <= LIMIT
    row["cut_within_limit"] = row["cut"]["median"] <= LIMIT
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="for each layer")
    parser.add_argument("--only", default="", help="layers whose name holds this; nothing is written then")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    loads, rows = [os.getloadavg()[0]], []
    for name in LAYERS:
        if arguments.only not in name:
            continue
        rows.append(measure(name, arguments.seconds))
        loads.append(os.getloadavg()[0])
        print(_line(rows[-1]), flush=True)
    figures = {"limit": LIMIT, "seconds_a_layer": arguments.seconds, "load": [round(x, 1) for x in loads]}
    if not arguments.only:
        print(write("layer_overhead", {**figures, "rows": rows}))


def _line(row: dict[str, Any]) -> str:
    words = [
        f"{key} {row[key]['median']:.3f} [{row[key]['lower']:.3f}, {row[key]['upper']:.3f}] "
        f"{row[key]['extra_us']:+.1f} us"
        for key in ("control", "whole", "cut")
    ]
    return f"{row['layer']:36} {row['torch_us']:9.1f} us  " + "  ".join(words)


if __name__ == "__main__":
    main()
