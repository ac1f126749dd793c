"""Does it pay to tell which variables an evaluation read? ASNG told so, against ASNG told nothing.

There are 20 gates, each with three variables of K = 5 that are read only if the gate is open. The unit of the
loss is one wrong variable. A gate that should be open costs its wrong variables if open (0 to 3, on average
2.4 at first), and `closed` if closed. With `closed` = 3 an open gate is never worse, with 2.4 opening does
not pay before its variables are learnt, and with 2 it harms until then. A gate that should be closed costs 1
and its wrong variables if open, and nothing if closed. The right choice is the last one, since of equal
probabilities the first counts as the most likely, and an undecided variable must not count as right.

python -m benchmarks.optimiser.conditional
"""

import argparse
import statistics
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from asng.optim import ASNG
from asng.space import Candidate, Categorical, Space
from benchmarks.record import write

BUDGET = 20_000
GATES, EACH, CHOICES = 20, 3, 5
NAMES = [(f"gate{i}", [f"gate{i}.{j}" for j in range(EACH)]) for i in range(GATES)]
SPACE = Space(
    {gate: Categorical([False, True]) for gate, _ in NAMES}
    | {name: Categorical(range(CHOICES)) for _, names in NAMES for name in names}
)
WANTED, CLOSED = (20, 10, 5), (3.0, 2.4, 2.0)
"""How many gates should be open, and the cost of each of these if it is closed."""


def loss(x: NDArray[np.float64], wanted: int, closed: float) -> float:
    is_open = x[:GATES] == 1
    wrong = np.sum(x[GATES:].reshape(GATES, EACH) != CHOICES - 1, axis=1)
    right_open, right_closed = np.where(is_open, wrong, closed), np.where(is_open, 1.0 + wrong, 0.0)
    return float(np.sum(right_open[:wanted]) + np.sum(right_closed[wanted:]))


def read(candidate: Candidate) -> frozenset[str]:
    inside = [
        name for (_, names), is_open in zip(NAMES, candidate.x, strict=False) if is_open for name in names
    ]
    return frozenset([gate for gate, _ in NAMES] + inside)


def evaluations(
    seed: int, *, wanted: int, closed: float, noise: float, lam: int, told: bool
) -> tuple[int, int]:
    """Return evaluations until the most likely architecture is the optimum, and until that is first drawn."""
    opt, rng = ASNG(SPACE, lam=lam, seed=seed), np.random.default_rng(1_000 + seed)
    first = BUDGET
    for done in range(lam, BUDGET + 1, lam):
        candidates = opt.ask()
        losses = [loss(c.x, wanted, closed) for c in candidates]
        if 0.0 in losses:
            first = min(first, done - lam + losses.index(0.0) + 1)
        if told:
            candidates = [c.with_active(read(c)) for c in candidates]
        opt.tell(candidates, [value + noise * rng.standard_normal() for value in losses])
        if loss(np.array(SPACE.encode(opt.best)), wanted, closed) == 0.0:
            return done, min(first, done)
    return BUDGET, first


def row(pool: ProcessPoolExecutor, seeds: range, **problem: float) -> dict[str, float]:
    """Return medians and failures of both, and the factor by which the told one needs fewer evaluations."""
    figures: dict[str, float] = dict(problem)
    for name, told in (("ignored", False), ("told", True)):
        counts = list(pool.map(partial(evaluations, **problem, told=told), seeds))
        best, first = zip(*counts, strict=True)
        figures[name] = statistics.median(best)
        figures[f"{name}_failed"] = sum(count >= BUDGET for count in best)
        figures[f"{name}_first_draw"] = statistics.median(first)
    return figures | {"times_fewer": round(figures["ignored"] / figures["told"], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--lam", type=int, nargs="+", default=[8, 2], help="2 takes most of the time")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    rows = []
    with ProcessPoolExecutor(2) as pool:
        for lam, wanted, closed, noise in product(arguments.lam, WANTED, CLOSED, (0.0, 0.5)):
            rows.append(row(pool, seeds, wanted=wanted, closed=closed, noise=noise, lam=lam))
            print(rows[-1], flush=True)
    print(write("conditional", {"seeds": list(seeds), "budget": BUDGET, "rows": rows}))


if __name__ == "__main__":
    main()
