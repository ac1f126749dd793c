"""What each part of the default update contributes: the default against variants with one part switched off.

Figures are medians over seeds of the samples drawn until one is the optimum, by its loss without noise.

python -m benchmarks.optimiser.ablation
"""

import argparse
import math
import statistics
from collections.abc import Callable
from dataclasses import replace

from asng.optim import ASNG
from asng.space import Space
from benchmarks.optimiser.known_problems import (
    Problem,
    evaluations,
    leading_ones,
    nas_bench_201,
    onemax,
    sphere,
)
from benchmarks.record import write

BUDGET = 4_000
Make = Callable[[Space, int], ASNG]


def quarters(space: Space, seed: int) -> ASNG:
    """Return a search that uses utilities of the best and the worst quarter only."""
    opt = ASNG(space, seed=seed)
    opt._settings = replace(opt._settings, scores=False)
    return opt


CASES: dict[str, Make] = {
    "default": lambda space, seed: ASNG(space, seed=seed),
    "no control variate": lambda space, seed: ASNG(space, seed=seed, control_variate=False),
    "best and worst quarter": quarters,
    "independent draws": lambda space, seed: ASNG(space, seed=seed, sampling="independent"),
    "no sample read twice": lambda space, seed: ASNG(space, seed=seed, reuse=False),
    "settled 0.73, CatCMA's margin": lambda space, seed: ASNG(space, seed=seed, settled=0.73),
    "settled 0.5": lambda space, seed: ASNG(space, seed=seed, settled=0.5),
    "settled 0.2": lambda space, seed: ASNG(space, seed=seed, settled=0.2),
    "no early adaptation": lambda space, seed: ASNG(space, seed=seed, early=False),
    "adaptation by beta alone": lambda space, seed: ASNG(space, seed=seed, early=False, delta_max=math.inf),
    "no longest step": lambda space, seed: ASNG(space, seed=seed, delta_max=math.inf),
    "lambda 4": lambda space, seed: ASNG(space, lam=4, seed=seed),
    "lambda 16": lambda space, seed: ASNG(space, lam=16, seed=seed),
    "paper's rules, lambda 8": lambda space, seed: ASNG.paper(space, lam=8, seed=seed),
    "lambda 2": lambda space, seed: ASNG(space, lam=2, seed=seed),
    "delta_init 0.01": lambda space, seed: ASNG(space, seed=seed, delta_init=0.01),
    "delta_init 0.1": lambda space, seed: ASNG(space, seed=seed, delta_init=0.1),
    "delta_init 10": lambda space, seed: ASNG(space, seed=seed, delta_init=10.0),
    "delta_init 100": lambda space, seed: ASNG(space, seed=seed, delta_init=100.0),
}


def problems() -> dict[str, Problem]:
    """Return the problems by name; success on the tables is an accuracy within 0.1 of the best."""
    return {
        "onemax 30x5": onemax(),
        "onemax 30x5, noise 1": onemax(noise=1.0),
        "onemax 30x5, noise 2": onemax(noise=2.0),
        "10 + 10 sphere, optimum 5": sphere(5),
        "10 + 10 sphere, optimum 1": sphere(1),
        "leading ones 15x5": leading_ones(),
        "nas-bench-201 cifar10": nas_bench_201("cifar10"),
        "nas-bench-201 cifar100": nas_bench_201("cifar100"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    arguments = parser.parse_args()
    seeds, rows = range(arguments.seeds), []
    for name, problem in problems().items():
        for case in arguments.cases:
            counts = [evaluations(problem, CASES[case](problem.space, s), s, BUDGET) for s in seeds]
            failed = sum(count >= BUDGET for count in counts)
            median, most = statistics.median(counts), max(counts)
            rows.append({"problem": name, "case": case, "median": median, "most": most, "failed": failed})
            print(f"{name:28} {case:32} {median:7.1f}  most {most:5}  failed {failed}", flush=True)
    print(write("ablation", {"seeds": list(seeds), "budget": BUDGET, "rows": rows}))


if __name__ == "__main__":
    main()
