"""Read the log of a run, log.jsonl, into columns: there may be a million lines."""

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from asng.checks import as_path
from asng.errors import RunError, SpaceError
from asng.runs.events import (
    EndEvent,
    EvaluationEvent,
    Event,
    FinalistEvent,
    Normal,
    ResumeEvent,
    StartEvent,
    StepEvent,
    Theta,
    ThetaEvent,
    event_of,
)
from asng.runs.folder import RESUMES, resumes_of
from asng.runs.guarded import lines_of, open_plain
from asng.runs.stored import stored, told
from asng.space import Categorical, Space
from asng.space.variables import variable_from_json

__all__ = ["Call", "Calls", "Compared", "Log", "Steps", "read_log"]

_MOST_BEST = 10
"""Number of best calls that are kept with their architectures."""
_MOST_CALLS = 2048
"""Largest size of the sample: more than shares of variance need."""
_MOST_COMPARED = 1024
"""Largest number of steps whose candidates are kept, likewise."""
_MOST_THETAS = 1024
"""Largest number of thetas that are kept: more than any figure has pixels across."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The numbers of all `StepEvent`s, by rising step: arrays of one length, NaN for what is not finite."""

    step: NDArray[np.float64]
    loss: NDArray[np.float64]
    objective: NDArray[np.float64]
    entropy: NDArray[np.float64]
    delta: NDArray[np.float64]
    gamma: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True)
class Call:
    """One call of f in a run of `asng.minimize`.

    Attributes:
        number: Its number, from 1 on, in the order in which calls came back.
        loss: What f returned; NaN if it does not count: see `Calls.losses`.
        architecture: Name to value.
        active: The variables that f read; None for all.
        losses: The losses of several objectives, by name.
        excess: By how much it broke constraints in all.
    """

    number: int
    loss: float
    architecture: Mapping[str, Any]
    active: frozenset[str] | None = None
    losses: Mapping[str, float] | None = None
    excess: float = 0.0


@dataclass(frozen=True, eq=False)
class Calls:
    """All calls of f.

    Attributes:
        losses: Loss of each call, in the order in which calls came back, shape (n,); NaN if f gave none, a
            constraint was broken, or the call was ended early.
        best: At most the ten best calls with a finite loss, the best first; of equal ones the earliest first.
        closest: Of the calls with a loss that broke constraints, the one that broke them least; the first of
            equal ones. None if there is none.
        names: Names of the variables.
        objectives: Names of several objectives; empty for one.
        pairs: The first two objectives of each call that counts, shape (m, 2); empty for one objective.
        sample: At most some two thousand calls, evenly taken from all.
    """

    losses: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    best: tuple[Call, ...] = ()
    closest: Call | None = None
    names: tuple[str, ...] = ()
    objectives: tuple[str, ...] = ()
    pairs: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    sample: tuple[Call, ...] = ()

    def __len__(self) -> int:
        return len(self.losses)


@dataclass(frozen=True)
class Compared:
    """The candidates of a step of a one-shot search.

    Attributes:
        step: The number of the step.
        losses: The loss of each candidate that theta was told; None if that was not finite.
        places: Raw coordinates of each candidate in the order of the space, with the index for a choice; None
            for a variable that was not read.
    """

    step: int
    losses: Sequence[float | None]
    places: Sequence[Sequence[float | None]]


@dataclass(frozen=True, eq=False)
class Log:
    """The content of a whole log.

    Attributes:
        start: The first event, as far as logged.
        space: The space that was searched, or None if the log lacks it.
        steps: One entry per logged step.
        theta: Step and theta, by rising step; thinned evenly to about a thousand.
        resumed: Steps at which the run was resumed.
        budget: Budget of calls of f, as last given; None for a one-shot search.
        end: The last event, or None while the run goes on or after it was killed.
        calls: The calls of f in a run of `asng.minimize`.
        finalists: The finalists of a one-shot search so far; each was trained alone.
        compared: The candidates of steps of a one-shot search; thinned evenly to about a thousand steps.
    """

    start: StartEvent
    space: Space | None
    steps: Steps
    theta: tuple[tuple[int, Theta], ...]
    resumed: tuple[int, ...]
    end: EndEvent | None
    budget: int | None = None
    calls: Calls = field(default_factory=Calls)
    finalists: tuple[FinalistEvent, ...] = ()
    compared: tuple[Compared, ...] = ()


def read_log(path: str | Path) -> Log:
    r"""Read a log; a missing file is an empty log.

    A last line torn by a crash is left out. Steps logged twice, because a run was resumed from an earlier
    checkpoint, count as they were logged last.

    Args:
        path: The file log.jsonl.

    Returns:
        The log.

    Raises:
        InputError: The path is none, or the system cannot look for it.
        RunError: The file is unreadable, or a line, other than a torn last one, is malformed; the message
            says which.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "log.jsonl")
        >>> _ = file.write_text('{"event": "step", "step": 1, "loss": 2.5}\n{"event": "st')
        >>> read_log(file).steps.loss.tolist()
        [2.5]
    """
    path, reader = as_path("path", path, to_read=True), _Reader()
    try:
        with open_plain(path) as file:
            for event in _events(lines_of(file, path), path):
                reader.take(event)
        for note in resumes_of(path.parent):
            reader.take_resume(stored(note, ResumeEvent, str(path.with_name(RESUMES))))
    except FileNotFoundError:
        pass
    return reader.log(str(path))


def _events(lines: Iterator[bytes], path: Path) -> Iterator[Event | None]:
    for number, line in enumerate(lines, start=1):
        try:
            yield event_of(line)
        except msgspec.ValidationError as error:
            raise RunError(f"{path}, line {number}: {told(error)}") from None
        except (ValueError, RecursionError) as error:
            if not line.strip():
                continue
            if not any(rest.strip() for rest in lines):
                return
            raise RunError(
                f"{path}, line {number}: expected one JSON object per line, got {line[:60]!r} ({error}). "
                "Remove the line if the rest is intact."
            ) from None


@dataclass
class _Reader:
    """Gathers events into columns of plain doubles."""

    start: StartEvent = field(default_factory=StartEvent)
    end: EndEvent | None = None
    resumed: list[int] = field(default_factory=list)
    budget: int | None = None
    columns: list["array[float]"] = field(default_factory=lambda: [array("d") for _ in range(7)])
    thetas: list[tuple[int, Theta]] = field(default_factory=list)
    finalists: dict[int, FinalistEvent] = field(default_factory=dict)
    losses: "array[float]" = field(default_factory=lambda: array("d"))
    best: list[Call] = field(default_factory=list)
    closest: Call | None = None
    names: tuple[str, ...] = ()
    objectives: tuple[str, ...] = ()
    pairs: "array[float]" = field(default_factory=lambda: array("d"))
    sample: list[Call] = field(default_factory=list)
    every: int = 1
    compared: list[Compared] = field(default_factory=list)
    every_compared: int = 1
    seen_compared: int = 0
    latest: tuple[int, Theta] | None = None
    stride: int = 1
    seen: int = 0

    def take(self, event: Event | None) -> None:
        self.end = None  # a black-box search may continue after its end, with a larger budget
        match event:
            case StepEvent():
                self.take_step(event)
            case EvaluationEvent():
                self.take_call(event)
            case ThetaEvent():
                self.take_theta(event.step, event.theta)
            case FinalistEvent():  # comes again if it was trained for longer
                self.finalists.pop(event.number, None)
                self.finalists[event.number] = event
            case StartEvent():
                self.start = event
            case ResumeEvent():
                self.take_resume(event)
            case EndEvent():
                self.end = event

    def take_resume(self, event: ResumeEvent) -> None:
        self.resumed.append(event.step)
        self.budget = event.budget or self.budget

    def take_step(self, event: StepEvent) -> None:
        steps = self.columns[0]
        if steps and event.step <= steps[-1]:
            kept = bisect_left(steps, event.step)
            for column in self.columns:
                del column[kept:]
            while self.compared and self.compared[-1].step >= event.step:
                self.compared.pop()
        steps.append(event.step)
        if event.candidates and event.losses:
            self.take_compared(Compared(event.step, event.losses, event.candidates))
        figures = event.loss, event.objective, event.entropy, event.delta, event.gamma, event.seconds
        for column, value in zip(self.columns[1:], figures, strict=True):
            column.append(value if isinstance(value, float) else math.nan)

    def take_compared(self, compared: Compared) -> None:
        if self.seen_compared % self.every_compared == 0:
            self.compared.append(compared)
        if len(self.compared) > _MOST_COMPARED:
            self.compared, self.every_compared = self.compared[::2], 2 * self.every_compared
        self.seen_compared += 1

    def take_call(self, event: EvaluationEvent) -> None:
        counts = isinstance(event.loss, float) and not event.stopped and event.feasible
        loss = float(event.loss) if counts else math.nan
        if not self.losses:
            self.names = tuple(self.start.space or event.architecture)
        self.losses.append(loss)
        parts = {name: float(value) for name, value in (event.losses or {}).items()} if counts else {}
        self.objectives = self.objectives or tuple(parts)
        if len(self.objectives) > 1:
            self.pairs.extend(parts.get(name, math.nan) for name in self.objectives[:2])
        if (len(self.losses) - 1) % self.every == 0:
            active = None if event.active is None else frozenset(event.active)
            excess = 0.0 if math.isnan(float(event.loss)) else event.excess
            self.sample.append(
                Call(len(self.losses), loss, event.architecture, active, parts or None, excess)
            )
        if len(self.sample) > _MOST_CALLS:
            self.sample, self.every = self.sample[::2], 2 * self.every
        if len(self.best) < _MOST_BEST or loss < self.best[-1].loss:
            if math.isfinite(loss):
                insort(
                    self.best, Call(len(self.losses), loss, event.architecture), key=lambda call: call.loss
                )
            del self.best[_MOST_BEST:]
        self.take_closest(event)

    def take_closest(self, event: EvaluationEvent) -> None:
        loss, excess = float(event.loss), event.excess
        counts = excess > 0.0 and not (math.isnan(loss) or event.stopped)
        if counts and (self.closest is None or excess < self.closest.excess):
            self.closest = Call(len(self.losses), loss, event.architecture, excess=excess)

    def take_theta(self, step: int, theta: Theta) -> None:
        while self.thetas and self.thetas[-1][0] >= step:
            self.thetas.pop()
        if self.seen % self.stride == 0:
            self.thetas.append((step, theta))
        if len(self.thetas) > _MOST_THETAS:
            self.thetas = self.thetas[::2]
            self.stride *= 2
        self.seen += 1
        self.latest = (step, theta)

    def log(self, where: str) -> Log:
        if self.latest is not None and (not self.thetas or self.thetas[-1][0] < self.latest[0]):
            self.thetas.append(self.latest)
        space = _space_of(self.start, where)
        _check_thetas(self.thetas, space, where)
        _check_compared(self.compared, space, where)
        return Log(
            start=self.start,
            space=space,
            steps=Steps(*map(_finite, self.columns)),
            theta=tuple(self.thetas),
            resumed=tuple(self.resumed),
            budget=self.start.budget if self.budget is None else self.budget,
            end=self.end,
            calls=Calls(
                losses=_finite(self.losses),
                best=tuple(self.best),
                closest=self.closest,
                names=self.names,
                objectives=self.objectives,
                pairs=_finite(self.pairs).reshape(-1, 2),
                sample=tuple(self.sample),
            ),
            finalists=tuple(self.finalists.values()),
            compared=tuple(self.compared),
        )


def _finite(column: "array[float]") -> NDArray[np.float64]:
    values = np.frombuffer(column, np.float64)
    values[np.isinf(values)] = math.nan
    return values


def _space_of(start: StartEvent, where: str) -> Space | None:
    if not start.space:
        return None
    try:
        return Space({name: variable_from_json(variable) for name, variable in start.space.items()})
    except SpaceError as error:
        raise RunError(f"{where}, space: {error}") from error


def _check_thetas(thetas: list[tuple[int, Theta]], space: Space | None, where: str) -> None:
    """Raise if a theta does not fit the space or, without a space, has another form than the last theta."""
    last = {name: _form(value) for name, value in thetas[-1][1].items()} if thetas else {}
    for step, theta in thetas:
        at = f"{where}, theta at step {step}"
        for name, value in theta.items():
            variable = None if space is None else space.get(name)
            if space is not None and variable is None:
                raise RunError(f"{at}: the space has no variable {name!r:.80}.")
            expected, got = last.get(name), _form(value)
            if variable is not None:
                expected = len(variable.choices) if isinstance(variable, Categorical) else "mean and std"
            if expected not in (got, None):
                raise RunError(f"{at}, {name!r:.80}: expected {expected}, got {got}.")
            if not isinstance(value, Normal) and any(p is not None and not 0.0 <= p <= 1.0001 for p in value):
                raise RunError(f"{at}, {name!r:.80}: expected probabilities, got {list(value)!r:.80}.")


def _check_compared(compared: list[Compared], space: Space | None, where: str) -> None:
    """Raise if candidates do not fit the space."""
    if space is None:
        return
    kinds = list(space.values())
    choices = [len(kind.choices) if isinstance(kind, Categorical) else None for kind in kinds]
    for one in compared:
        at = f"{where}, candidates at step {one.step}"
        if len(one.places) != len(one.losses):
            raise RunError(f"{at}: expected a loss for each, got {len(one.losses)} of {len(one.places)}.")
        for places in one.places:
            if len(places) != len(kinds):
                raise RunError(
                    f"{at}: expected a place for each of {len(kinds)} variables, got {len(places)}."
                )
            for x, count in zip(places, choices, strict=True):
                if count is not None and x is not None and not 0 <= x < count:
                    raise RunError(f"{at}: expected the index of one of {count} choices, got {x}.")


def _form(value: Normal | tuple[float | None, ...]) -> int | str:
    return "mean and std" if isinstance(value, Normal) else len(value)
