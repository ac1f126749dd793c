"""Time of one `ask` and one `tell` by the number of variables.

Run `python -m benchmarks.optimiser.ask_tell`: prints a table and writes benchmarks/results/ask_tell.json.
"""

import argparse
import time

import numpy as np

from asng.optim import ASNG
from asng.space import Categorical, Space
from benchmarks.record import write

SIZES = {30: 2000, 1_000: 2000, 10_000: 300, 1_000_000: 5}
"""Number of variables, and how often to measure."""
CHOICES, SEED = 5, 0
LAMBDAS = (2, 8)


def measure(variables: int, lam: int, repeats: int) -> dict[str, float]:
    opt = ASNG(Space({f"v{i}": Categorical(range(CHOICES)) for i in range(variables)}), lam=lam, seed=SEED)
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        candidates = opt.ask()
        opt.tell(candidates, [float(i) for i in range(lam)])
        times.append(1e3 * (time.perf_counter() - start))
    quartiles = np.percentile(times[2:], [25, 50, 75])
    return {"variables": variables, "lam": lam, "repeats": repeats} | dict(
        zip(("lower_quartile_ms", "median_ms", "upper_quartile_ms"), quartiles.tolist(), strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=max(SIZES), help="leave larger spaces out")
    args = parser.parse_args()
    rows = [
        measure(size, lam, repeats)
        for lam in LAMBDAS
        for size, repeats in SIZES.items()
        if size <= args.largest
    ]
    for row in rows:
        print(
            f"lambda {row['lam']}  {row['variables']:>9,} variables  {row['median_ms']:9.3f} ms  "
            f"[{row['lower_quartile_ms']:.3f}, {row['upper_quartile_ms']:.3f}]"
        )
    print(write("ask_tell", {"seed": SEED, "choices": CHOICES, "ask_and_tell": rows}))


if __name__ == "__main__":
    main()
