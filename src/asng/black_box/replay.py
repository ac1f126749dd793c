"""What a log holds of a run, and the way back: which calls of f were paid for, which generations told.

A resumed run is not put back into a state: it is run again from the start, and every call that the log holds
is taken from there. So it comes to the same bits, whatever it was doing when it was killed.
"""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asng.black_box.calling import CallOutcome
from asng.errors import RunError, SpaceError, in_one_line
from asng.runs.folder import LOG
from asng.space import Architecture, Space

__all__ = ["Record", "RecordReader", "evaluation_fields"]

Place = tuple[int, int]
"""Generation, and place in it."""


@dataclass
class Record:
    """What was logged.

    Attributes:
        start: Fields of the first event; empty where nothing was logged.
        calls: Architecture and outcome of each call of f, by its place.
        seconds: How long the search had taken after each generation that was told.
        thetas: Generations after which theta was logged.
        end: Fields of the last event, where that was an end.
        elapsed: Seconds that the logged part took.
    """

    start: Mapping[str, Any] = field(default_factory=dict)
    calls: dict[Place, tuple[Architecture, CallOutcome]] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    thetas: set[int] = field(default_factory=set)
    end: Mapping[str, Any] = field(default_factory=dict)
    elapsed: float = 0.0

    def outcome(self, place: Place, architecture: Architecture) -> CallOutcome | None:
        """Return what was logged of a call, or None, and forget it: it is asked for once.

        Raises:
            RunError: Another architecture was called there: the search does not repeat itself.
        """
        if place not in self.calls:
            return None
        logged, outcome = self.calls.pop(place)
        if logged != architecture:
            raise RunError(
                f"log.jsonl, generation {place[0]}: expected {architecture!r}, got {logged!r}: the run was "
                "made by another optimiser, or by another version of asng or NumPy. Resume it with those, or "
                "search anew with overwrite."
            )
        return outcome


class RecordReader:
    """Takes in the events of a log one after the other: there may be a million.

    Args:
        folder: The run folder.
        space: What is searched.
    """

    def __init__(self, folder: Path, space: Space) -> None:
        self._path, self._space = folder / LOG, space
        self._record = Record()
        self.seen = 0

    def take(self, event: dict[str, Any]) -> None:
        """Take in an event.

        Raises:
            RunError: It is of another kind of run or another space, or lacks something.
        """
        self.seen += 1
        where = f"{self._path}, line {self.seen}"
        try:
            self._take(event, where)
        except (ArithmeticError, KeyError, TypeError, ValueError, SpaceError) as error:
            raise RunError(
                f"{where}: expected an event of a search, got one that fails: {in_one_line(repr(error))}."
            ) from error

    def _take(self, event: dict[str, Any], where: str) -> None:
        record, kind = self._record, event.get("event")
        if kind == "start":
            record.start = _checked_start(event, where, self._space)
        elif kind == "evaluation":
            record.calls[event["generation"], event["place"]] = _call(event, self._space)
        elif kind == "step":
            seconds = record.seconds[int(event["step"])] = float(event["seconds"])
            record.elapsed = max(record.elapsed, seconds)
        elif kind == "theta":
            record.thetas.add(int(event["step"]))
        if kind != "resume":  # in the log of an older asng
            record.end = event if kind == "end" else {}

    def record(self) -> Record:
        """Return what was taken in.

        Raises:
            RunError: It lacks a start.
        """
        if self.seen and not self._record.start:
            raise RunError(f"{self._path}: expected a start of asng.minimize, found none.")
        return self._record


def _checked_start(event: dict[str, Any], where: str, space: Space) -> dict[str, Any]:
    if event.get("kind") != "minimize":
        raise RunError(f"{where}: expected a run of asng.minimize, got one of another kind.")
    if not isinstance(event.get("settings"), dict):
        raise RunError(f"{where}: expected settings by name, got {event.get('settings')!r:.80}.")
    if event["space"] != json.loads(space.to_json()):
        raise RunError(
            f"{where}: expected a run over the same space, got one over another. Resume it with its own."
        )
    return event


def _call(event: dict[str, Any], space: Space) -> tuple[Architecture, CallOutcome]:
    architecture = Architecture(event["architecture"])
    space.check(architecture)
    # Names and values as the space has them, once in memory and not once a line.
    architecture = Architecture({name: _once(architecture[name]) for name in space})
    active = event.get("active")
    outcome = CallOutcome(
        loss=float(event["loss"]),
        active=None if active is None else frozenset(map(_once, active)),
        seconds=float(event["seconds"]),
        error=event.get("error"),
    )
    return architecture, outcome


def _once(value: Any) -> Any:
    return sys.intern(value) if type(value) is str else value


def evaluation_fields(place: Place, architecture: Architecture, outcome: CallOutcome) -> dict[str, Any]:
    """Return what the log holds of a call. A loss that JSON has no number for is a string, as of `repr`."""
    fields: dict[str, Any] = {
        "generation": place[0],
        "place": place[1],
        "architecture": dict(architecture),
        "loss": outcome.loss if math.isfinite(outcome.loss) else repr(outcome.loss),
        "seconds": round(outcome.seconds, 6),
    }
    if outcome.active is not None:
        fields["active"] = sorted(outcome.active)
    if outcome.error is not None:
        fields["error"] = outcome.error
    return fields
