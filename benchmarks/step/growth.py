"""How the cost of a search step grows with candidates, batch, cells, channels and variables.

OMP_NUM_THREADS=1 python -m benchmarks.step.growth     # about five minutes of one core; --figure draws only

One quantity grows at a time, in a smaller cell space of the paper (`growths/axes.py`), with the same
architectures. All sizes of all quantities take turns within a repeat, in a random order, so that the noise of
the machine affects all of them alike. Figures use medians over repeats, by CPU time and by the wall clock: a
power law fitted in logarithms, and a line with a fixed part.
"""

import argparse
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import spread
from benchmarks.record import RESULTS, write
from benchmarks.step.growths.axes import AXES, SEED, Axis, Base, Side
from benchmarks.step.growths.fits import line_of, power_of
from benchmarks.step.growths.picture import draw

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "growth.png"
CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}


def turns(sides: Mapping[Any, Side], repeats: int) -> dict[Any, dict[str, list[float]]]:
    """Return the milliseconds of a step of each side by each clock, for every repeat after the first."""
    order = random.Random(SEED)
    taken: dict[Any, dict[str, list[float]]] = {key: {name: [] for name in CLOCKS} for key in sides}
    for repeat in range(repeats + 1):
        for key in order.sample(list(sides), len(sides)):
            start = {name: clock() for name, clock in CLOCKS.items()}
            sides[key].turn()
            for name, clock in CLOCKS.items():
                if repeat:
                    taken[key][name].append(1e3 * (clock() - start[name]) / sides[key].steps)
    return taken


def row_of(size: int, side: Side, times: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return the measurements at a size."""
    return {
        "size": size,
        "steps_a_turn": side.steps,
        "multiply_adds": side.passed,
        **{f"{name}_ms": spread(some) for name, some in times.items()},
    }


def figures_of(title: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how the medians grow, also relative to the multiply-adds of the passes if there are any."""
    sizes = [row["size"] for row in rows]
    counted = None if rows[0]["multiply_adds"] is None else [row["multiply_adds"] for row in rows]
    figures: dict[str, Any] = {"title": title}
    figures["counted_slope"] = None if counted is None else round(power_of(sizes, counted).slope, 4)
    for name in CLOCKS:
        medians = [row[f"{name}_ms"]["median"] for row in rows]
        line = line_of(sizes, medians)
        figures[name] = {
            "power": _short(power_of(sizes, medians)._asdict()),
            "line": _short(line._asdict()),
            "fixed_share": [round(line.fixed / (line.fixed + line.each * size), 4) for size in sizes],
        }
        if counted is not None:
            figures[name]["over_multiply_adds"] = _short(power_of(counted, medians)._asdict())
    return {**figures, "rows": rows}


def _short(fit: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in fit.items()}


def measure(axes: Mapping[str, Axis], base: Base, repeats: int) -> dict[str, Any]:
    """Measure all sizes of all axes together, and return the figures of each axis."""
    sides = {(name, size): axis.side(base, size) for name, axis in axes.items() for size in axis.sizes}
    times = turns(sides, repeats)
    return {
        name: figures_of(axis.title, [row_of(n, sides[name, n], times[name, n]) for n in axis.sizes])
        for name, axis in axes.items()
    }


def show(measured: Mapping[str, Mapping[str, Any]]) -> None:
    print(f"{'':12}{'slope':>16}{'by the clock':>16}{'fixed, ms':>20}{'each, ms':>22}{'off the line':>14}")
    for name, axis in measured.items():
        (cpu, wall), line = (axis[clock]["power"] for clock in CLOCKS), axis["cpu"]["line"]
        slopes = (f"{power['slope']:.3f} +- {power['error']:.3f}" for power in (cpu, wall))
        fixed, each = (f"{line[part]:.4g} +- {line[f'{part}_error']:.2g}" for part in ("fixed", "each"))
        print(
            f"{name:12}" + "".join(f"{text:>16}" for text in slopes),
            f"{fixed:>19}{each:>22}{line['off']:>14.1%}",
        )
        if "over_multiply_adds" in axis["cpu"]:
            over = axis["cpu"]["over_multiply_adds"]
            print(
                f"{'':12}multiply-adds grow by a slope of {axis['counted_slope']:.3f}, "
                f"time with them by {over['slope']:.3f} +- {over['error']:.3f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="2 or more (default: 7)")
    parser.add_argument("--figure", action="store_true", help="draw it from the JSON, measure nothing")
    arguments = parser.parse_args()
    result = RESULTS / "growth.json"
    if not arguments.figure:
        torch.set_num_threads(1)
        base, start = Base(), time.perf_counter()
        measured = measure(AXES, base, arguments.repeats)
        seconds = round(time.perf_counter() - start)
        head = {"seed": SEED, "repeats": arguments.repeats, "seconds": seconds, "base": asdict(base)}
        result = write("growth", {**head, "axes": measured})
    measured = json.loads(result.read_text())["axes"]
    show(measured)
    draw(measured, PICTURE)


if __name__ == "__main__":
    main()
