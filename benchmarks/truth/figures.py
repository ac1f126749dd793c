"""Figures from rows of searches: mean rank, worth, and closed distance, each with its standard error.

A network of rank r among n is worth (n + 1) / r - 1 random networks: the best of that many has rank r on
average. Worth over cost is that number divided by the cost in trainings: at most 1 for random networks that
are trained in full.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.truth.problems import Problem, sizes_of
from benchmarks.truth.tables import Table

__all__ = ["RANDOM", "TABLES", "figures_of", "free_figures", "joint", "largest_of"]

RANDOM = tuple(f"random, alone for {each}" for each in ("1/4", "1/2", "1"))
"""The rules for random networks trained alone: the share of a training that each gets."""
TABLES = {
    "fashion": ("fashion",),
    "osuleaf": ("osuleaf",),
    "nb201": ("nb201",),
    "macro": ("macro", "macro60", "macro40"),
    "widths": ("widths",),
}
"""The tables, with equal weight in the joint figures; one with several problems counts as their mean."""
DRAWS = (2, 3, 4)

Row = Mapping[str, Any]
Figures = dict[str, Any]


def figures_of(table: Table, rows: Sequence[Row]) -> dict[str, dict[str, Figures]]:
    """Return the figures of every cost and method.

    Args:
        table: The truth for the networks within the budget.
        rows: The rows of one problem, as `worth.py` writes them.
    """
    costs = sorted({row["cost"] for row in rows})
    return {f"{cost:g}": _of_one_cost(table, [row for row in rows if row["cost"] == cost]) for cost in costs}


def _of_one_cost(table: Table, rows: Sequence[Row]) -> dict[str, Figures]:
    closed: dict[str, dict[int, float]] = {}
    for row in rows:
        closed.setdefault(row["method"], {})[row["seed"]] = 100.0 * table.closed(_truth(table, row))
    rules = [rule for rule in RANDOM if rule in closed]
    # The best rule for this table in hindsight, which favours random networks.
    rival = max(rules, key=lambda rule: statistics.fmean(closed[rule].values()), default=None)
    figures = {}
    for method, of_seed in closed.items():
        own = [row for row in rows if row["method"] == method]
        figures[method] = _figures(table, own)
        if rival is not None and method not in RANDOM:
            pairs = [closed[rival][seed] - own for seed, own in of_seed.items() if seed in closed[rival]]
            gain, error = _mean(pairs)
            ahead = {"random": rival, "random_gain": _short(gain), "random_gain_error": _short(error)}
            figures[method] |= ahead | {"random_ahead": bool(gain > error)}
    return figures


def _figures(table: Table, rows: Sequence[Row]) -> Figures:
    truth = [_truth(table, row) for row in rows]
    ranks = [table.rank(value) for value in truth]
    shares = [100.0 * table.closed(value) for value in truth]
    rank, rank_error = _mean(ranks)
    closed, closed_error = _mean(shares)
    cost, worth = rows[0]["cost"], table.worth(rank)
    worth_error = (worth + 1.0) / rank * rank_error  # the error of the rank, times the slope
    return {
        "seeds": len(rows),
        "rank": _short(rank),
        "rank_error": _short(rank_error),
        "worth": _short(worth),
        "worth_error": _short(worth_error),
        "worth_over_cost": _short(worth / cost),
        "worth_over_cost_error": _short(worth_error / cost),
        "closed": _short(closed),
        "closed_error": _short(closed_error),
        "worst_closed": _short(min(shares)),
        "worst_rank": max(ranks),
        "nothing_found": sum(row["found"] is None for row in rows),
        "units": round(max(row["units"] for row in rows), 1),
        "cpu_seconds": round(statistics.fmean(row["cpu_seconds"] for row in rows), 1),
    }


def _truth(table: Table, row: Row) -> float:
    """Return the score of the found network, or the last network's if none within the budget was found."""
    return table.means.get(row["found"], min(table.means.values()))


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error, nan if there is none."""
    if not values:
        return math.nan, math.nan
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return statistics.fmean(values), error


def _short(value: float) -> float | None:
    """Return a figure for JSON, which has no nan."""
    return None if math.isnan(value) else round(value, 3)


# --- what costs nothing ---------------------------------------------------------------------------------


def largest_of(sizes: Mapping[str, float], draws: int) -> dict[str, float]:
    """Return the probability of each network to be the largest of several uniform draws; ties share.

    Example:
        >>> largest_of({"a": 1.0, "b": 2.0}, draws=2)
        {'a': 0.25, 'b': 0.75}
    """
    values = np.sort(list(sizes.values()))
    probabilities = {}
    for key, size in sizes.items():
        below, upto = (int(np.searchsorted(values, size, side=side)) for side in ("left", "right"))
        share = (upto / len(values)) ** draws - (below / len(values)) ** draws
        probabilities[key] = share / (upto - below)
    return probabilities


def free_figures(problem: Problem, table: Table) -> dict[str, Figures]:
    """Return exact figures for rules without training: the largest network, and the largest of a few draws.

    All are within the budget. `worst` is a network such that one in twenty runs finds it or a worse one.
    """
    sizes = {key: sizes_of(problem)[key] for key in table.scores}
    most = max(sizes.values())
    largest = [key for key, size in sizes.items() if size == most]
    laws = {"largest network": dict.fromkeys(largest, 1.0 / len(largest))}
    laws |= {f"largest of {draws}": largest_of(sizes, draws) for draws in DRAWS}
    return {name: _expected(table, law) for name, law in laws.items()}


def _expected(table: Table, law: Mapping[str, float]) -> Figures:
    truth = np.array([table.means[key] for key in law])
    share, order = np.array(list(law.values())), np.argsort(truth)
    closed = 100.0 * (truth - table.median) / (table.best - table.median)
    mean = float(share @ closed)
    worst = order[np.searchsorted(np.cumsum(share[order]), 0.05)]
    rank = float(share @ [table.rank(value) for value in truth])
    return {
        "rank": _short(rank),
        "worth": _short(table.worth(rank)),
        "closed": _short(mean),
        "closed_sd": _short(float(np.sqrt(share @ (closed - mean) ** 2))),
        "worst_closed": _short(float(closed[worst])),
        "worst_rank": table.rank(float(truth[worst])),
    }


# --- all tables -----------------------------------------------------------------------------------------


def joint(problems: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means over the tables, at each cost, of every method that has been run.

    A method that cannot search one of the tables gets the mean of the others, with their number. `worths` are
    those of all problems, also of problems in no table.

    Args:
        problems: The results of `worth.py`, by problem.
    """
    free = {name: found["free"] for name, found in problems.items()}
    costs = sorted({cost for found in problems.values() for cost in found["costs"]}, key=float)
    figures = {
        cost: _over_tables({name: found["costs"].get(cost, {}) for name, found in problems.items()})
        for cost in costs
    }
    for methods in figures.values():
        rules = [rule for rule in RANDOM if rule in methods]
        if rules:  # one rule for all tables, the best of them
            best = max(rules, key=lambda rule: (methods[rule]["tables"], methods[rule]["closed"]))
            methods["random, alone"] = methods[best] | {"rule": best}
    return {"free": _over_tables(free), "costs": figures}


def _over_tables(problems: Mapping[str, Mapping[str, Figures]]) -> dict[str, Figures]:
    names = [name for names in TABLES.values() for name in names]
    methods = dict.fromkeys(method for name in names for method in problems.get(name, {}))
    return {method: _joint(problems, method) for method in methods}


def _joint(problems: Mapping[str, Mapping[str, Figures]], method: str) -> Figures:
    means: dict[str, list[float]] = {}
    squares: dict[str, list[float]] = {}
    figures: Figures = {"tables": 0, "problems": 0, "random_ahead": 0}
    for names in TABLES.values():
        own = [problems[name][method] for name in names if method in problems.get(name, {})]
        figures["tables"] += bool(own)
        figures["problems"] += len(own)
        figures["random_ahead"] += sum(found.get("random_ahead", False) for found in own)
        for figure in ("worth", "worth_over_cost", "closed"):
            if own and figure in own[0]:
                means.setdefault(figure, []).append(statistics.fmean(found[figure] for found in own))
                errors = [found.get(f"{figure}_error") for found in own]
                variance = sum((math.nan if error is None else error) ** 2 for error in errors)
                squares.setdefault(figure, []).append(variance / len(own) ** 2)
    figures["worths"] = {name: found[method]["worth"] for name, found in problems.items() if method in found}
    for figure, values in means.items():
        figures[figure] = _short(statistics.fmean(values))
        figures[f"{figure}_error"] = _short(math.sqrt(sum(squares[figure])) / len(values))
    return figures
