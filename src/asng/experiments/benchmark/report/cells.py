"""The finished cells of a benchmark, benchmark.jsonl, read and checked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asng.errors import RunError
from asng.runs.fields import as_list, number, positive, text, whole
from asng.runs.log import parse_lines

__all__ = ["BenchmarkCell", "BenchmarkRun", "Group", "benchmark_cell", "read_benchmark"]


@dataclass(frozen=True)
class BenchmarkCell:
    """One method on one problem with one seed.

    Attributes:
        problem: Its name.
        method: Its name.
        seed: Of the run.
        budget: Evaluations.
        hit: The evaluation that first drew a good enough point; infinite where none did.
        distinct: How many points were different.
        regret: Evaluation and true value above the optimum, wherever that fell.
        microseconds: Of ask and tell, an evaluation.
    """

    problem: str
    method: str
    seed: int
    budget: int
    hit: float
    distinct: int
    regret: tuple[tuple[float, float], ...]
    microseconds: float


@dataclass(frozen=True)
class Group:
    """The seeds of one method on one problem."""

    method: str
    cells: tuple[BenchmarkCell, ...]

    @property
    def hits(self) -> list[float]:
        """Evaluations to the target, infinite where it was not reached."""
        return [cell.hit for cell in self.cells]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Those of the hits, each that of one run; a run without success counts as longer than any."""
        return tuple(np.quantile(self.hits, (0.25, 0.5, 0.75), method="inverted_cdf").tolist())

    @property
    def budget(self) -> int:
        """The least that a run had."""
        return min(cell.budget for cell in self.cells)


@dataclass(frozen=True)
class BenchmarkRun:
    """All finished cells, by problem, and circumstances of the last one."""

    groups: Mapping[str, Sequence[Group]]
    circumstances: Mapping[str, Any]


def read_benchmark(path: Path) -> BenchmarkRun:
    """Read benchmark.jsonl; a torn last line is left out.

    Raises:
        RunError: The file is unreadable, or a line is no finished cell.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: expected a readable file of runs, got: {error.strerror}.") from error
    groups: dict[str, dict[str, list[BenchmarkCell]]] = {}
    last: Mapping[str, Any] = {}
    for index, last in enumerate(parse_lines(content, path), start=1):
        cell = benchmark_cell(last, f"{path}, line {index}")
        groups.setdefault(cell.problem, {}).setdefault(cell.method, []).append(cell)
    return BenchmarkRun(
        {name: [Group(m, tuple(c)) for m, c in methods.items()] for name, methods in groups.items()},
        {name: last[name] for name in ("versions", "machine") if last.get(name)},
    )


def benchmark_cell(data: Mapping[str, Any], where: str) -> BenchmarkCell:
    """Check a finished cell as JSON has it; `where` is told in errors."""
    hit = number(data, "hit", where)
    pairs = [as_list(pair, f"{where}, regret") for pair in as_list(data.get("regret"), f"{where}, regret")]
    if any(len(pair) != 2 for pair in pairs):
        raise RunError(f"{where}, regret: expected pairs of evaluation and regret, got {pairs!r:.80}.")
    return BenchmarkCell(
        problem=text(data, "problem", where, "problem"),
        method=text(data, "method", where, "method"),
        seed=whole(data, "seed", where) or 0,
        budget=positive(data, "budget", where) if "budget" in data else 1,
        hit=math.inf if math.isnan(hit) else hit,
        distinct=whole(data, "distinct", where) or 0,
        regret=tuple(
            (number({"at": at}, "at", where), number({"regret": value}, "regret", where))
            for at, value in pairs
        ),
        microseconds=number(data, "microseconds", where),
    )
