"""The finalists of a search, which were trained alone at its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asng.report.fields import as_object, number, text
from asng.report.words import score

__all__ = ["FinalistScores", "finalist_of", "finalist_rows", "told_apart"]

_MOST_COLUMNS = 12
"""Variables by which finalists are told apart in a table; what is more does not fit on a page."""
_ROADS = {
    "theta": "drawn from theta",
    "uniform": "drawn uniformly",
    "neighbour": "neighbour of the best before",
}


@dataclass(frozen=True)
class FinalistScores:
    """One finalist.

    Attributes:
        architecture: Name to value.
        road: How it came in: "theta", "uniform" or "neighbour".
        shared: Its objective on the shared weights, by which it was chosen; NaN if not finite.
        alone: Its objective after it was trained alone, by which the best is found; NaN if not finite.
    """

    architecture: Mapping[str, Any]
    road: str
    shared: float
    alone: float


def finalist_of(event: Mapping[str, Any], where: str) -> FinalistScores:
    """Return the finalist of an event of the log."""
    architecture = as_object(event.get("architecture"), f"{where}, architecture")
    road = text(event, "road", where, "theta")  # the only road there was in earlier runs
    return FinalistScores(architecture, road, number(event, "shared", where), number(event, "alone", where))


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
