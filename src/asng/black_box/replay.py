"""Read back the log of a search, so that a resumed search takes logged calls of f from it.

A resumed search does not restore a state: it runs again from the start, and takes the outcome of every logged
call from the log. It thus arrives at the same bits, whatever it was doing when it was killed.
"""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from asng.black_box.calling import CallOutcome
from asng.errors import RunError, in_one_line
from asng.runs.events import EndEvent, EvaluationEvent, Event, StartEvent, StepEvent, ThetaEvent
from asng.runs.folder import LOG
from asng.space import Architecture, Space

__all__ = ["Record", "RecordReader", "evaluation_event"]

Place = tuple[int, int]
"""Generation, and place in it; in an asynchronous search, generation and number of the draw."""


class Logged(NamedTuple):
    """A logged call; `drawn` is that of its event."""

    architecture: Architecture
    outcome: CallOutcome
    drawn: int | None


@dataclass
class Record:
    """The content of a search's log.

    Attributes:
        start: The first event; empty if nothing was logged.
        calls: Each call of f by its place, in the order in which the calls came back.
        seconds: How long the search had taken, by generation that was told.
        thetas: Generations after which theta was logged.
        end: The last event, if it is an end.
        elapsed: Seconds that the logged part took.
    """

    start: StartEvent = field(default_factory=StartEvent)
    calls: dict[Place, Logged] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    thetas: set[int] = field(default_factory=set)
    end: EndEvent | None = None
    elapsed: float = 0.0

    @property
    def evaluated(self) -> int:
        """Number of calls that the logged search took in; a few that came back after its end are not."""
        ended = None if self.end is None else self.end.evaluated
        return len(self.calls) if ended is None else min(ended, len(self.calls))

    def outcome(self, place: Place, architecture: Architecture) -> CallOutcome | None:
        """Return the logged outcome of a call, or None, and forget it, since it is asked for only once.

        Raises:
            RunError: The log has another architecture there, so the search does not repeat itself.
        """
        if place not in self.calls:
            return None
        logged = self.calls.pop(place)
        if logged.architecture != architecture:
            raise self.other(place, architecture)
        return logged.outcome

    def other(self, place: Place, drawn: Architecture | None) -> RunError:
        """Return the error for a search that does not repeat itself; `drawn` is what it drew at the place."""
        return RunError(
            f"log.jsonl, generation {place[0]}, place {place[1]}: expected the logged call, got {drawn!r}: "
            "the run was made by another optimiser, or by another version of asng or NumPy. Resume it with "
            "those, or pass overwrite=True to start again."
        )


class RecordReader:
    """Reads the events of a log one by one, since there may be a million.

    Args:
        folder: The run folder.
        space: The search space.
    """

    def __init__(self, folder: Path, space: Space) -> None:
        self._path, self._space = folder / LOG, space
        self._record = Record()
        self.seen = 0

    def take(self, event: Event | None) -> None:
        """Take in an event.

        Raises:
            RunError: The event is of another kind of run or another space, or lacks something.
        """
        self.seen += 1
        where = f"{self._path}, line {self.seen}"
        record = self._record
        record.end = event if isinstance(event, EndEvent) else None
        match event:
            case StartEvent():
                record.start = _checked_start(event, where, self._space)
            case EvaluationEvent():
                watched = (record.start.settings or {}).get("activity") is not False
                found = _call(event, where, self._space, watched=watched)
                record.calls[event.generation, event.place] = Logged(*found, event.drawn)
                record.elapsed = max(record.elapsed, event.at or 0.0)
            case StepEvent():
                if not isinstance(event.seconds, float) or not math.isfinite(event.seconds):
                    raise RunError(f"{where}: expected the seconds of the search, got {event.seconds}.")
                record.seconds[event.step] = event.seconds
                record.elapsed = max(record.elapsed, event.seconds)
            case ThetaEvent():
                record.thetas.add(event.step)

    def record(self) -> Record:
        """Return the record of the events taken in.

        Raises:
            RunError: There are events, but no start of `asng.minimize`.
        """
        if self.seen and self._record.start.kind is None:
            raise RunError(f"{self._path}: expected the start of a run of asng.minimize, found none.")
        return self._record


def _checked_start(event: StartEvent, where: str, space: Space) -> StartEvent:
    if event.kind != "minimize":
        raise RunError(f"{where}: expected a run of asng.minimize, got one of another kind.")
    if event.settings is None:
        raise RunError(f"{where}: expected settings by name, got none.")
    ours = json.loads(space.to_json())
    if event.space != ours or list(event.space or ()) != list(ours):
        raise RunError(
            f"{where}: expected a run over the same space, its variables in the same order, got one over "
            "another. Resume it with its own space."
        )
    return event


def _call(
    event: EvaluationEvent, where: str, space: Space, *, watched: bool
) -> tuple[Architecture, CallOutcome]:
    try:
        architecture = Architecture(event.architecture)
        space.check(architecture)
        loss = float(event.loss)
        constraints, losses = (
            None if of is None else {_once(name): float(value) for name, value in of.items()}
            for of in (event.constraints, event.losses)
        )
        curve = tuple((step, float(value)) for step, value in event.curve)
        active = event.active or ()
        if len(architecture.keys() & set(active)) < len(active):
            raise ValueError(
                f"active: expected variables of the architecture, each once, got {active!r:.200}"
            )
    except ValueError as error:  # a SpaceError is one
        raise RunError(
            f"{where}: expected an event of a search, got one that cannot be read: "
            f"{in_one_line(repr(error))}."
        ) from error
    # In the order of the space, with names and values once in memory rather than once per line.
    architecture = Architecture({name: _once(architecture[name]) for name in space if name in architecture})
    reads = tuple(map(_once, architecture if event.active is None else event.active)) if watched else None
    return architecture, CallOutcome(
        loss=loss,
        reads=reads,
        seconds=event.seconds,
        error=event.error,
        constraints=constraints,
        losses=losses,
        curve=curve,
        stopped=event.stopped,
    )


def _once(value: Any) -> Any:
    return sys.intern(value) if type(value) is str else value


def evaluation_event(
    place: Place, architecture: Architecture, outcome: CallOutcome, at: float, drawn: int | None = None
) -> EvaluationEvent:
    """Return the log event of a call; a loss that JSON has no number for becomes a string, as from `repr`."""
    return EvaluationEvent(
        generation=place[0],
        place=place[1],
        architecture=dict(architecture),
        loss=_json(outcome.loss),
        seconds=round(outcome.seconds, 6),
        active=None if outcome.reads == tuple(architecture) else outcome.reads,
        error=outcome.error,
        at=round(at, 6),
        drawn=drawn,
        constraints=_all_json(outcome.constraints),
        losses=_all_json(outcome.losses),
        curve=[(step, _json(value)) for step, value in outcome.curve],
        stopped=outcome.stopped,
    )


def _json(value: float) -> float | str:
    return value if math.isfinite(value) else repr(value)


def _all_json(values: Mapping[str, float] | None) -> dict[str, float | str] | None:
    return None if values is None else {name: _json(value) for name, value in values.items()}
