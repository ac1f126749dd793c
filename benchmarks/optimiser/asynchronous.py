"""What is gained by not waiting: busy workers, evaluations and time until the optimum is drawn.

python -m benchmarks.optimiser.asynchronous

Durations of calls are log-normal (sigma 1). The share of busy time is measured, with 8 threads and calls that
sleep for a median of 100 ms. Evaluations and time to the optimum are simulated, in units of the median
duration.
"""

import argparse
import heapq
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from asng import minimize
from asng.optim import ASNG
from asng.space import Architecture, Real, Space
from benchmarks.optimiser.black_box_lambda import PROBLEMS
from benchmarks.record import write

BUDGET = 20_000
SIGMA = 1.0
WORKERS = 8
SLEEPS = Space({f"r{i}": Real(-5.0, 5.0) for i in range(5)})


def by_generations(problem: str, seed: int, workers: int) -> tuple[int, float]:
    """Return evaluations and time until the optimum is drawn; the slowest worker ends a generation."""
    space, loss, noise = PROBLEMS[problem]
    opt, rng = ASNG(space, lam=workers, seed=seed), np.random.default_rng(1_000 + seed)
    clock = 0.0
    for done in range(0, BUDGET, workers):
        candidates, durations = opt.ask(), rng.lognormal(0.0, SIGMA, workers)
        losses = [loss(c) for c in candidates]
        if 0.0 in losses:
            found = losses.index(0.0)
            return done + found + 1, clock + float(durations[found])
        clock += float(durations.max())
        opt.tell(candidates, [value + noise * rng.standard_normal() for value in losses])
    return BUDGET, clock


def as_they_come(problem: str, seed: int, workers: int) -> tuple[int, float]:
    """Return the same if each call is told by itself as it ends; lambda stays 8."""
    space, loss, noise = PROBLEMS[problem]
    opt, rng = ASNG(space, seed=seed), np.random.default_rng(1_000 + seed)
    under_way = [(float(rng.lognormal(0.0, SIGMA)), k, opt.ask(1)[0]) for k in range(workers)]
    heapq.heapify(under_way)
    for done in range(BUDGET):
        clock, _, candidate = heapq.heappop(under_way)
        value = loss(candidate)
        if value == 0.0:
            return done + 1, clock
        opt.tell(candidate, value + noise * rng.standard_normal())
        heapq.heappush(under_way, (clock + float(rng.lognormal(0.0, SIGMA)), workers + done, opt.ask(1)[0]))
    return BUDGET, clock


def busy(seed: int, *, asynchronous: bool, optimizer: ASNG | None) -> float:
    """Return the share of time that workers spend in calls, with the default optimizer if none is given."""
    rng = random.Random(seed)

    def f(a: Architecture) -> float:
        time.sleep(0.1 * rng.lognormvariate(0.0, SIGMA))
        return float(sum(value**2 for value in a.values()))  # type: ignore[operator, misc]

    with ThreadPoolExecutor(WORKERS) as threads:
        result = minimize(
            f,
            SLEEPS,
            200,
            seed=seed,
            optimizer=optimizer,
            workers=threads,
            asynchronous=asynchronous,
        )
    return sum(one.seconds for one in result.history) / (WORKERS * result.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    shares = {
        name: [
            busy(
                seed,
                asynchronous="asynchronous" in name,
                optimizer=None if "default" in name else ASNG(SLEEPS, seed=seed),
            )
            for seed in range(min(seeds, 10))
        ]
        for name in ("generations", "asynchronous", "asynchronous, default")
    }
    utilisation = [
        {"way": name, "median": statistics.median(of), "least": min(of)} for name, of in shares.items()
    ]
    print(utilisation, flush=True)
    rows: list[dict[str, Any]] = []
    for problem in PROBLEMS:
        for way, workers in (
            (by_generations, 8),
            (as_they_come, 8),
            (by_generations, 32),
            (as_they_come, 32),
        ):
            found = [way(problem, seed, workers) for seed in range(seeds)]
            row = {
                "problem": problem,
                "way": way.__name__,
                "workers": workers,
                "median": statistics.median(count for count, _ in found),
                "most": max(count for count, _ in found),
                "time": statistics.median(clock for _, clock in found),
            }
            rows.append(row)
            print(row, flush=True)
    print(write("asynchronous", {"seeds": list(range(seeds)), "utilisation": utilisation, "rows": rows}))


if __name__ == "__main__":
    main()
