"""How far `asng.minimize` and `asng.ASNG` get on problems of one kind each; see docs/optimiser.md.

python -m benchmarks.black_box.measures               # all, 20 seeds
python -m benchmarks.black_box.measures --seeds 5 --only continuous
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from asng.optim import ASNG
from benchmarks.black_box.methods import METHODS, Search, one_plus_one
from benchmarks.black_box.problems import Problem, bits, continuous, nk, wide_choice
from benchmarks.record import commit, write

PAGE = Path(__file__).parents[2] / "docs" / "optimiser.md"
BEGIN, END = "<!-- by benchmarks/black_box/measures.py -->\n", "<!-- until there -->\n"


def one_rate(problem: Problem, seed: int, budget: int) -> list[float]:
    """`asng.ASNG` as it was: one rate for choices and reals, an initial spread of half of the range."""
    opt, losses = ASNG(problem.space, seed=seed, covariance=False, spread=0.5), list[float]()
    while len(losses) < budget:
        candidates = opt.ask()
        told = [problem.loss(c.architecture) for c in candidates]
        opt.tell(candidates, told)
        losses += told
    return losses[:budget]


def cma_es(problem: Problem, seed: int, budget: int) -> list[float]:
    """CMA-ES of cmaes, from the middle, with an initial spread of 0.29 of the range; reals only."""
    import cmaes

    low, high = (np.array([getattr(v, end) for v in problem.space.values()]) for end in ("low", "high"))
    spread = 0.29 * float(high[0] - low[0])
    es = cmaes.CMA((low + high) / 2, spread, bounds=np.column_stack((low, high)), seed=seed)
    losses = list[float]()
    while len(losses) < budget:
        points = [es.ask() for _ in range(es.population_size)]
        told = [problem.loss(dict(zip(problem.space, x, strict=True))) for x in points]
        es.tell(list(zip(points, told, strict=True)))
        losses += told
    return losses[:budget]


def _first(number: int) -> Callable[[int], Problem]:
    """Return the first instance for all seeds, since other instances have losses on another scale."""
    return lambda seed: bits(number, 0)


CONTINUOUS: dict[str, Search] = {
    "minimize": METHODS["minimize"],
    "ASNG": METHODS["ASNG"],
    "ASNG, one rate": one_rate,
    "CMA-ES": cma_es,
}
OTHERS: dict[str, Search] = {
    "minimize": METHODS["minimize"],
    "ASNG": METHODS["ASNG"],
    "(1+1)-EA": one_plus_one,
    "random": METHODS["random"],
}
CASES: dict[str, tuple[str, Callable[[int], Problem], int]] = {
    "sphere": ("continuous", partial(continuous, "sphere"), 2000),
    "ellipsoid 100, turned": ("continuous", partial(continuous, "ellipsoid100"), 2000),
    "ellipsoid 10^6, turned": ("continuous", partial(continuous, "ellipsoid1e6"), 2000),
    "ellipsoid 10^6": ("continuous", partial(continuous, "ellipsoid1e6", rotated=False), 2000),
    "Rosenbrock, turned": ("continuous", partial(continuous, "rosenbrock"), 2000),
    "LABS, 64 bits": ("bits", _first(18), 3000),
    "OneMax, epistasis": ("bits", _first(7), 3000),
    "LeadingOnes, epistasis": ("bits", _first(14), 3000),
    "NK, 40 bits": ("bits", nk, 3000),
    "1 of 5,000 choices": ("choice", wide_choice, 300),
}


def main() -> None:
    """Run, write results, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", nargs="+", default=["continuous", "bits", "choice"])
    arguments = parser.parse_args()
    rows, measured = list[dict[str, Any]](), commit()
    for name, (kind, make, budget) in CASES.items():
        if kind not in arguments.only:
            continue
        for method, search in (CONTINUOUS if kind == "continuous" else OTHERS).items():
            least = [min(search(make(seed), seed, budget)) for seed in range(arguments.seeds)]
            row = {"kind": kind, "problem": name, "budget": budget, "method": method, "commit": measured}
            rows.append(row | {"median": median(least), "most": max(least), "least": least})
            print(
                f"{name}, {method}: {row['budget']} calls, {median(least):.3g}, {max(least):.3g}", flush=True
            )
            write("black_box_measures", {}, rows)
    renew(rows)


def renew(rows: list[dict[str, Any]]) -> None:
    """Write the table into the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + table(rows) + END + rest.partition(END)[2])


def table(rows: list[dict[str, Any]]) -> str:
    """Return a table of medians and worst seeds, a line for each problem."""
    parts = [
        "\nThe table shows the lowest loss: the median over the seeds, and in brackets the worst. The "
        "functions have 10\nreals:\n\n"
    ]
    for kinds in (["continuous"], ["bits", "choice"]):
        own = [row for row in rows if row["kind"] in kinds]
        methods = list(dict.fromkeys(row["method"] for row in own))
        lines = [["", "calls", "seeds", *(f"`{m}`" for m in methods)], ["---"] * (3 + len(methods))]
        for name in dict.fromkeys(row["problem"] for row in own):
            found = {row["method"]: row for row in own if row["problem"] == name}
            cells = [f"{found[m]['median']:.3g} ({found[m]['most']:.3g})" for m in methods]
            one = next(iter(found.values()))
            lines.append([name, f"{one['budget']:,}", str(len(one["least"])), *cells])
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n")
    return "".join(parts)


if __name__ == "__main__":
    main()
