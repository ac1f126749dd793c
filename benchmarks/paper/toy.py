"""The paper's toy problem over its whole grid: how often each method finds the optimum, and after how long.

python -m benchmarks.paper.toy --run-dir runs/toy
"""

import argparse
import math
import os
import resource
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console

from asng.experiments.toy import ToySettings, resume_toy, run_toy
from asng.experiments.toy.report import MEASURES, TOY, ToyCell, ToyGrid, outcome, premature, read_toy
from asng.report import summary_table, write_report
from benchmarks.record import write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", default="runs/toy")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    folder, load = Path(arguments.run_dir), os.getloadavg()
    if (folder / "toy.json").exists():
        resume_toy(folder, workers=arguments.workers)
    else:
        run_toy(ToySettings(), folder, seeds=range(arguments.seeds), workers=arguments.workers)
    write_report(folder, kinds=[TOY])
    Console().print(summary_table(folder, kinds=[TOY]))
    grid = read_toy(folder / "toy.json")
    assert grid is not None
    figures = {
        "seeds": list(range(arguments.seeds)),
        "settings": dict(grid.settings),
        "wall_seconds": grid.seconds,
        "cpu_seconds_of_workers": resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime,
        "load_average_before": load,
        "load_average_after": os.getloadavg(),
        "methods": [over_the_grid(grid, method) for method in grid.methods],
        "rows": [row(grid, cell) for cell in grid.cells],
    }
    print(write("toy", figures))


def over_the_grid(grid: ToyGrid, method: str) -> dict[str, Any]:
    cells = [cell for cell in grid.cells if cell.method == method]
    shares = {
        measure.name: statistics.fmean(outcome(cell, measure, grid.variables).share for cell in cells)
        for measure in MEASURES
    }
    early = premature(cells, grid.variables)
    return {"method": method, "runs": sum(len(cell.stopped) for cell in cells), "success": shares} | {
        "stopped_with_a_wrong_mode": len(early),
        "fewest_right_when_stopped": min(early, default=None),
    }


def row(grid: ToyGrid, cell: ToyCell) -> dict[str, Any]:
    by_measure = {}
    for measure in MEASURES:
        share, quartiles = outcome(cell, measure, grid.variables)
        by_measure[measure.name] = {"success": share, "quartiles": [finite(value) for value in quartiles]}
    early = premature([cell], grid.variables)
    return {
        "method": cell.method,
        "exponent": cell.exponent,
        "learning_rate": cell.learning_rate,
        **by_measure,
        "median_settled": finite(
            statistics.median_low(math.inf if at is None else at for at in cell.settled)
        ),
        "stopped_with_a_wrong_mode": len(early),
    }


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


if __name__ == "__main__":
    main()
