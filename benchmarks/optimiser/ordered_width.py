"""Is a width found faster as an `Integer` than as a `Categorical` of the same values?

The space is one width of 1 to 64, or five such widths. The loss is |w - w*|, or |log(w / w*)| with a
logarithmic `Integer`, summed over the widths. The unit of the noise is the mean difference of neighbouring
widths. Right widths lie in the middle and near both ends. None is where a search starts: the middle of an
`Integer` (32 or 33, logarithmic 8) or the first choice of a `Categorical` (1).

python -m benchmarks.optimiser.ordered_width
"""

import argparse
import math
import statistics
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product

import numpy as np

from asng.optim import ASNG
from asng.space import Architecture, Categorical, Integer, Space
from benchmarks.record import write

BUDGET, STAYS = 20_000, 20
"""Most evaluations of a search, and for how many updates a right answer must last to count as settled."""
WIDTHS = 64
RIGHT = (2, 13, 24, 42, 53, 63)
"""Right widths; a search over several widths uses them in turn, starting with each."""
UNIT = {"difference": 1.0, "ratio": math.log(WIDTHS) / (WIDTHS - 1)}


def variable(kind: str, measure: str) -> Integer | Categorical:
    if kind == "Categorical":
        return Categorical(range(1, WIDTHS + 1))
    return Integer(1, WIDTHS, log=measure == "ratio")


def loss(architecture: Architecture, right: list[int], measure: str) -> float:
    pairs = list(zip((int(str(w)) for w in architecture.values()), right, strict=True))
    if measure == "difference":
        return float(sum(abs(w - best) for w, best in pairs))
    return sum(abs(math.log(w / best)) for w, best in pairs)


def evaluations(
    run: tuple[int, int], *, kind: str, measure: str, count: int, noise: float, lam: int
) -> tuple[int, int, int]:
    """Return the evaluations until all most likely widths are right, right within 1, and right to stay."""
    start, seed = run
    right = [RIGHT[(start + i) % len(RIGHT)] for i in range(count)]
    space = Space({f"width{i}": variable(kind, measure) for i in range(count)})
    opt, rng = ASNG(space, lam=lam, seed=seed), np.random.default_rng(1_000 + seed)
    first = near = BUDGET
    lasted = 0
    for done in range(lam, BUDGET + 1, lam):
        candidates = opt.ask()
        clean = [loss(c.architecture, right, measure) for c in candidates]
        opt.tell(candidates, [v + noise * UNIT[measure] * rng.standard_normal() for v in clean])
        off = max(abs(int(str(w)) - best) for w, best in zip(opt.best.values(), right, strict=True))
        near = min(near, done) if off <= 1 else near
        first = min(first, done) if off == 0 else first
        lasted = lasted + 1 if off == 0 else 0
        if lasted == STAYS:
            return first, near, done - (STAYS - 1) * lam
    return first, near, BUDGET


def row(pool: ProcessPoolExecutor, runs: list[tuple[int, int]], **problem: object) -> dict[str, object]:
    """Return medians and failures of both kinds, and the share of evaluations that `Integer` needs."""
    figures: dict[str, object] = dict(problem)
    medians = {}
    for kind in ("Categorical", "Integer"):
        counts = list(pool.map(partial(evaluations, kind=kind, **problem), runs, chunksize=4))  # type: ignore[arg-type]
        medians[kind] = [statistics.median(column) for column in zip(*counts, strict=True)]
        figures |= dict(zip((kind, f"{kind}_within_1", f"{kind}_settled"), medians[kind], strict=True))
        figures[f"{kind}_failed"] = sum(count[0] >= BUDGET for count in counts)
    shares = [i / c for i, c in zip(medians["Integer"], medians["Categorical"], strict=True)]
    return figures | {"share": round(shares[0], 3), "share_settled": round(shares[2], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="of each right width")
    seeds = range(parser.parse_args().seeds)
    runs = list(product(range(len(RIGHT)), seeds))
    rows = []
    with ProcessPoolExecutor(2) as pool:
        for lam, measure, count, noise in product((8, 2), UNIT, (1, 5), (0.0, 0.5)):
            rows.append(row(pool, runs, measure=measure, count=count, noise=noise, lam=lam))
            print(rows[-1], flush=True)
    print(write("ordered_width", {"seeds": list(seeds), "right": RIGHT, "budget": BUDGET, "rows": rows}))


if __name__ == "__main__":
    main()
