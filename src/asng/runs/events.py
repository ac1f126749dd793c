"""The events of a log, log.jsonl, described once for writing and for reading.

Each line is a JSON object whose field "event" says which event it is. A one-shot search logs a start, then
steps and theta, then finalists, and an end. `asng.minimize` logs a start, every evaluation, a step and theta
per generation, and an end.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, get_args

import msgspec
from msgspec import UNSET, UnsetType

from asng.runs.guarded import refuse_excess
from asng.runs.stored import Finite, Number, Stored, Whole, converted, load_json

__all__ = [
    "Chance",
    "Compiled",
    "EndEvent",
    "EvaluationEvent",
    "Event",
    "FinalistEvent",
    "FinalistsEvent",
    "Normal",
    "ResumeEvent",
    "StartEvent",
    "StepEvent",
    "Theta",
    "ThetaEvent",
    "event_of",
]

DOUBT = 0.05
"""Above this probability, a score counts as near the level of chance."""

Figure: TypeAlias = float | UnsetType | None
"""A number; null if it is not finite or there is none; left out if the kind of run has none."""


class _Event(
    msgspec.Struct,
    frozen=True,
    tag_field="event",
    tag=lambda name: name.removesuffix("Event").lower(),
):
    """An event; a field that is left out has its default, one that is unknown is ignored."""


class CostLimit(Stored, frozen=True):
    """A budget or a penalty of a search, in numbers.

    Attributes:
        measure: Name of the measure.
        kind: "budget" or "penalty".
        limit: The greatest cost within the budget, or the target of the penalty.
        share: The limit as a share of the whole network's cost; None if it was given as a number.
        whole: The cost of the whole network.

    Example:
        >>> str(CostLimit("bytes", "budget", 2000.0, 0.5, 4000.0))
        'bytes <= 2000, 0.5 of 4000'
    """

    measure: str
    kind: str
    limit: float
    share: float | None = None
    whole: float | None = None

    def __str__(self) -> str:
        share = "" if self.share is None else f", {self.share:g} of {self.whole:g}"
        return f"{self.measure} <= {self.limit:g}{share}"


class Compiled(Stored, frozen=True):
    """What compiled operations cost and saved in a search, since it began or was resumed.

    Attributes:
        operations: How many are compiled.
        seconds: Time of compiling, including the trial of the compiler.
        steps: Number of training steps taken with them.
        plain_ms: Median time of a training step without them, in milliseconds; None if there was none.
        compiled_ms: The same of a step with them in which nothing was compiled; None if there was none.

    Example:
        >>> str(Compiled(12, 20.5, 4000, 5.0, 4.0))
        '12 operations compiled in 20.5 s; a training step takes 4 ms, 5 ms before: 4 s less over 4,000 steps'
    """

    operations: int
    seconds: float
    steps: int
    plain_ms: float | None = None
    compiled_ms: float | None = None

    def __str__(self) -> str:
        words = f"{self.operations} operations compiled in {self.seconds:.1f} s"
        if self.plain_ms is None or self.compiled_ms is None:
            return words
        less = (self.plain_ms - self.compiled_ms) * self.steps / 1e3
        return (
            f"{words}; a training step takes {self.compiled_ms:.4g} ms, {self.plain_ms:.4g} ms before: "
            f"{abs(less):.3g} s {'less' if less >= 0 else 'more'} over {self.steps:,} steps"
        )


class StartEvent(_Event, frozen=True, kw_only=True, omit_defaults=True):
    """The first event: what the run is.

    Attributes:
        kind: "minimize", or None for a one-shot search.
        time: Time of day at the start.
        seed: Seed of a one-shot search.
        steps: Planned number of steps of a one-shot search.
        lam_x: Architectures trained per step.
        budget: Budget of calls of f.
        settings: Arguments by name: of `asng.minimize`, or of `OneShotSearch` and its `fit`.
        defaults: Defaults of the arguments that have another value.
        space: Name of a variable to its description.
        n_theta: Degrees of freedom of theta.
        optimizer: State of the optimiser before the first generation.
        objective: What the search selects by: "select", and the name of the "function".
        final: Planned number of finalists, and their training steps.
        costs: The budgets and penalties of the search.
        versions: Versions of software, by name.
        machine: The machine that the search ran on.
    """

    kind: str | None = None
    time: str | None = None
    seed: int | None = None
    steps: int | None = None
    lam_x: int | None = None
    budget: int | None = None
    settings: Mapping[str, Any] | None = None
    defaults: Mapping[str, Any] | None = None
    space: Mapping[str, Any] | None = None
    n_theta: int | None = None
    optimizer: Mapping[str, Any] | None = None
    objective: Mapping[str, Any] | None = None
    final: Mapping[str, Any] | None = None
    costs: tuple[CostLimit, ...] | None = None
    versions: Mapping[str, Any] | None = None
    machine: Mapping[str, Any] | None = None


class StepEvent(_Event, frozen=True, kw_only=True):
    """A training step of a one-shot search, or a generation of `asng.minimize`.

    Attributes:
        step: Its number, from 1 on.
        epoch: Epoch of the training data, from 0 on.
        evaluated: Calls of f, or candidates scored, up to now.
        over_budget: How many of those were over the budget.
        out_of_memory: How many architectures did not fit into memory.
        loss: Mean training loss of the step's samples.
        objective: Mean objective of the candidates that theta was told of; null during warm-up.
        entropy: Entropy of theta, over that of the uniform distribution, in [0, 1].
        delta: The step size of theta.
        gamma: The normalisation factor of the step-size adaptation.
        seconds: Time since the start, of all resumed parts together.
        cost: Means of the candidates' costs, by name.
        losses: The loss of each candidate that theta was told; null if not finite.
        candidates: Raw coordinates of each candidate in the order of the space, with the index for a choice;
            null for a variable that it did not read.
    """

    step: Whole
    epoch: int | UnsetType = UNSET
    evaluated: int | UnsetType = UNSET
    loss: Figure = UNSET
    objective: Figure = UNSET
    entropy: Figure = UNSET
    delta: Figure = UNSET
    gamma: Figure = UNSET
    seconds: Figure = UNSET
    cost: Mapping[str, float | None] | UnsetType = UNSET
    over_budget: int | UnsetType = UNSET
    out_of_memory: int | UnsetType = UNSET
    losses: Sequence[Finite | None] | UnsetType = UNSET
    candidates: Sequence[Sequence[Finite | None]] | UnsetType = UNSET


class Normal(Stored, frozen=True):
    """theta of an ordered variable, in raw coordinates: logarithms if the variable has `log`."""

    mean: Number = math.nan
    std: Number = math.nan


Theta: TypeAlias = Mapping[str, Normal | tuple[float | None, ...]]
"""Name of a variable to mean and std, or to the probabilities of its choices."""


class ThetaEvent(_Event, frozen=True, kw_only=True):
    """theta after a step: for each variable, the probabilities of its choices, or mean and std."""

    step: Whole
    theta: Theta

    @classmethod
    def after(cls, step: int, theta: Mapping[str, Any]) -> "ThetaEvent":
        """Return the event of a theta that is given as plain values."""
        return msgspec.convert({"step": step, "theta": theta}, cls)

    def __post_init__(self) -> None:
        for name, value in self.theta.items():
            if not value:
                raise ValueError(f"Expected probabilities of {name!r:.80}, or mean and std, got none")


class EvaluationEvent(_Event, frozen=True, kw_only=True, omit_defaults=True):
    """A call of f.

    Attributes:
        generation: Generation in which the candidate was drawn, from 0 on.
        place: Its place in that generation, from 0 on; in an asynchronous search, among all draws.
        architecture: Name to value.
        loss: What f returned; a string, as from `repr`, if JSON has no number for it.
        seconds: Duration of the call.
        active: The variables that f read, in their order; None for all in the order of the space, or if that
            was not watched.
        error: The error that f raised, if it did.
        at: Seconds from the start of the search to the end of the call; None in logs of an older asng.
        drawn: How many draws an asynchronous search had made when the call came back.
        constraints: Name to a number that is at most 0 if the constraint is kept; a string if JSON has no
            number for it, as for the loss.
        losses: The losses of several objectives, by name.
        curve: Steps and values that the call reported.
        stopped: Whether the call was ended early; its loss is the value that it had reported last.
    """

    generation: int
    place: int
    architecture: Mapping[str, Any]
    loss: Finite | str
    seconds: Finite
    active: Sequence[str] | None = None
    error: str | None = None
    at: Finite | None = None
    drawn: int | None = None
    constraints: Mapping[str, Finite | str] | None = None
    losses: Mapping[str, Finite | str] | None = None
    curve: Sequence[tuple[int, Finite | str]] = ()
    stopped: bool = False

    @property
    def feasible(self) -> bool:
        """Whether all constraints are kept."""
        return self.excess == 0.0

    @property
    def excess(self) -> float:
        """By how much constraints are broken in all; infinite if one is NaN."""
        values = [float(value) for value in (self.constraints or {}).values()]
        return sum(math.inf if math.isnan(value) else max(value, 0.0) for value in values)


class FinalistsEvent(_Event, frozen=True, kw_only=True):
    """The final of a one-shot search begins after a step, by comparing candidates on some batches."""

    step: Whole
    compared: int
    batches: int


class FinalistEvent(_Event, frozen=True, kw_only=True):
    """One finalist.

    Attributes:
        number: Its number, from 1 on.
        road: How it came in: by "theta", the only way in earlier runs, "uniform", "largest" or "neighbour".
        architecture: Name to value.
        shared: Its objective on the shared weights; None if not finite, or if they were not believed.
        alone: Its objective after it was trained alone; None if not finite.
        longer: The same after it was trained anew for longer, as the best are; the event then comes again.
        seconds: Time since the start.
    """

    number: int
    road: str = "theta"
    architecture: Mapping[str, Any]
    shared: float | None = None
    alone: float | None = None
    longer: float | None = None
    seconds: float | None = None


class ResumeEvent(_Event, frozen=True, kw_only=True):
    """The run is resumed after a step: in the log of an older asng, now in a file beside the log.

    Attributes:
        step: The step after which it is resumed.
        budget: Budget of calls of f from then on, in a run of `asng.minimize`; None in other runs.
    """

    step: Whole = 0
    budget: int | None = None


class Chance(msgspec.Struct, frozen=True):
    """A score, compared with the level of chance.

    Attributes:
        score: Mean objective of the found network over some validation batches.
        level: The same with its outputs dealt to random items of their batch.
        p: Probability of so large a difference if the network has learnt nothing, in [0, 1].
    """

    score: Number
    level: Number
    p: Number

    @property
    def near(self) -> bool:
        """Whether the score is near the level of chance: p is above 0.05."""
        return not self.p <= DOUBT

    def words(self) -> str:
        """Return the comparison in words.

        Example:
            >>> from textwrap import fill
            >>> print(fill(Chance(score=0.12, level=0.1, p=0.3).words(), 90))
            The found network scores 0.12 on validation data, and 0.1 if its outputs are assigned to
            the wrong items: it has learnt nothing measurable (p = 0.3), so its choices are arbitrary.
            Train for longer, or look at the loss, the learning rate and the labels.
        """
        return (
            f"The found network scores {self.score:.4g} on validation data, and {self.level:.4g} if its "
            f"outputs are assigned to the wrong items: it has learnt nothing measurable (p = {self.p:.2g}), "
            "so its choices are arbitrary. Train for longer, or look at the loss, the learning rate and the "
            "labels."
        )


class EndEvent(_Event, frozen=True, kw_only=True, omit_defaults=True):
    """The last event, unless the run was killed; a run of `asng.minimize` may continue with a larger budget.

    Attributes:
        reason: Why the run ended.
        step: The last step or generation.
        evaluated: Calls of f, or candidates scored.
        over_budget: How many of those were over the budget.
        out_of_memory: How many architectures did not fit into memory.
        too_large: The first of them.
        cost: Costs of what was found, by name.
        most_likely: The likeliest architecture.
        seconds: Time since the start.
        chance: The score of what was found, compared with the level of chance; None if it cannot be told.
        compiled: What compiled operations cost and saved; None without any.
    """

    reason: str | None = None
    step: Whole | None = None
    evaluated: int | None = None
    most_likely: Mapping[str, Any] | None = None
    seconds: float | None = None
    cost: Mapping[str, float | None] | None = None
    over_budget: int | None = None
    out_of_memory: int | None = None
    too_large: Mapping[str, Any] | None = None
    chance: Chance | None = None
    compiled: Compiled | None = None


Event: TypeAlias = (
    StartEvent
    | StepEvent
    | ThetaEvent
    | EvaluationEvent
    | FinalistsEvent
    | FinalistEvent
    | ResumeEvent
    | EndEvent
)

_DECODER = msgspec.json.Decoder(Event)
_KNOWN = [kind.__struct_config__.tag for kind in get_args(Event)]


def event_of(line: bytes) -> Event | None:
    """Return the event of a line of a log, or None if this asng does not know it.

    Raises:
        msgspec.ValidationError: The line is not a JSON object, or a field is missing or of another type.
        ValueError: The line is not JSON, or has too many values or levels.
        RecursionError: It is nested too deep.

    Example:
        >>> event_of(b'{"event": "step", "step": 3, "loss": NaN, "wind": 2}').step
        3
        >>> event_of(b'{"event": "weather"}')
    """
    refuse_excess(line)
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, RecursionError):
        pass  # damaged, unknown, or what msgspec does not read: NaN, numbers beyond floats
    data = load_json(line)
    if not isinstance(data, dict):
        raise msgspec.ValidationError(f"Expected a JSON object, got {data!r:.80}")
    return converted(data, Event) if data.get("event") in _KNOWN else None
