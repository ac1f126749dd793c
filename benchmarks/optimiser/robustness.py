"""Success and cost over initial step sizes and sizes of spaces, on OneMax with five choices per variable.

The cost is the number of samples drawn until one is the optimum. The script writes
benchmarks/results/robustness.json and, with matplotlib, the figure docs/images/robustness.png.

python -m benchmarks.optimiser.robustness            # both
python -m benchmarks.optimiser.robustness --figure   # the figure alone, from the JSON
"""

import argparse
import json
from pathlib import Path
from typing import Any

from asng.optim import ASNG
from asng.space import Categorical, Space
from benchmarks.record import RESULTS, write

SIZES = {1: 20, 3: 20, 10: 20, 30: 20, 100: 20, 300: 20, 1_000: 5}
"""Numbers of variables, and of seeds."""
DELTA_INITS = (0.01, 0.1, 1.0, 10.0, 100.0)
CHOICES = 5
PAPER_UP_TO = 100
MAKERS = {
    "ASNG": lambda space, seed, delta_init: ASNG(space, seed=seed, delta_init=delta_init),
    "ASNG.paper": lambda space, seed, delta_init: ASNG.paper(space, seed=seed, delta_init=delta_init),
}
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "robustness.png"


def budget(variables: int) -> int:
    """Return about ten times the samples that the default needs."""
    return 500 + 200 * variables


def evaluations(name: str, variables: int, delta_init: float, seed: int) -> int | None:
    space = Space({f"c{i}": Categorical(range(CHOICES)) for i in range(variables)})
    opt, drawn = MAKERS[name](space, seed, delta_init), 0
    while drawn < budget(variables):
        candidates = opt.ask()
        wrong = [int((candidate.x != (seed % CHOICES)).sum()) for candidate in candidates]
        if 0 in wrong:
            return drawn + wrong.index(0) + 1
        drawn += len(wrong)
        opt.tell(candidates, wrong)
    return None


def rows() -> list[dict[str, Any]]:
    """Measure all sizes and step sizes."""
    found = []
    for name in MAKERS:
        for variables, seeds in SIZES.items():
            if name != "ASNG" and variables > PAPER_UP_TO:
                continue
            for delta_init in DELTA_INITS:
                counts = [evaluations(name, variables, delta_init, seed) for seed in range(seeds)]
                solved = sorted(count for count in counts if count is not None)
                row = {
                    "method": name,
                    "variables": variables,
                    "delta_init": delta_init,
                    "runs": seeds,
                    "solved": len(solved),
                    # Runs without success count as longer than all others.
                    "median": solved[(seeds - 1) // 2] if 2 * len(solved) > seeds else None,
                    "most": solved[-1] if len(solved) == seeds else None,
                    "budget": budget(variables),
                }
                found.append(row)
                print(
                    f"{name:11} {variables:5} variables  delta_init {delta_init:6}  solved {len(solved)} of "
                    f"{seeds}  median {row['median']}  most {row['most']}",
                    flush=True,
                )
    return found


def figure(found: list[dict[str, Any]], path: Path) -> None:
    """Draw the cost per variable and the success against the initial step size, a line for each size."""
    import matplotlib.pyplot as plt

    shown, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True, sharey="row", layout="constrained")
    for column, name in zip(axes.T, MAKERS, strict=True):
        column[0].set_title(name)
        for index, variables in enumerate(SIZES):
            own = [row for row in found if row["method"] == name and row["variables"] == variables]
            if not own:
                continue
            colour, x = plt.cm.viridis(index / len(SIZES)), [row["delta_init"] for row in own]
            cost = [float("nan") if row["median"] is None else row["median"] / variables for row in own]
            column[0].loglog(x, cost, "o-", color=colour, label=f"{variables:,}")
            share = [100 * row["solved"] / row["runs"] for row in own]
            column[1].semilogx(x, share, "o-", color=colour)
        column[1].set_xlabel("first step size delta_init")
        column[1].set_ylim(-5, 105)
    axes[0, 0].set_ylabel("median evaluations a variable")
    axes[1, 0].set_ylabel("runs that found the optimum, %")
    axes[0, 0].legend(title="variables", ncols=2, fontsize="small")
    shown.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", action="store_true", help="draw it from the JSON, measure nothing")
    result = RESULTS / "robustness.json"
    if not parser.parse_args().figure:
        result = write("robustness", {"choices": CHOICES, "rows": rows()})
    figure(json.loads(Path(result).read_text())["rows"], PICTURE)


if __name__ == "__main__":
    main()
