"""How many evaluations until a sampled point is the optimum, by lambda: the basis of `ASNG`'s default.

python -m benchmarks.optimiser.black_box_lambda
"""

import argparse
import statistics
from collections.abc import Callable

import numpy as np

from asng.optim import ASNG
from asng.space import Candidate, Categorical, Integer, Space
from benchmarks.record import write

BUDGET = 20_000
CATEGORICAL = {f"c{i}": Categorical(range(5)) for i in range(30)}
MIXED = {f"c{i}": Categorical(range(5)) for i in range(10)} | {f"i{i}": Integer(0, 10) for i in range(10)}


def onemax(c: Candidate) -> float:
    return float(sum(value != 0 for value in c.architecture.values()))


def sphere(middle: int) -> Callable[[Candidate], float]:
    def loss(c: Candidate) -> float:
        squares = (
            (v - middle) ** 2 if name[0] == "i" else 10.0 * (v != 0) for name, v in c.architecture.items()
        )
        return float(sum(squares))

    return loss


PROBLEMS = {
    "onemax 30x5": (Space(CATEGORICAL), onemax, 0.0),
    "onemax 30x5, noise of sd 1": (Space(CATEGORICAL), onemax, 1.0),
    "10 + 10 sphere, optimum 5": (Space(MIXED), sphere(5), 0.0),
    "10 + 10 sphere, optimum 1": (Space(MIXED), sphere(1), 0.0),
}


def evaluations(problem: str, lam: int, seed: int) -> int:
    space, loss, noise = PROBLEMS[problem]
    opt, rng = ASNG(space, lam=lam, seed=seed), np.random.default_rng(1_000 + seed)
    for done in range(0, BUDGET, lam):
        candidates = opt.ask()
        losses = [loss(c) for c in candidates]
        if 0.0 in losses:
            return done + losses.index(0.0) + 1
        opt.tell(candidates, [value + noise * rng.standard_normal() for value in losses])
    return BUDGET


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    rows = []
    for problem in PROBLEMS:
        for lam in (2, 4, 8, 16):
            counts = [evaluations(problem, lam, seed) for seed in range(seeds)]
            failed = sum(count >= BUDGET for count in counts)
            rows.append(
                {"problem": problem, "lam": lam, "median": statistics.median(counts), "failed": failed}
            )
            print(
                f"{problem:28} lambda {lam:2}  {rows[-1]['median']:7.0f}  failed {failed} of {seeds}",
                flush=True,
            )
    print(write("black_box_lambda", {"seeds": list(range(seeds)), "budget": BUDGET, "rows": rows}))


if __name__ == "__main__":
    main()
