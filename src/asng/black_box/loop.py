"""Run one black-box search, generation by generation."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from asng.black_box.cache import Cache
from asng.black_box.calling import CallOutcome, known_outcome
from asng.black_box.front import Front
from asng.black_box.measured import Measured
from asng.black_box.replay import Record, evaluation_event
from asng.black_box.reporting import Curves
from asng.black_box.result import Callback, Evaluation, MinimizeError, Progress, best_of, rank_key
from asng.black_box.stopping import IDLE, MinimizeStopRule
from asng.black_box.workers import Workers
from asng.optim import Optimizer
from asng.optim.importance import ThetaPath
from asng.runs.events import StepEvent, ThetaEvent
from asng.runs.log import RunLog
from asng.space import Architecture, Candidate

__all__ = ["BEFORE", "MinimizeLoop", "failure"]

BEFORE = -1
"""The generation of architectures that the optimiser did not draw: those of `known` and `start`."""


@dataclass
class MinimizeLoop:
    """A search in progress.

    Attributes:
        optimizer: Draws architectures and learns from their losses.
        budget: Maximum number of calls of f.
        workers: Call f.
        cache: Known outcomes.
        curves: What calls have reported.
        stop: When to end before the budget is spent.
        callbacks: Called after each generation.
        start: What to evaluate first.
        front: The front of several objectives; None for a single one.
        fail: Whether a call that fails ends the search.
        log: The log of this search.
        record: What a resumed search had logged before.
        history: All evaluations so far.
        evaluated: Number of calls of f so far.
        best: The best evaluation so far.
        idle: Number of generations in a row without anything new.
        path: The path of theta.
    """

    optimizer: Optimizer
    budget: int
    workers: Workers
    cache: Cache
    curves: Curves
    stop: MinimizeStopRule
    callbacks: Sequence[Callback]
    start: Sequence[Candidate]
    front: Front | None
    fail: bool
    log: RunLog
    record: Record
    history: list[Evaluation] = field(default_factory=list)
    evaluated: int = 0
    best: Evaluation | None = None
    idle: int = 0
    path: ThetaPath = field(init=False)
    _improved: int = 0
    _under_way: tuple[int, list[Architecture], dict[int, CallOutcome]] = (0, [], {})
    _sets: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)
    _logged: int = field(init=False)

    def __post_init__(self) -> None:
        self._logged = self.record.evaluated
        self.path = ThetaPath(self.optimizer.space)
        self.path.add(0, self.optimizer.theta.to_json())

    @property
    def seconds(self) -> float:
        """How long the search has taken, earlier parts included."""
        return self.record.elapsed + time.monotonic() - self._since

    def run(self) -> str:
        """Search until there is a reason to end, and return that reason."""
        reason = self._generation(BEFORE, self.start) if self.start else None
        while reason is None:
            if self.evaluated >= self.budget:
                return "budget"
            reason = self._generation(self.optimizer.generation, self.optimizer.ask())
        return reason

    def know(self, known: Sequence[tuple[Candidate, Measured]]) -> None:
        """Tell the optimiser losses from elsewhere, in order, as if it had drawn them in generations."""
        while known:
            lam = self.optimizer.lam  # a tell may change it
            generation, known = known[:lam], known[lam:]
            candidates, evaluations = [], []
            for candidate, measured in generation:
                outcome = known_outcome(measured)
                self.cache.know(candidate.architecture, outcome)
                candidates.append(candidate)
                evaluations.append(self.note(BEFORE, candidate.architecture, outcome, cached=True))
            self._tell(candidates, evaluations)

    def _generation(self, number: int, candidates: Sequence[Candidate]) -> str | None:
        """Evaluate the new ones of some candidates, tell the optimiser; return a reason to end, or None."""
        architectures = [candidate.architecture for candidate in candidates]
        outcomes: dict[int, CallOutcome] = {}
        self._under_way = number, architectures, outcomes
        short = None
        while short is None and (new := self.cache.new(architectures, outcomes)):
            paid = new[: self.budget - self.evaluated - len(outcomes)]
            self._pay(number, paid, architectures, outcomes)
            short = "budget" if len(paid) < len(new) else None
            short = short if outcomes.keys() >= set(paid) else "seconds"
        if short is not None:
            self.end_early()
            return short
        evaluations = self.take_in()
        before = self.optimizer.generation
        self._tell(candidates, evaluations)
        if self.optimizer.generation == before:  # a single start architecture waits for others
            return None
        self.idle = 0 if outcomes else self.idle + 1
        return self.end_of_generation(tuple(evaluations))

    def _pay(
        self,
        number: int,
        places: list[int],
        architectures: list[Architecture],
        outcomes: dict[int, CallOutcome],
    ) -> None:
        """Collect the outcomes of some places, from the record or by calling f.

        The cache takes them in order of place, whichever call finished first. Some are missing if time has
        run out.
        """
        for place in places:
            logged = self.record.outcome((number, place), architectures[place])
            if logged is not None:
                outcomes[place] = logged
        limits = self.curves.limits()
        for place in places if not self.is_late(len(outcomes)) else ():
            if place not in outcomes:
                self.workers.start(place, architectures[place], limits)
        failed: tuple[Architecture, CallOutcome] | None = None
        while done := list(self.workers.finished()):
            for place, outcome in done:
                if outcome.error is not None and self.fail:
                    failed = failed or (architectures[place], outcome)
                    continue
                self.log.write(evaluation_event((number, place), architectures[place], outcome, self.seconds))
                outcomes[place] = outcome
            if failed is not None or self.is_late(len(outcomes)):
                self.workers.forget()
        if failed is not None:
            raise failure(*failed)
        for place in places:
            if place in outcomes:
                self.cache.keep(architectures[place], outcomes[place])
                self.curves.add(outcomes[place].curve)

    def is_late(self, calls: int) -> bool:
        """Whether time has run out; the very first call may take as long as it needs."""
        seconds = self.stop.seconds
        return seconds is not None and self.evaluated + calls > 0 and self.seconds >= seconds

    def end_early(self) -> None:
        """Take in what there is of a generation, and add it to the front if there is one.

        The optimiser is not told: a resumed search with a larger budget evaluates the rest.
        """
        self.told(self.take_in())

    def take_in(self) -> list[Evaluation]:
        """Add the generation's outcomes to the history in order of place, whichever call finished first."""
        number, architectures, outcomes = self._under_way
        self._under_way = number, [], {}
        evaluations = []
        for place, architecture in enumerate(architectures):
            outcome = outcomes.get(place) or self.cache.get(architecture)
            if outcome is None:  # beyond the budget
                continue
            evaluations.append(self.note(number, architecture, outcome, cached=place not in outcomes))
        return evaluations

    def note(
        self, generation: int, architecture: Architecture, outcome: CallOutcome, *, cached: bool
    ) -> Evaluation:
        """Add one outcome to the history, and return it as an evaluation."""
        self.evaluated += not cached
        one = Evaluation(
            architecture=architecture,
            loss=outcome.loss,
            generation=generation,
            cached=cached,
            active=self._active(outcome),
            error=outcome.error,
            seconds=outcome.seconds,
            constraints=outcome.constraints,
            losses=outcome.losses,
            curve=outcome.curve,
            stopped=outcome.stopped,
        )
        # The best of a front is its middle, chosen when it is told; until it has a member, ranks decide.
        ranked = not self.front
        if self.best is None or (ranked and rank_key(one) < rank_key(self.best)):
            self.best, self._improved = one, self.evaluated
        self.history.append(one)
        return one

    def _active(self, outcome: CallOutcome) -> frozenset[str] | None:
        """Return the names that a call read, or None for all; equal sets are one object in memory."""
        if outcome.reads is None or len(outcome.reads) == len(self.optimizer.space):
            return None
        if outcome.reads not in self._sets:
            self._sets[outcome.reads] = frozenset(outcome.reads)
        return self._sets[outcome.reads]

    def _tell(self, candidates: Sequence[Candidate], evaluations: Sequence[Evaluation]) -> None:
        told = [c.with_active(one.active) for c, one in zip(candidates, evaluations, strict=True)]
        self.optimizer.tell(told, self.told(evaluations))

    def told(self, evaluations: Sequence[Evaluation]) -> list[float] | list[list[float]]:
        """Return what to tell the optimiser of evaluations, and add them to the front if there is one."""
        in_rows = self.optimizer.numbers_each > 1
        if self.front is None:
            return [one.row for one in evaluations] if in_rows else [one.told for one in evaluations]
        told = self.front.rows(evaluations) if in_rows else self.front.told(evaluations)
        for one in evaluations:
            if self.front.add(one):
                self._improved = self.evaluated
        self.best = self.front.middle() or self.best
        return told

    def end_of_generation(self, evaluations: tuple[Evaluation, ...]) -> str | None:
        """Call callbacks and log, unless the record has this generation; return a reason to end, or None."""
        generation, best = self.optimizer.generation, self.best or best_of(evaluations)
        told_before = self.record.seconds.get(generation)
        # Rounded as in the log: a resumed search must come to the same decision.
        seconds = round(self.seconds, 3) if told_before is None else told_before
        ended = False
        if told_before is None:
            progress = Progress(
                generation=generation,
                evaluated=self.evaluated,
                evaluations=evaluations,
                best=best,
                most_likely=self.optimizer.best,
                theta=self.optimizer.theta,
                entropy=self.optimizer.entropy,
                seconds=seconds,
            )
            answers: list[object] = [callback(progress) for callback in self.callbacks]
            ended = any(isinstance(answer, (bool, np.bool_)) and bool(answer) for answer in answers)
            self._log_step(generation, evaluations, seconds)
        if _is_round(generation):
            self.log_theta()
            self.path.add(generation, self.optimizer.theta.to_json())
        reason = self.stop.reason(
            loss=best.loss if self.front is None and best.feasible and not best.stopped else math.inf,
            seconds=seconds,
            unimproved=self.evaluated - self._improved,
            entropy=self.optimizer.entropy,
        )
        if self.evaluated < self._logged:  # a stricter rule than before drops no call that was paid for
            reason = None
        if reason is None and not self.cache.noisy:
            reason = self._nothing_new()
        return "callback" if reason is None and ended else reason

    def _nothing_new(self) -> str | None:
        if self.cache.exhausted:
            return "exhausted"
        return "converged" if self.idle >= IDLE else None

    def _log_step(self, generation: int, evaluations: Sequence[Evaluation], seconds: float) -> None:
        optimizer = self.optimizer
        finite = [one.loss for one in evaluations if math.isfinite(one.loss) and one.feasible]
        event = StepEvent(
            step=generation,
            evaluated=self.evaluated,
            objective=sum(finite) / len(finite) if finite else None,
            entropy=round(optimizer.entropy, 6),
            delta=optimizer.delta,
            gamma=optimizer.gamma,
            seconds=seconds,
        )
        self.log.write(event)

    def log_theta(self) -> None:
        """Log theta after this generation, unless it was logged before."""
        generation = self.optimizer.generation
        if generation not in self.record.thetas:
            self.log.write(ThetaEvent.after(generation, self.optimizer.theta.to_json()))
            self.record.thetas.add(generation)


def _is_round(number: int) -> bool:
    """Whether a number has at most two digits before its trailing zeros: 90 numbers per decade."""
    return number < 100 or number % 10 ** (len(str(number)) - 2) == 0


def failure(architecture: Architecture, outcome: CallOutcome) -> MinimizeError:
    """Return the error to raise for a call that failed."""
    error = MinimizeError(
        f"f({architecture!r}): expected a loss, got {outcome.error}. Earlier evaluations are in the run "
        "folder, if there is one: pass resume=True to continue. Or pass on_error='worst' to rank failed "
        "calls worst."
    )
    if outcome.trace:
        error.__cause__ = RuntimeError(f"\n{outcome.trace}")
    return error
