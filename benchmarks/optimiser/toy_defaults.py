"""The paper's toy problem by today's update: its cost until the mode of theta is the optimum.

A training pass counts 3, a forward pass 1. All methods start from the same x. The loop is that of `asng toy`
with another update and other lambdas. Our theta sees no loss twice, since x moves.

python -m benchmarks.optimiser.toy_defaults
"""

import argparse
import math
import statistics
from typing import Any, NamedTuple

import numpy as np

from asng.optim import ASNG
from asng.space import Categorical, Space
from benchmarks.record import write

VARIABLES, CHOICES, ITERATIONS, RATE, MOMENTUM = 30, 5, 100_000, 0.05, 0.9
EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
LONGEST = 20_000
SPACE = Space({f"c{i}": Categorical(range(CHOICES)) for i in range(VARIABLES)})
NAMES, ROWS = list(SPACE), np.arange(VARIABLES)


class Method(NamedTuple):
    """An update and its numbers of samples."""

    lam_x: int
    lam_theta: int
    settings: dict[str, Any]

    @property
    def cost(self) -> int:
        return 3 * self.lam_x + self.lam_theta


METHODS = {
    "ASNG.paper, 2 and 2": Method(2, 2, {"rules": "paper"}),
    "ASNG, 1 and 8": Method(1, 8, {"reuse": False}),
    "ASNG, 1 and 4": Method(1, 4, {"reuse": False}),
    "ASNG, 1 and 2": Method(1, 2, {}),
}


def optimizer(method: Method, delta_init: float, seed: int) -> ASNG:
    if method.settings == {"rules": "paper"}:
        return ASNG.paper(SPACE, lam=method.lam_theta, seed=seed, delta_init=delta_init)
    return ASNG(SPACE, lam=method.lam_theta, seed=seed, delta_init=delta_init, **method.settings)


def iterations(method: Method, delta_init: float, seed: int) -> int | None:
    """Return the first iteration after which the mode is the optimum, or None if LONGEST do not suffice."""
    opt, rng = optimizer(method, delta_init, seed), np.random.default_rng(1_000 + seed)
    x, velocity = rng.standard_normal((VARIABLES, CHOICES)), np.zeros((VARIABLES, CHOICES))
    for t in range(1, LONGEST + 1):
        z, gradient = rng.standard_normal(VARIABLES) / CHOICES, np.zeros_like(x)
        for candidate in opt.ask(method.lam_x):
            c = candidate.x.astype(int)
            gradient[ROWS, c] += 2.0 / method.lam_x * (x[ROWS, c] - z)
        velocity = MOMENTUM * velocity + gradient
        x -= RATE * 0.5 * (1.0 + math.cos(math.pi * t / ITERATIONS)) * velocity
        z, asked = rng.standard_normal(VARIABLES) / CHOICES, opt.ask()
        c = np.array([candidate.x for candidate in asked], dtype=int)
        opt.tell(asked, ((x[ROWS, c] - z) ** 2 + c / CHOICES).sum(axis=1))
        if all(p[0] > max(p[1:]) for p in opt.theta.values()):
            return t
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds, rows = range(parser.parse_args().seeds), []
    for exponent in EXPONENTS:
        delta_init = (VARIABLES * (CHOICES - 1)) ** -exponent
        for name, method in METHODS.items():
            found = [iterations(method, delta_init, seed) for seed in seeds]
            costs = [math.inf if t is None else t * method.cost for t in found]
            median = statistics.median(costs)
            failed = sum(t is None for t in found)
            rows.append(
                {
                    "method": name,
                    "exponent": exponent,
                    "median_cost": median if math.isfinite(median) else None,
                    "most": max(costs) if math.isfinite(max(costs)) else None,
                    "failed": failed,
                }
            )
            print(f"f {exponent:4}  {name:20} median cost {median:9,.0f}  failed {failed}", flush=True)
    print(write("toy_defaults", {"seeds": list(seeds), "longest": LONGEST, "rate": RATE, "rows": rows}))


if __name__ == "__main__":
    main()
