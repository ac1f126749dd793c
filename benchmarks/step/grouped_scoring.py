"""What is gained by scoring the candidates of a step as one pass: how often it is possible, and its time.

OMP_NUM_THREADS=1 python -m benchmarks.step.grouped_scoring

Two candidates can run as one if the sizes of all their weights agree. "agree" is the share of uniformly drawn
pairs that do, and "layers" the share of the weights of a pair that have a partner of the same size at their
place. For pairs that agree, two passes without gradients are timed against one pass over both by
`torch.func.vmap` of stacked weights ("vmap"; "stacked" leaves out the stacking). They are also timed against
one plain pass of a batch twice as large ("doubled"), a lower bound for any grouping of different weights.
Times are CPU times, as medians of the ratio within turns in random order; "control" is two passes against
two.
"""

import argparse
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from asng.nn import Supernet
from asng.supernets import ResidualCNN, TabularMLP, TransformerEncoder
from benchmarks.measuring import spread
from benchmarks.record import write

PAIRS, AGREEING = 200, 6
SPACES: dict[str, tuple[Callable[[], nn.Module], Callable[[int], torch.Tensor]]] = {
    "mlp": (partial(TabularMLP, features=10, outputs=1, norm="layer"), lambda items: torch.randn(items, 10)),
    "transformer": (
        partial(TransformerEncoder, features=12, outputs=9, dropout=0.0, pooling="mean"),
        lambda items: torch.randn(items, 29, 12),
    ),
    "residual CNN": (
        partial(ResidualCNN, in_channels=1, outputs=10),
        lambda items: torch.randn(items, 1, 14, 14),
    ),
}
BATCH = {"mlp": 64, "transformer": 32, "residual CNN": 64}


def sizes(child: nn.Module) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in child.named_parameters()}


def agreement(supernet: Supernet, x: torch.Tensor, pairs: int) -> dict[str, float]:
    """Return how many pairs agree in all sizes, and how many of their weights have a partner."""
    draw, whole, partners, weights = random.Random(0), 0, 0, 0
    for _ in range(pairs):
        one, other = (sizes(supernet.extract(supernet.space.sample(draw), example=x)) for _ in range(2))
        whole += one == other
        partners += 2 * sum(other.get(name) == shape for name, shape in one.items())
        weights += len(one) + len(other)
    return {"agree": round(whole / pairs, 4), "layers": round(partners / weights, 4)}


def ways(one: nn.Module, other: nn.Module, x: torch.Tensor) -> dict[str, Callable[[], Any]]:
    both = torch.cat([x, x])

    def call(weights: Any, buffers: Any, x: torch.Tensor) -> Any:
        return torch.func.functional_call(one, (weights, buffers), (x,))

    def stacked() -> tuple[Any, Any]:  # not by torch's function: traced children have a class each
        tables = [
            [dict(c.named_parameters()) for c in (one, other)],
            [dict(c.named_buffers()) for c in (one, other)],
        ]
        first, second = ({n: torch.stack([a[n], b[n]]) for n in a} for a, b in tables)
        return first, second

    mapped = torch.func.vmap(call, in_dims=(0, 0, None))
    state = stacked()

    def two() -> None:
        one(x)
        other(x)

    return {
        "two": two,
        "control": two,
        "stacked": lambda: mapped(*state, x),
        "vmap": lambda: mapped(*stacked(), x),
        "doubled": lambda: one(both),
    }


def seconds(run: Callable[[], Any], runs: int) -> float:
    start = time.process_time()
    for _ in range(runs):
        run()
    return (time.process_time() - start) / runs


def compare(name: str, turns: int) -> dict[str, Any]:
    make, items = SPACES[name]
    torch.manual_seed(0)
    supernet, x, draw = Supernet(make()), items(BATCH[name]), random.Random(1)
    row: dict[str, Any] = agreement(supernet, x, PAIRS)
    ratios: dict[str, list[float]] = {}
    with torch.no_grad():
        for _ in range(AGREEING):
            architecture = supernet.space.sample(draw)
            pair = [supernet.extract(architecture, example=x, fresh=True).eval() for _ in range(2)]
            for child in pair:
                for module in child.modules():
                    if isinstance(module, nn.modules.batchnorm._BatchNorm):
                        module.train()  # as in scoring: by statistics of the batch
            runs = ways(*pair, x)
            apart = torch.stack([pair[0](x), pair[1](x)])
            assert torch.allclose(apart, runs["stacked"](), atol=1e-4), name
            for run in runs.values():
                seconds(run, 3)
            count = max(1, round(3e-3 / seconds(runs["two"], 10)))
            for _ in range(turns):
                names = list(runs)
                draw.shuffle(names)
                taken = {name: seconds(runs[name], count) for name in names}
                for name in taken.keys() - {"two"}:
                    ratios.setdefault(name, []).append(taken[name] / taken["two"])
    return row | {name: spread(some) for name, some in sorted(ratios.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15, help="for each of the pairs (default: 15)")
    parser.add_argument("--only", choices=list(SPACES), help="one space, of which nothing is written")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for name in [arguments.only] if arguments.only else SPACES:
        rows[name] = compare(name, arguments.turns)
        print(name, rows[name], flush=True)
    if not arguments.only:
        settings = {"pairs": PAIRS, "agreeing": AGREEING, "turns": arguments.turns, "batch": BATCH}
        print(write("grouped_scoring", settings | {"spaces": rows}))


if __name__ == "__main__":
    main()
