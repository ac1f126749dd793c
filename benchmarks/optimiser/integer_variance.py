"""Does the spread of irrelevant integers stay, and do relevant integers reach their optimum?

The space is the mixed space of the paper's inpainting: 40 integers and 40 categoricals. The loss sums the
squared distance of some integers from an optimum, relative to the range, and the errors of some categoricals.
It ignores all others, though they are read. There are 5,000 updates, and no networks are trained.

python -m benchmarks.optimiser.integer_variance
"""

import argparse
import json
import statistics

import numpy as np
import torch

from asng.nn import Supernet
from asng.optim import ASNG
from asng.space import Architecture, Categorical, Integer, Space
from asng.supernets import ConvAutoencoder
from benchmarks.record import write

STEPS, COLUMNS = 5_000, 20
CASES = {
    "default rules, lambda 8": lambda space, seed: ASNG(space, seed=seed),
    "default rules, lambda 2": lambda space, seed: ASNG(space, lam=2, seed=seed),
    "paper's rules, lambda 2, independent draws": lambda space, seed: ASNG.paper(space, seed=seed),
    "paper's rules, lambda 2, mirrored draws": lambda space, seed: ASNG.paper(
        space, seed=seed, mirrored=True
    ),
}


def mixed_space() -> Space:
    with torch.device("meta"):
        net = ConvAutoencoder(
            in_channels=3, image_size=64, encoding="mixed", columns=COLUMNS, channels=(64, 256)
        )
    return Supernet(net).space


def optima(space: Space, matter: int) -> dict[str, int | str | bool]:
    """Return the optimum of the first `matter` channels, kernels and categoricals of the space."""
    rng = np.random.default_rng(0)
    found: dict[str, int | str | bool] = {}
    for kind in ("channels", "kernel", "input"):
        for name in [name for name in space if name.endswith(kind)][:matter]:
            variable = space[name]
            if isinstance(variable, Integer):
                places = int(variable.size)
                found[name] = variable.low + variable.step * int(
                    rng.integers(places // 10, places - places // 10)
                )
            elif isinstance(variable, Categorical):
                found[name] = variable.choices[-1]  # type: ignore[assignment]
    return found


def loss(architecture: Architecture, best: dict[str, int | str | bool], space: Space) -> float:
    total = 0.0
    for name, value in best.items():
        variable = space[name]
        if isinstance(variable, Integer):
            total += ((architecture[name] - value) / (variable.high - variable.low)) ** 2  # type: ignore[operator]
        else:
            total += 0.1 * (architecture[name] != value)
    return total


def run(case: str, seed: int, matter: int, noise: float) -> dict[str, float]:
    space = mixed_space()
    best = optima(space, matter)
    opt, rng = CASES[case](space, seed), np.random.default_rng(1_000 + seed)
    integers = [name for name in space if isinstance(space[name], Integer)]
    start = {name: opt.theta[name][1] for name in integers}
    least = dict.fromkeys(integers, 1.0)
    for _ in range(STEPS):
        candidates = opt.ask()
        opt.tell(
            candidates,
            [loss(c.architecture, best, space) + noise * rng.standard_normal() for c in candidates],
        )
        for name in integers:
            least[name] = min(least[name], opt.theta[name][1] / start[name])
    ignored = [name for name in integers if name not in best]
    off = [
        abs(opt.theta[name][0] - best[name]) / space[name].step  # type: ignore[operator, union-attr]
        for name in integers
        if name in best
    ]
    end = [opt.theta[name][1] / start[name] for name in ignored]
    return {
        "ignored_std_least": round(min(least[name] for name in ignored), 3),
        "ignored_std_end_least": round(min(end), 3),
        "ignored_std_end_median": round(statistics.median(end), 3),
        "mattering_off_most": round(max(off), 3),
        "mattering_right_within_one": sum(o <= 1 for o in off),
        "mattering": len(off),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--matter", type=int, default=5, help="of channels, of kernels and of inputs each")
    arguments = parser.parse_args()
    rows = {
        f"{case}, noise {noise}": [
            {"seed": seed, **run(case, seed, arguments.matter, noise)} for seed in range(arguments.seeds)
        ]
        for case in CASES
        for noise in (0.0, 0.03)
    }
    figures = {"steps": STEPS, "matter": arguments.matter, "cases": rows}
    print(json.dumps(figures, indent=2))
    print(write("integer_variance", figures))


if __name__ == "__main__":
    main()
