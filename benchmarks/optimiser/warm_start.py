"""What a prior saves: NAS-Bench-201 on one data set, started from a search on another or a misleading one.

python -m benchmarks.optimiser.warm_start
"""

import argparse
import statistics
from typing import Any

from asng.optim import ASNG
from benchmarks.optimiser.known_problems import evaluations, nas_bench_201
from benchmarks.record import write

BUDGET, EARLIER = 4_000, 200
PAIRS = [("cifar10", "cifar100"), ("cifar100", "cifar10")]


def earlier(data: str, labels: int, seed: int) -> Any:
    """Return theta after an earlier search, which ends at the optimum; `labels` permutes choices."""
    problem = nas_bench_201(data)
    opt = ASNG(problem.space, seed=1_000 + seed)
    evaluations(problem, opt, labels, EARLIER)
    return opt.theta


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds, rows = range(parser.parse_args().seeds), []
    for data, other in PAIRS:
        problem = nas_bench_201(data)
        cases = {("none", 0.0): [None for _ in seeds]}
        for trust in (0.2, 0.5, 0.7):
            cases[other, trust] = [earlier(other, seed, seed) for seed in seeds]
            # The same search with its choices renamed, so that it is misleading for this problem.
            cases["misleading", trust] = [earlier(other, 500 + seed, seed) for seed in seeds]
        for (name, trust), priors in cases.items():
            counts = [
                evaluations(problem, ASNG(problem.space, seed=seed, prior=prior, trust=trust), seed, BUDGET)
                for seed, prior in zip(seeds, priors, strict=True)
            ]
            failed = sum(count >= BUDGET for count in counts)
            rows.append(
                {
                    "data": data,
                    "prior": name,
                    "trust": trust,
                    "median": statistics.median(counts),
                    "most": max(counts),
                    "failed": failed,
                }
            )
            print(rows[-1], flush=True)
    print(write("warm_start", {"seeds": list(seeds), "budget": BUDGET, "earlier": EARLIER, "rows": rows}))


if __name__ == "__main__":
    main()
