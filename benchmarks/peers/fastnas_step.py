"""A pass of a searchable network over the same pass in ModelOpt's FastNAS.

python -m benchmarks.peers.fastnas_step      # in the environment of benchmarks/trained/requirements.txt

Both tools convert the same networks, with widths of two eighths to all. In every turn FastNAS draws widths
and ours takes the same ones, so that both run the same child. A pass scores a batch of 64 images (forward,
without gradients) or trains on it (forward, backward, SGD). It includes the choice of the widths. The limit
is the plain child. A search of FastNAS scores only, but its networks can be trained in the same way.

Times are processor times of one thread. The sides take turns in random order, and figures are ratios within
turns. A pass does not include the recalibration of batch norms, which both tools do before a score.
"""

import argparse
import copy
import random
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from asng.costs import multiply_adds
from asng.nn import searchable
from benchmarks.measuring import spread
from benchmarks.record import write
from benchmarks.trained.cells import fresh
from benchmarks.trained.rivals import eighths

NETWORKS = ("residual", "mobile")
PASSES = 10
"""Passes of a side in a turn, over which its time is taken."""

RATIOS = {
    "ours over FastNAS": ("ours", "FastNAS"),
    "ours": ("ours", "child"),
    "FastNAS": ("FastNAS", "child"),
    "control": ("again", "child"),
}


class Side:
    """A network that is run as one child, and what a pass of it does."""

    def __init__(self, network: nn.Module, run: Callable[[], Tensor], labels: Tensor, *, train: bool) -> None:
        self.network, self.run, self.labels, self.train = network, run, labels, train
        self.optimizer = torch.optim.SGD(network.parameters(), 1e-3)

    def take_pass(self) -> None:
        with torch.set_grad_enabled(self.train):
            output = self.run()
        if self.train:
            cross_entropy(output, self.labels).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    def seconds(self) -> float:
        """Return the processor time of a pass, after one that is not counted."""
        self.take_pass()
        begin = time.process_time()
        for _ in range(PASSES):
            self.take_pass()
        return (time.process_time() - begin) / PASSES


def measured(name: str, *, train: bool, turns: int) -> dict[str, Any]:
    """Return the figures of one network, in training mode or in evaluation mode."""
    nas: Any = import_module("modelopt.torch.nas")
    torch.manual_seed(0)
    rng, images, labels = random.Random(0), torch.randn(64, 1, 14, 14), torch.randint(10, (64,))
    one = images[:1]
    network = fresh(name, channels=1, seed=0).train(False)
    ours = searchable(copy.deepcopy(network), one).train(train)
    theirs = nas.convert(network, [("fastnas", eighths())]).train(train)
    taken: dict[str, list[float]] = {side: [] for side in ("ours", "FastNAS", "child", "again")}
    for _ in range(turns):
        drawn = nas.sample(theirs, lambda widths: rng.choice([w for w in widths if 4 * w >= max(widths)]))
        same = {width: drawn.get(f"{width}.out_channels", sizes.high) for width, sizes in ours.space.items()}
        child, other = ours.extract(same, one).train(train), nas.export(copy.deepcopy(theirs))
        if multiply_adds(child, (one,)) != multiply_adds(other, (one,)):
            raise RuntimeError(f"{name}: expected children of the same size, got others for {same}")
        sides = {
            "ours": (ours, partial(ours, images, architecture=same)),
            "FastNAS": (theirs, lambda drawn=drawn: nas.select(theirs, drawn) or theirs(images)),
            "child": (child, partial(child, images)),
            "again": (child, partial(child, images)),
        }
        for side in rng.sample(list(sides), len(sides)):
            taken[side].append(Side(*sides[side], labels, train=train).seconds())
    return {
        "network": name,
        "mode": "trained" if train else "scored",
        "turns": turns,
        "ratios": {
            ratio: spread([a / b for a, b in zip(taken[over], taken[under], strict=True)])
            for ratio, (over, under) in RATIOS.items()
        },
        "ms": {side: spread([1000 * value for value in values]) for side, values in taken.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=40, help="2 or more")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = []
    for name in NETWORKS:
        for train in (False, True):
            rows.append(measured(name, train=train, turns=arguments.turns))
            print(rows[-1], flush=True)
    version = import_module("modelopt").__version__
    print(write("fastnas_step", {"passes": PASSES, "modelopt": version}, rows))


if __name__ == "__main__":
    main()
