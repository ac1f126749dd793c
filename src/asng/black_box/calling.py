"""Call the user's function once, in any process: its loss, what that depended on, or what went wrong."""

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, SupportsFloat, TypeAlias

from asng.black_box.measured import Measured, as_measured
from asng.black_box.reporting import Curve, Reports, StopCall, reports_here
from asng.space import Architecture
from asng.space.variables import Value

__all__ = ["CallOutcome", "Expecting", "Function", "Watched", "call", "known_outcome"]

Function: TypeAlias = Callable[[Architecture], SupportsFloat | Mapping[str, float] | Measured]
"""Maps an architecture to its loss, lower is better; to several losses by name; or to a `Measured`."""


class CallOutcome(NamedTuple):
    """The outcome of a call.

    Attributes:
        loss: What f returned, or the sum of several losses; NaN if f failed.
        reads: Names of the variables that it read, in order; None if reads were not watched.
        seconds: How long it took.
        error: What went wrong, in one line; None if nothing did.
        trace: Where it went wrong: the traceback as text, since not all exceptions can be sent between
            processes.
        constraints: Constraints by name; None if there are none.
        losses: Losses by name if there are several; None otherwise.
        curve: What it reported while it ran.
        stopped: Whether it was ended early; its loss is then the last value that it reported.
    """

    loss: float
    reads: tuple[str, ...] | None
    seconds: float
    error: str | None = None
    trace: str = ""
    constraints: Mapping[str, float] | None = None
    losses: Mapping[str, float] | None = None
    curve: Curve = ()
    stopped: bool = False


@dataclass(frozen=True)
class Expecting:
    """Checks the names of f's several losses at each call; it can be sent to other processes.

    Attributes:
        f: The user's function.
        objectives: Names of the losses.
    """

    f: Function
    objectives: tuple[str, ...]

    def __call__(self, architecture: Architecture) -> Measured:
        """Call f, and return what it measured.

        Raises:
            TypeError: The names of its losses are not `objectives`.
        """
        measured = as_measured(self.f(architecture))
        if not isinstance(measured.loss, dict) or set(measured.loss) != set(self.objectives):
            raise TypeError(f"expected losses {', '.join(self.objectives)}, got {measured.loss!r:.80}")
        return measured


def call(
    f: Function, architecture: Architecture, activity: bool, limits: Mapping[int, float] | None = None
) -> CallOutcome:
    """Evaluate an architecture, and return the outcome whether or not f fails.

    Args:
        f: The user's function.
        architecture: What to call it with.
        activity: Whether to watch which variables it reads.
        limits: Limits on what it reports, by step: it is ended if it is worse.

    Example:
        >>> call(lambda a: a["x"] ** 2, Architecture({"x": 3, "y": 4}), activity=True)[:2]
        (9.0, ('x',))
    """
    given = Watched(architecture) if activity else architecture
    reports, measured, error, trace, stopped = Reports(limits), Measured(float("nan")), None, "", False
    token = reports_here.set(reports)
    started = time.perf_counter()
    try:
        measured = as_measured(f(given))
        if isinstance(measured.loss, dict) and not isinstance(f, Expecting):
            raise TypeError(
                f"expected one loss, got {measured.loss!r:.80}. Give minimize their names as objectives"
            )
    except StopCall:
        measured, stopped = Measured(reports.curve[-1][1]), True
    except KeyboardInterrupt:  # Ctrl-C, and asng's Terminated, which is also a SystemExit
        raise
    except BaseException as failure:  # sys.exit, and panics of compiled extensions, are no `Exception`
        measured = Measured(float("nan"))
        error, trace = f"{type(failure).__name__}: {failure}", traceback.format_exc()
    finally:
        reports_here.reset(token)
    return known_outcome(measured)._replace(
        reads=given.reads if isinstance(given, Watched) else None,
        seconds=time.perf_counter() - started,
        error=error,
        trace=trace,
        curve=tuple(reports.curve),
        stopped=stopped,
    )


def known_outcome(measured: Measured) -> CallOutcome:
    """Return the outcome of a call that was made elsewhere."""
    loss = measured.loss
    return CallOutcome(
        loss=loss if isinstance(loss, float) else sum(loss.values()),
        reads=None,
        seconds=0.0,
        constraints=measured.constraints or None,
        losses=loss if isinstance(loss, dict) else None,
    )


class Watched(Architecture):
    """An architecture that notes which of its names are looked up.

    Whatever uses all values at once (comparing, hashing, printing, copying, writing as JSON) counts as
    reading all of them. Names alone say nothing about a draw: iterating over them or testing for one reads
    nothing. With conditions (`when`) they do: it then reads the variables that decide which names there are.

    Args:
        architecture: The architecture to watch.

    Example:
        >>> watched = Watched(Architecture({"kernel": "rbf", "degree": 3, "gamma": 0.1}))
        >>> watched["degree"] if watched["kernel"] == "poly" else watched["gamma"]
        0.1
        >>> watched.reads
        ('kernel', 'gamma')
    """

    __slots__ = ("_reads",)

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture, architecture.deciding)
        self._reads: dict[str, None] = {}

    @property
    def reads(self) -> tuple[str, ...]:
        """Names whose values were read so far, in the order of their first read."""
        return tuple(self._reads)

    def __getitem__(self, name: str) -> Value:
        if name not in self._values:
            self._note_names()
        value = self._values[name]
        self._reads[name] = None
        return value

    def __contains__(self, name: object) -> bool:
        self._note_names()
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        self._note_names()
        return iter(self._values)

    def __len__(self) -> int:
        self._note_names()
        return len(self._values)

    def __hash__(self) -> int:
        return hash(self._whole())

    def __eq__(self, other: object) -> bool:
        return self._whole() == other

    def __reduce__(self) -> tuple[type[Architecture], tuple[dict[str, Value]]]:
        return Architecture, (dict(self),)  # what becomes of a copy cannot be watched

    def __repr__(self) -> str:
        return repr(self._whole())

    def to_json(self) -> str:
        """Return the values as one JSON object."""
        return self._whole().to_json()

    def _note_names(self) -> None:
        for name in self._deciding:
            if name in self._values:
                self._reads[name] = None

    def _whole(self) -> Architecture:
        return Architecture(self)
