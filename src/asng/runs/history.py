"""The log of a run, log.jsonl, read into columns."""

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asng.errors import RunError, SpaceError
from asng.runs.calls import CallReader, Calls
from asng.runs.fields import as_object, number, text, whole
from asng.runs.log import RESUMES, resumes_of
from asng.space import Categorical, Space
from asng.space.variables import variable_from_json

__all__ = ["Log", "Steps", "Normal", "Theta", "read_log", "FinalistScores", "finalist_of"]


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


# More than any figure has pixels across.
_MOST_THETAS = 1024
_COLUMNS = ("step", "loss", "objective", "entropy", "delta", "gamma", "seconds")


class Normal(NamedTuple):
    """theta of an ordered variable, in raw coordinates: logarithms where the variable has `log`."""

    mean: float
    std: float


Theta: TypeAlias = Mapping[str, Normal | tuple[float, ...]]
"""Name to (mean, std), or to the probabilities of the choices."""


@dataclass(frozen=True, eq=False)
class Steps:
    """What was logged step by step: float64 arrays of one length, NaN where nothing finite was logged.

    Attributes:
        step: Number of the step, rising.
        loss: Mean training loss of the step's samples.
        objective: Mean validation loss of the candidates told of; NaN during warm-up.
        entropy: Of theta, over that of the uniform distribution, in [0, 1].
        delta: The step size of theta.
        gamma: The normalisation factor of the step-size adaptation.
        seconds: Since the start, all resumed parts together.
    """

    step: NDArray[np.float64]
    loss: NDArray[np.float64]
    objective: NDArray[np.float64]
    entropy: NDArray[np.float64]
    delta: NDArray[np.float64]
    gamma: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, eq=False)
class Log:
    """A whole log.

    Attributes:
        start: Fields of the first event: time, seed, n_theta, versions, machine, as far as logged.
        space: The space that was searched, or None if the log lacks it.
        steps: One entry a logged step.
        theta: Step and theta, by rising step; thinned evenly to about a thousand.
        resumed: Steps at which the run was taken up again.
        end: Fields of the last event, or None while the run goes on or after it was killed.
        calls: Of f, in a run of `asng.minimize`.
        finalists: What was trained alone at the end of a one-shot search, up to now.
    """

    start: Mapping[str, Any]
    space: Space | None
    steps: Steps
    theta: tuple[tuple[int, Theta], ...]
    resumed: tuple[int, ...]
    end: Mapping[str, Any] | None
    calls: Calls = field(default_factory=Calls)
    finalists: tuple[FinalistScores, ...] = ()


def read_log(path: Path) -> Log:
    r"""Read a log; a missing file is an empty log.

    A last line torn by a crash is left out. Steps logged twice, because a run was resumed from an earlier
    checkpoint, count as they were logged last.

    Args:
        path: The file log.jsonl.

    Returns:
        The log.

    Raises:
        RunError: The file is unreadable, or a line before the last is no event; says which line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "log.jsonl")
        >>> _ = file.write_text('{"event": "step", "step": 1, "loss": 2.5}\n{"event": "st')
        >>> read_log(file).steps.loss.tolist()
        [2.5]
    """
    reader = _Reader()
    try:
        with path.open("rb") as file:
            for where, event in _events(file, path):
                reader.take(event, where)
        for note in resumes_of(path.parent):
            reader.resumed.append(whole(note, "step", str(path.with_name(RESUMES))) or 0)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise RunError(f"{path}: expected a readable log, got: {error.strerror}.") from error
    return reader.log(str(path))


def _events(file: BinaryIO, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for line_number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {line_number}"
        try:
            event = json.loads(line)
        # A line of brackets nests too deep for the parser.
        except (ValueError, RecursionError) as error:
            if not any(rest.strip() for rest in file):
                return
            raise RunError(
                f"{where}: expected one JSON object a line, got {line[:60]!r} ({error}). "
                "Remove the line if the rest is sound."
            ) from None
        yield where, as_object(event, where)


@dataclass
class _Reader:
    """Gathers events into columns of plain doubles, since a log may have a million lines."""

    start: Mapping[str, Any] = field(default_factory=dict)
    end: Mapping[str, Any] | None = None
    resumed: list[int] = field(default_factory=list)
    columns: dict[str, "array[float]"] = field(default_factory=lambda: {c: array("d") for c in _COLUMNS})
    thetas: list[tuple[int, Theta]] = field(default_factory=list)
    calls: CallReader = field(default_factory=CallReader)
    finalists: list[FinalistScores] = field(default_factory=list)
    latest: tuple[int, Theta] | None = None
    stride: int = 1
    seen: int = 0

    def take(self, event: Mapping[str, Any], where: str) -> None:
        kind = event.get("event")
        self.end = None  # a search of a black box goes on after its end, with a larger budget
        if kind == "step":
            self.take_step(event, where)
        elif kind == "theta":
            self.take_theta(event, where)
        elif kind == "evaluation":
            self.calls.take(event, where)
        elif kind == "finalist":
            self.finalists.append(finalist_of(event, where))
        elif kind == "start":
            self.start = event
        elif kind == "resume":  # of a run by an older asng
            self.resumed.append(whole(event, "step", where) or 0)
        elif kind == "end":
            self.end = event

    def take_step(self, event: Mapping[str, Any], where: str) -> None:
        step = whole(event, "step", where)
        if step is None:
            raise RunError(f"{where}: expected the number of the step, got none.")
        steps = self.columns["step"]
        if steps and step <= steps[-1]:
            kept = bisect_left(steps, step)
            for column in self.columns.values():
                del column[kept:]
        for name, column in self.columns.items():
            column.append(number(event, name, where))

    def take_theta(self, event: Mapping[str, Any], where: str) -> None:
        step = whole(event, "step", where) or 0
        theta = {name: _theta_of(v, f"{where}, {name}") for name, v in _object_of(event, "theta", where)}
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
        if space is not None:
            _check_thetas(self.thetas, space, where)
        columns = {name: np.frombuffer(column, np.float64) for name, column in self.columns.items()}
        rest = tuple(self.thetas), tuple(self.resumed), self.end, self.calls.calls(), tuple(self.finalists)
        return Log(self.start, space, Steps(**columns), *rest)


def _object_of(event: Mapping[str, Any], name: str, where: str) -> Iterator[tuple[str, Any]]:
    return iter(as_object(event.get(name), f"{where}, {name}").items())


def _theta_of(value: Any, where: str) -> Normal | tuple[float, ...]:
    if isinstance(value, dict):
        return Normal(number(value, "mean", where), number(value, "std", where))
    if isinstance(value, list) and value:
        return tuple(number({"p": p}, "p", where) for p in value)
    raise RunError(f"{where}: expected probabilities, or mean and std, got {value!r:.80}.")


def _space_of(start: Mapping[str, Any], where: str) -> Space | None:
    if not start.get("space"):
        return None
    variables = as_object(start["space"], f"{where}, space")
    try:
        return Space({name: variable_from_json(variable) for name, variable in variables.items()})
    except SpaceError as error:
        raise RunError(f"{where}, space: {error}") from error


def _check_thetas(thetas: list[tuple[int, Theta]], space: Space, where: str) -> None:
    for step, theta in thetas:
        for name, value in theta.items():
            variable = space.get(name)
            if variable is None:
                raise RunError(f"{where}, theta at step {step}: the space has no variable {name!r}.")
            expected = len(variable.choices) if isinstance(variable, Categorical) else "mean and std"
            got = "mean and std" if isinstance(value, Normal) else len(value)
            if expected != got:
                raise RunError(f"{where}, theta at step {step}, {name!r}: expected {expected}, got {got}.")
