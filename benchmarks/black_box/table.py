"""The tables of docs/benchmark/asng-minimize.md, made from results/black_box.json alone."""

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.record import RESULTS

__all__ = ["COUNTS", "renew", "tables"]

PAGE = Path(__file__).parents[2] / "docs" / "benchmark" / "asng-minimize.md"
BEGIN, END = "<!-- by benchmarks/black_box/run.py -->\n", "<!-- until there -->\n"
COUNTS = [20, 50, 100, 200, 500]
OURS, PEERS = "minimize", ["TPE", "CatCMAwM", "Nevergrad", "random", "minimize, densities"]
"""The last one is the default of commits before a9d22f9, which had a ratio of two densities for a forest."""
HALVES = {"held_out": "Held out", "development": "Development"}
CLOSE = 1e-12
"""Losses that differ by less, relative to their size, are a tie."""

Row = dict[str, Any]


def renew() -> None:
    """Write the tables into the page."""
    rows = json.loads((RESULTS / "black_box.json").read_text())["runs"]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + tables(rows) + END + rest.partition(END)[2])


def tables(rows: list[Row]) -> str:
    """Return the text between the marks: for each half, wins and losses by group, and medians by problem."""
    parts = []
    for half, title in HALVES.items():
        own = _one_a_seed(row for row in rows if row["half"] == half)
        parts.append(f"\n**{title}**, seeds won : lost, of those that are decided:\n\n{_scores(own)}\n")
        parts.append(f"\n{title}, medians of the least loss after so many calls:\n\n{_medians(own)}\n")
    return "".join(parts)


def _one_a_seed(rows: Iterable[Row]) -> list[Row]:
    """Return one row for each method, problem and seed; each count is from the least budget reaching it."""
    found: dict[tuple[str, str, int], Row] = {}
    for row in sorted(rows, key=lambda row: int(row["budget"])):
        key = row["problem"], row["method"], row["seed"]
        shorter = found.get(key, {**row, "best": []})
        found[key] = {**shorter, "best": [*shorter["best"], *row["best"][len(shorter["best"]) :]]}
    return list(found.values())


def _scores(rows: list[Row]) -> str:
    lines = [["`asng.minimize` against", "calls", *_groups(rows), "seeds"]]
    lines.append(["---"] * len(lines[0]))
    ours = {(row["problem"], row["seed"]): row for row in rows if row["method"] == OURS}
    for peer in PEERS:
        theirs = [row for row in rows if row["method"] == peer and (row["problem"], row["seed"]) in ours]
        for place, count in enumerate(COUNTS):
            pairs = [
                (row["group"], ours[row["problem"], row["seed"]]["best"], row["best"])
                for row in theirs
                if place < min(len(row["best"]), len(ours[row["problem"], row["seed"]]["best"]))
            ]
            if not pairs:
                continue
            reach = [row for row in theirs if place < len(row["best"])]
            seeds = [len({row["seed"] for row in reach if row["group"] == group}) for group in _groups(rows)]
            cells = [
                _score([(a[place], b[place]) for g, a, b in pairs if g == group]) for group in _groups(rows)
            ]
            lines.append([peer, str(count), *cells, _range(seeds)])
    return _table(lines)


def _score(pairs: list[tuple[float, float]]) -> str:
    decided = [a < b for a, b in pairs if abs(a - b) > CLOSE * max(abs(a), abs(b))]
    return f"{sum(decided)} : {len(decided) - sum(decided)}" if pairs else ""


def _medians(rows: list[Row]) -> str:
    methods = [name for name in [OURS, *PEERS] if any(row["method"] == name for row in rows)]
    lines = [["problem", "calls", *(f"`{name}`" for name in methods)]]
    lines.append(["---"] * len(lines[0]))
    for problem in dict.fromkeys(row["problem"] for row in rows):
        for place, count in enumerate(COUNTS):
            cells = []
            for name in methods:
                found = [
                    row["best"][place]
                    for row in rows
                    if row["problem"] == problem and row["method"] == name and place < len(row["best"])
                ]
                cells.append(f"{median(found):.4g}" if found else "")
            if cells[0]:
                lines.append([problem if not place else "", str(count), *cells])
    return _table(lines)


def _groups(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row["group"] for row in rows))


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _table(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
