"""Optional arguments that shape a search, and that must be the same again if it is resumed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asng.black_box.measured import Measured, as_measured
from asng.black_box.reporting import MedianRule
from asng.errors import InputError, SpaceError
from asng.space import Candidate, Space
from asng.space.variables import Value

__all__ = ["SETTINGS", "Given", "checked_given"]

SETTINGS = ("start", "known", "objectives", "early_stop")
"""Names of these arguments."""


@dataclass(frozen=True)
class Given:
    """The checked optional arguments.

    Attributes:
        start: What to evaluate first.
        known: Architectures, and what was measured of them elsewhere.
        objectives: Names of several losses; empty for one.
        early_stop: When to end a call; None for never.
    """

    start: list[Candidate]
    known: list[tuple[Candidate, Measured]]
    objectives: tuple[str, ...]
    early_stop: MedianRule | None

    def settings(self) -> dict[str, Any]:
        """Return the arguments as plain values for the log, without those that were not given."""
        rule = self.early_stop
        found = {
            "start": [dict(candidate.architecture) for candidate in self.start],
            "known": [[dict(candidate.architecture), repr(measured)] for candidate, measured in self.known],
            "objectives": list(self.objectives),
            "early_stop": [] if rule is None else [rule.calls, rule.steps],
        }
        return {name: value for name, value in found.items() if value}


def checked_given(
    space: Space,
    *,
    start: Sequence[Mapping[str, Value]],
    known: Sequence[tuple[Mapping[str, Value], Any]],
    objectives: Sequence[str],
    early_stop: MedianRule | None,
) -> Given:
    """Check the optional arguments and return them.

    Raises:
        InputError: An argument is not as `minimize` describes it.
    """
    if early_stop is not None and not isinstance(early_stop, MedianRule):
        raise InputError(f"early_stop: expected an asng.black_box.MedianRule, got {early_stop!r}.")
    names = _checked_objectives(objectives)
    return Given(_candidates_of(space, "start", start), _known_losses(space, known, names), names, early_stop)


def _candidates_of(space: Space, name: str, architectures: Sequence[Mapping[str, Value]]) -> list[Candidate]:
    """Return architectures as candidates.

    Args:
        space: The space.
        name: Name of the argument, for errors.
        architectures: What the user gave.

    Raises:
        InputError: They are not a list, or one of them is not in the space.
    """
    if not isinstance(architectures, (list, tuple)):
        raise InputError(f"{name}: expected a list of architectures, got {architectures!r:.80}.")
    found = []
    for i, architecture in enumerate(architectures):
        if not isinstance(architecture, Mapping):
            raise InputError(f"{name}[{i}]: expected an architecture or a dict, got {architecture!r:.80}.")
        try:
            found.append(space.candidate(space.encode(architecture)))
        except SpaceError as error:
            raise InputError(f"{name}[{i}]: {error}") from error
    return found


def _known_losses(
    space: Space, known: Sequence[tuple[Mapping[str, Value], Any]], objectives: Sequence[str]
) -> list[tuple[Candidate, Measured]]:
    """Return known architectures and losses as pairs of a candidate and what was measured.

    Raises:
        InputError: They are not a list of pairs, an architecture is not in the space, a loss is not a number,
            or the losses are not those of `objectives`.
    """
    if not isinstance(known, (list, tuple)):
        raise InputError(f"known: expected a list of (architecture, loss), got {known!r:.80}.")
    measured = []
    for i, pair in enumerate(known):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise InputError(f"known[{i}]: expected (architecture, loss), got {pair!r:.80}.")
        try:
            found = as_measured(pair[1])
        except TypeError as error:
            raise InputError(f"known[{i}]: {error}.") from error
        names = set(found.loss) if isinstance(found.loss, dict) else set()
        if names != set(objectives):
            raise InputError(f"known[{i}]: expected losses {list(objectives)}, got {pair[1]!r:.80}.")
        measured.append(found)
    candidates = _candidates_of(space, "known", [architecture for architecture, _ in known])
    return list(zip(candidates, measured, strict=True))


def _checked_objectives(objectives: Sequence[str]) -> tuple[str, ...]:
    """Return the names of several objectives; empty for one.

    Raises:
        InputError: They are neither empty nor a list of two to four different names.
    """
    names = list(objectives) if isinstance(objectives, (list, tuple)) else [None]
    if names and (not 2 <= len(set(names)) == len(names) <= 4 or not all(isinstance(n, str) for n in names)):
        raise InputError(
            f"objectives: expected two to four different names of losses, got {objectives!r}. "
            "Leave it out for one loss."
        )
    return tuple(objectives)
