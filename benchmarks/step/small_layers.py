"""What short searchable layers cost: six `Linear` of 64 in a row, whole and cut to 40, batch 64, one thread.

OMP_NUM_THREADS=1 python -m benchmarks.step.small_layers

"ours" is the supernet's pass, and "child" that of the plain network of the same sizes. "slices" are the same
functions of torch over `weight[:out, :width]`, which are views, and "copies" over copied parts, as ours are.
Times are CPU microseconds for a pass, as lower deciles of turns in random order, which other work on the
machine changes least. "python" is the time of a searchable layer besides torch's call and the cuts: (ours -
copies) / 6, including the supernet's own call.

The second part shows what views would change: the share of random sizes for which `linear` over a view gives
the same bits as over a copy of it, and the largest difference relative to the largest output.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from asng import nn as snn
from asng.space import Integer
from benchmarks.record import write

LAYERS, MOST, BATCH, RUNS = 6, 64, 64, 20
SHAPES = 2_000


def network() -> snn.Supernet:
    return snn.Supernet(
        nn.Sequential(*(snn.Linear(MOST, Integer(8, MOST, label=f"width{i}")) for i in range(LAYERS)))
    )


def ways(supernet: snn.Supernet, width: int, x: Tensor) -> dict[str, tuple[Callable[[], Tensor], nn.Module]]:
    """Return the ways to run the layers, each with the module whose weights it uses."""
    space = supernet.space
    architecture = space.decode(space.encode(dict.fromkeys(space, width)))
    child = supernet.extract(architecture, example=x)
    layers: Any = supernet.model

    def slices() -> Tensor:
        y = x
        for layer in layers:
            y = functional.linear(y, layer.weight[:width, : y.shape[-1]], layer.bias[:width])
        return y

    def copies() -> Tensor:
        y = x
        for layer in layers:
            weight, bias = layer.weight, layer.bias
            if (width, y.shape[-1]) != weight.shape:
                weight = torch.constant_pad_nd(weight, (0, y.shape[-1] - MOST, 0, width - MOST))
                recorded = torch.is_grad_enabled()
                bias = torch.constant_pad_nd(bias, (0, width - MOST)) if recorded else bias[:width]
            y = functional.linear(y, weight, bias)
        return y

    return {
        "ours": (lambda: supernet(x, architecture=architecture), supernet),
        "child": (lambda: child(x), child),
        "slices": (slices, supernet),
        "copies": (copies, supernet),
    }


def scored(run: Callable[[], Tensor], _: nn.Module) -> Callable[[], Any]:
    return torch.no_grad()(run)


def trained(run: Callable[[], Tensor], module: nn.Module) -> Callable[[], Any]:
    weights = list(module.parameters())

    def step() -> None:
        for weight in weights:
            weight.grad = None
        run().sum().backward()

    return step


def microseconds(runs: dict[str, Callable[[], Any]], turns: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in runs}
    names, shuffle = list(runs), random.Random(0).shuffle
    for _ in range(turns):
        shuffle(names)
        for name in names:
            runs[name]()
            start = time.process_time()
            for _ in range(RUNS):
                runs[name]()
            times[name].append(1e6 * (time.process_time() - start) / RUNS)
    return {name: round(statistics.quantiles(some, n=10)[0], 1) for name, some in times.items()}


def same_bits(shapes: int) -> dict[str, float]:
    """Return how often a view gives the same as a copy, without gradients."""
    draw, same, most = random.Random(0), 0, 0.0
    weight = torch.randn(128, 128)
    with torch.no_grad():
        for _ in range(shapes):
            out, width, batch = draw.randint(8, 127), draw.randint(8, 127), draw.choice([1, 16, 64, 100])
            part, x = weight[:out, :width], torch.randn(batch, width)
            one, other = functional.linear(x, part), functional.linear(x, part.contiguous())
            same += torch.equal(one, other)
            most = max(most, ((one - other).abs().max() / other.abs().max()).item())
    return {"shapes": shapes, "same": round(same / shapes, 4), "largest_difference": most}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=200, help="default: 200")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    supernet, x, rows = network(), torch.randn(BATCH, MOST), []
    for width in (40, MOST):
        given = ways(supernet, width, x)
        for mode, make in (("scored", scored), ("trained", trained)):
            taken = microseconds({name: make(*way) for name, way in given.items()}, arguments.turns)
            python = round((taken["ours"] - taken["copies"]) / LAYERS, 2)
            rows.append({"width": width, "mode": mode, "us": taken, "python": python})
            print(rows[-1], flush=True)
    print(write("small_layers", {"turns": arguments.turns, "rows": rows, "views": same_bits(SHAPES)}))


if __name__ == "__main__":
    main()
