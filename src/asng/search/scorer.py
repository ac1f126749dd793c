"""Scoring architectures on the shared weights: the other half of a step of one-shot search."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch

from asng.costs.meter import CostMeter, Costs
from asng.costs.ranking import behind_budget
from asng.distributed import Comm
from asng.nn import Supernet
from asng.space import Architecture, Candidate
from asng.training.data.nested import batch_size_of, to_device
from asng.training.data.stream import BatchStream
from asng.training.faults import OutOfMemory, is_out_of_memory, origin
from asng.training.modes import Modes
from asng.training.objective import (
    Objective,
    as_number,
    checked_value,
    item_sum,
    qualified_name,
    to_float,
)

__all__ = ["Score", "Scorer", "Scores", "explained"]

_Settled: TypeAlias = tuple[float, list[str] | None, int]


class Score(NamedTuple):
    """What an objective gave for an architecture.

    Attributes:
        value: The number; NaN if the architecture does not fit into memory.
        read: The variables that its passes read; None if it was not run.
    """

    value: float
    read: frozenset[str] | None


class Scores(NamedTuple):
    """What a step in theta sees of its lambda_theta candidates.

    Attributes:
        candidates: With the variables that their passes read.
        losses: What to tell the optimiser of theta of each: less is better.
        scored: Those that were run: the ones within the budget.
        objectives: What the objective gave for each of these.
        costs: What each candidate costs, also those over the budget.
    """

    candidates: list[Candidate]
    losses: list[float]
    scored: list[Architecture]
    objectives: list[float]
    costs: list[Costs]


class Scorer:
    """Scores architectures by an objective and by what they cost.

    Args:
        supernet: Holds the weights x.
        objective: What to select by.
        name: What the objective is called in messages.
        sign: 1 if less is better, -1 if more is.
        stream: Yields the validation batches, the same in all processes.
        meter: Measures what architectures cost.
        device: Of the supernet.
        modes: Switches the supernet to evaluation.
        memory: Counts what does not fit, in whichever process.
        comm: The processes that the architectures are dealt out to.
    """

    def __init__(
        self,
        supernet: Supernet,
        objective: Objective,
        *,
        name: str,
        sign: float,
        stream: BatchStream,
        meter: CostMeter,
        device: torch.device,
        modes: Modes,
        memory: OutOfMemory,
        comm: Comm,
    ) -> None:
        self.supernet, self.objective, self.name, self.sign = supernet, objective, name, sign
        self.stream, self.meter, self.comm = stream, meter, comm
        self._device, self._modes, self._memory = device, modes, memory
        self._last: tuple[Any, Sequence[Architecture]] = None, ()

    @torch.no_grad()
    def score(self, candidates: Sequence[Candidate]) -> Scores:
        """Score candidates on the next batch, the same for all.

        A candidate over a budget ranks by its costs alone, and is not run. One that does not fit into memory
        has no objective, and ranks worst.
        """
        self._modes.set(training=False)
        batch = self._batch()
        costs = self.meter.of_all([candidate.architecture for candidate in candidates])
        scored = [c.architecture for c, cost in zip(candidates, costs, strict=True) if cost.excess <= 0.0]
        self._last = batch, scored
        results = iter(self._dealt([(architecture, batch) for architecture in scored]))
        losses, objectives, read = [], [], []
        for candidate, cost in zip(candidates, costs, strict=True):
            if cost.excess > 0.0:
                losses.append(math.nan)
                read.append(candidate.with_active(cost.active))
                continue
            value, variables = next(results)
            objectives.append(value)
            losses.append(self.sign * value + cost.penalty)
            if variables is not None:
                candidate = candidate.with_active(variables | (cost.active or frozenset()))
            read.append(candidate)
        if self.meter.has_budget:
            losses = behind_budget(losses, [cost.excess for cost in costs])
        return Scores(read, losses, scored, objectives, costs)

    @torch.no_grad()
    def means(self, architectures: Sequence[Architecture], batches: int, *, at_once: int = 1) -> list[Score]:
        """Return the mean objective of each architecture over the first validation batches, by items.

        Args:
            architectures: The n-th of a batch is run in the n-th process, round and round.
            batches: How many.
            at_once: Batches that are dealt out together, so that all processes have work.
        """
        self._modes.set(training=False)
        self.stream.rewind()
        totals = [0.0] * len(architectures)
        read: list[frozenset[str]] = [frozenset() for _ in architectures]
        items = 0
        for first in range(0, batches, at_once):
            held = [self._batch() for _ in range(min(at_once, batches - first))]
            self._last = held[0], architectures
            pairs = [(architecture, batch) for batch in held for architecture in architectures]
            for k, score in enumerate(self._dealt(pairs)):
                totals[k % len(architectures)] += item_sum(score.value, batch_size_of(pairs[k][1]))
                read[k % len(architectures)] |= score.read or frozenset()
            items += sum(batch_size_of(batch) for batch in held)
        return [Score(total / items, names) for total, names in zip(totals, read, strict=True)]

    def batches(self, n: int) -> Iterator[Any]:
        """Yield the first n validation batches, with the supernet in the mode for scoring."""
        self._modes.set(training=False)
        self.stream.rewind()
        for _ in range(n):
            yield self._batch()

    def worth(self, value: float, architecture: Architecture) -> float:
        """Return what to minimise: an objective with its penalties; what is not finite is worst."""
        worth = self.sign * value + self.meter.of(architecture).penalty
        return worth if math.isfinite(worth) else math.inf

    def explain(self) -> str:
        """Say where the objectives of the last candidates, none of which is finite, come from."""
        return explained(self.supernet, self.objective, *self._last)

    def _batch(self) -> Any:
        return to_device(self.stream.next(), self._device)

    def _dealt(self, pairs: Sequence[tuple[Architecture, Any]]) -> list[Score]:
        """Score architectures, each on a batch and in one of the processes; return all scores everywhere."""

        def work(number: int) -> tuple[float | torch.Tensor, list[str] | None, int]:
            architecture, batch = pairs[number]
            forward, missed = _ReadingForward(self.supernet, architecture), OutOfMemory()
            value = missed.value(
                lambda: checked_value(
                    self.objective(forward, batch),
                    self.name,
                    self.objective,
                    may_require_grad=self.name == "loss",
                )
            )
            return value, None if forward.read is None else sorted(forward.read), missed.count

        def settle(result: tuple[float | torch.Tensor, list[str] | None, int]) -> _Settled:
            value, read, missed = result
            return to_float(value), read, missed

        results = self.comm.deal(len(pairs), work, settle)
        self._memory.count += sum(missed for _, _, missed in results)
        return [Score(value, None if read is None else frozenset(read)) for value, read, _ in results]


class _ReadingForward:
    """Runs one architecture, and collects what all its passes read; None before the first pass."""

    def __init__(self, supernet: Supernet, architecture: Architecture) -> None:
        self.supernet, self.architecture = supernet, architecture
        self.read: frozenset[str] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        output = self.supernet(*args, architecture=self.architecture, **kwargs)
        self.read = self.supernet.active | (self.read or frozenset())
        return output


def explained(
    supernet: Supernet, function: Objective, batch: Any, architectures: Sequence[Architecture]
) -> str:
    """Run a loss or an objective once more, and say where a value that is not finite comes from."""
    name = qualified_name(function)

    def run() -> float:
        value = 0.0
        for architecture in architectures:
            value = as_number(function(partial(supernet, architecture=architecture), batch), name, function)
            if not math.isfinite(value):
                break
        return value

    try:
        return origin(supernet.model, run, name)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return f"{name} needs more memory than there is: give smaller batches, or a Budget over memory."
