"""Read benchmark.jsonl, group its cells by problem and method, and make the tables and the verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from asng.errors import RunError
from asng.experiments.benchmark.trial import BenchmarkCell
from asng.report.table import cell
from asng.report.words import UNKNOWN, count
from asng.runs.log import read_lines
from asng.runs.stored import stored

__all__ = [
    "HEADINGS",
    "OURS",
    "BenchmarkRun",
    "Group",
    "benchmark_rows",
    "benchmark_table",
    "benchmark_verdict",
    "read_benchmark",
    "wins_and_losses",
]

OURS = "ASNG"
"""The method that the others are compared with."""
_MOST_GROUPS = 2_000
"""Largest number of (problem, method) pairs in a report: each takes about 0.1 ms, several times."""

HEADINGS = ("method", "solved", "evaluations", "quartiles", "different points", f"{OURS} wins : loses", "µs")


@dataclass(frozen=True)
class Group:
    """The seeds of one method on one problem."""

    method: str
    cells: tuple[BenchmarkCell, ...]

    @property
    def hits(self) -> list[float]:
        """Evaluations to the target, infinite if it was not reached."""
        return [cell.hit for cell in self.cells]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Quartiles of the hits, each the value of one run; a run without success counts as infinite."""
        return tuple(np.quantile(self.hits, (0.25, 0.5, 0.75), method="inverted_cdf").tolist())

    @property
    def budget(self) -> int:
        """The smallest budget of the runs."""
        return min(cell.budget for cell in self.cells)


@dataclass(frozen=True)
class BenchmarkRun:
    """All finished cells, grouped by problem, and the software versions and machine of the last one."""

    groups: Mapping[str, Sequence[Group]]
    circumstances: Mapping[str, Any]


def read_benchmark(path: Path) -> BenchmarkRun:
    """Read benchmark.jsonl; an incomplete last line is skipped.

    Raises:
        RunError: The file is unreadable or has too many groups, or a line is not a finished cell.
    """
    groups: dict[str, dict[str, list[BenchmarkCell]]] = {}
    circumstances: dict[str, Mapping[str, Any]] = {}
    pairs: set[tuple[str, str]] = set()
    for number, row in enumerate(read_lines(path), start=1):
        cell = stored(row, BenchmarkCell, f"{path}, line {number}")
        groups.setdefault(cell.problem, {}).setdefault(cell.method, []).append(cell)
        pairs.add((cell.problem, cell.method))
        if len(pairs) > _MOST_GROUPS:
            raise RunError(
                f"{path}: expected at most {_MOST_GROUPS} pairs of a problem and a method, got more."
            )
        circumstances = {"versions": cell.versions, "machine": cell.machine}
    return BenchmarkRun(
        {name: [Group(m, tuple(c)) for m, c in methods.items()] for name, methods in groups.items()},
        {name: values for name, values in circumstances.items() if values},
    )


def benchmark_table(run: BenchmarkRun, title: Text) -> Table:
    """Return a table with a section for each problem, a row for each method, and the verdict below."""
    table = Table(title=title, caption=Text(benchmark_verdict(run)), caption_justify="left")
    for index, heading in enumerate(("problem", *HEADINGS)):
        table.add_column(Text(heading), justify="left" if index < 2 else "right", no_wrap=index < 2)
    for problem, groups in run.groups.items():
        for index, row in enumerate(benchmark_rows(groups)):
            table.add_row(cell(problem if index == 0 else ""), *map(cell, row))
        table.add_section()
    return table


def benchmark_rows(groups: Sequence[Group]) -> list[list[str]]:
    """Return one row per method, sorted by the median of the evaluations to the target."""
    ours = next((group for group in groups if group.method == OURS), None)
    ordered = sorted(groups, key=lambda group: (group.quartiles[1], group.quartiles[0], -_solved(group)))
    return [_row(group, ours) for group in ordered]


def _row(group: Group, ours: Group | None) -> list[str]:
    first, median, third = (_evaluations(value, group.budget) for value in group.quartiles)
    against = UNKNOWN if ours is None or group is ours else "{} : {}".format(*wins_and_losses(ours, group))
    distinct = sorted(cell.distinct for cell in group.cells)[len(group.cells) // 2]
    spent = [cell.microseconds for cell in group.cells if not math.isnan(cell.microseconds)]
    cost = sorted(spent)[len(spent) // 2] if spent else math.nan
    return [
        group.method,
        f"{_solved(group)} of {len(group.cells)}",
        median,
        f"{first} .. {third}" if math.isfinite(group.quartiles[0]) else UNKNOWN,
        count(distinct),
        against,
        UNKNOWN if math.isnan(cost) else f"{cost:,.0f}",
    ]


def wins_and_losses(ours: Group, other: Group) -> tuple[int, int]:
    """Return for how many common seeds ours needed fewer evaluations, and for how many more.

    If the budgets differ, only hits within the smaller one count. So if the other method does not reach the
    target within a smaller budget, ours wins only if it did within that budget.
    """
    budget = min(ours.budget, other.budget)
    theirs = {cell.seed: cell.hit for cell in other.cells}
    pairs = [(cell.hit, theirs[cell.seed]) for cell in ours.cells if cell.seed in theirs]
    within = [tuple(hit if hit <= budget else math.inf for hit in pair) for pair in pairs]
    return sum(a < b for a, b in within), sum(a > b for a, b in within)


def benchmark_verdict(run: BenchmarkRun) -> str:
    """Say on which problems our method is first by the median, and on which it is not."""
    first, behind = [], []
    for problem, groups in run.groups.items():
        ours = next((group for group in groups if group.method == OURS), None)
        if ours is None or len(groups) < 2:
            continue
        others = [g for g in groups if not g.method.startswith(OURS)]
        best = min(others, key=lambda group: group.quartiles[1], default=None)
        if best is not None and best.quartiles[1] < ours.quartiles[1]:
            behind.append(f"{problem} ({best.method})")
        elif math.isfinite(ours.quartiles[1]):
            first.append(problem)
    if not (first or behind):
        return f"No problem on which half of the runs of {OURS}, or of another, reach the target."
    words = (
        f"By the median of the evaluations to the target, {OURS} is first among the methods that are not its "
    )
    words += f"variants on {len(first)} of {len(run.groups)} problems"
    return f"{words}; behind on {', '.join(behind)}." if behind else f"{words}."


def _solved(group: Group) -> int:
    return sum(math.isfinite(hit) for hit in group.hits)


def _evaluations(value: float, budget: int) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else f"> {budget:,}"
