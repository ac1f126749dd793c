"""The finalists of a search, which were trained alone at its end."""

from collections.abc import Mapping, Sequence
from typing import Any

from asng.report.words import score
from asng.runs.history import FinalistScores

__all__ = ["finalist_rows", "told_apart"]

_MOST_COLUMNS = 12
"""Variables by which finalists are told apart in a table; what is more does not fit on a page."""
_ROADS = {
    "theta": "drawn from theta",
    "uniform": "drawn uniformly",
    "neighbour": "neighbour of the best before",
}


def told_apart(finalists: Sequence[FinalistScores]) -> list[str]:
    """Return the variables in which finalists differ, at most twelve."""
    names = dict.fromkeys(name for finalist in finalists for name in finalist.architecture)
    differing = [
        n for n in names if any(f.architecture.get(n) != finalists[0].architecture.get(n) for f in finalists)
    ]
    return differing[:_MOST_COLUMNS]


def finalist_rows(
    finalists: Sequence[FinalistScores], found: Mapping[str, Any] | None
) -> list[tuple[bool, list[str]]]:
    """Return a row each: whether it was found, then its road, both objectives and what tells it apart."""
    names = told_apart(finalists)
    return [
        (
            found is not None and dict(finalist.architecture) == dict(found),
            [
                _ROADS.get(finalist.road, finalist.road),
                score(finalist.shared),
                score(finalist.alone),
                *(_words(finalist.architecture.get(name)) for name in names),
            ],
        )
        for finalist in finalists
    ]


def _words(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
