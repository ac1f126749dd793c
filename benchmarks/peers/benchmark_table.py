"""The table of docs/benchmark.md, made from results/benchmark_*.json alone."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from msgspec import convert

from asng.experiments.benchmark import METHODS, PROBLEMS
from asng.experiments.benchmark.report import OURS, BenchmarkCell, Group, wins_and_losses
from benchmarks.record import RESULTS

PAGE = Path(__file__).parents[2] / "docs" / "benchmark.md"
BEGIN, END = "<!-- by benchmarks/peers/benchmark.py -->\n", "<!-- until here -->\n"
_SEEDS, _BUDGET = 20, 10_000
_NOISY = ("onemax-noise1", "onemax-noise2")

Found = dict[str, dict[str, Group]]
"""By problem, by method."""


def read() -> Found:
    """Return the runs of all problems that have a file."""
    found: Found = {}
    for problem in PROBLEMS:
        path = RESULTS / f"benchmark_{problem}.json"
        if path.exists():
            rows = json.loads(path.read_text())["runs"]
            cells = [convert(row, BenchmarkCell) for row in rows]
            found[problem] = {
                name: Group(name, tuple(cell for cell in cells if cell.method == name))
                for name in METHODS
                if any(cell.method == name for cell in cells)
            }
    return found


def tables(found: Found) -> str:
    """Return the text between the marks: evaluations, different points, and methods that ran less."""
    quiet = {problem: groups for problem, groups in found.items() if problem not in _NOISY}
    return (
        f"\n{_table(found, lambda cell: cell.hit, score=True)}\n"
        "Different points until the target, where losses have no noise:\n\n"
        f"{_table(quiet, lambda cell: cell.distinct if math.isfinite(cell.hit) else math.inf)}\n"
        f"{_fewer(found)}\n"
    )


def renew() -> None:
    """Write the tables into the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + tables(read()) + END + rest.partition(END)[2])


def _table(found: Found, measure: Callable[[BenchmarkCell], float], *, score: bool = False) -> str:
    methods = [name for name in METHODS if any(name in groups for groups in found.values())]
    lines = [["", *(f"`{name}`" for name in methods)], ["---"] * (1 + len(methods))]
    for problem, groups in found.items():
        medians = {name: _median([measure(cell) for cell in g.cells]) for name, g in groups.items()}
        best = min(medians.values())
        cells = [
            _cell(groups[name], medians[name], best=medians[name] == best) if name in groups else ""
            for name in methods
        ]
        lines.append([f"`{problem}`", *cells])
    if score:
        lines.append([f"seeds, {OURS} wins : loses", *(_score(found, name) for name in methods)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(group: Group, median: float, *, best: bool) -> str:
    """Return the median, with failed seeds in brackets, and of how many if not of all seeds."""
    unsolved = sum(math.isinf(hit) for hit in group.hits)
    words = f"{median:,.0f}" if math.isfinite(median) else f"> {group.budget:,}"
    words = f"**{words}**" if best and math.isfinite(median) else words
    if not unsolved:
        return words
    return (
        f"{words} ({unsolved})"
        if len(group.cells) == _SEEDS
        else f"{words} ({unsolved} of {len(group.cells)})"
    )


def _score(found: Found, name: str) -> str:
    pairs = [
        wins_and_losses(groups[OURS], groups[name])
        for groups in found.values()
        if OURS in groups and name in groups and name != OURS
    ]
    return "{} : {}".format(*map(sum, zip(*pairs, strict=True))) if pairs else ""


def _fewer(found: Found) -> str:
    """Return a list of the methods that had fewer seeds or evaluations than the others."""
    lines = []
    for name in METHODS:
        sizes: dict[tuple[int, int], list[str]] = {}
        for problem, groups in found.items():
            if name in groups:
                group = groups[name]
                sizes.setdefault((len(group.cells), group.budget), []).append(f"`{problem}`")
        sizes.pop((_SEEDS, _BUDGET), None)
        parts = [
            f"{seeds} seeds and {budget:,} evaluations on {', '.join(problems)}"
            for (seeds, budget), problems in sorted(sizes.items(), reverse=True)
        ]
        if parts:
            lines.append(f"- `{name}` had {'. '.join(parts)}.\n")
    return "".join(lines)


def _median(values: Sequence[float]) -> float:
    return float(np.quantile(values, 0.5, method="inverted_cdf"))
