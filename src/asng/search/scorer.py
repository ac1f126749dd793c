"""Score architectures on the shared weights: the second half of a one-shot search step."""

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch

from asng.costs.meter import CostMeter, Costs
from asng.costs.ranking import behind_budget
from asng.distributed import Comm
from asng.errors import in_one_line, located
from asng.nn import Supernet
from asng.space import Architecture, Candidate
from asng.training.data.nested import CountItems, items_of, own_copy, to_device
from asng.training.data.stream import BatchStream
from asng.training.faults import OutOfMemory, is_out_of_memory, is_undefined, lonely, origin
from asng.training.forward import ArchitectureForward
from asng.training.metric import MetricObjective, Tally, is_whole
from asng.training.modes import Modes
from asng.training.objective import (
    Objective,
    as_number,
    checked_value,
    qualified_name,
    to_float,
    to_floats,
    unchanged,
)
from asng.training.train import Mean

__all__ = ["Score", "Scorer", "Scores", "explained"]

MOST_UNDEFINED = 20
"""Most batches that a step tries in a row, if none of its candidates has a value on them."""

_Scored: TypeAlias = tuple[float | torch.Tensor, list[str] | None, int, int]
_Settled: TypeAlias = tuple[float, list[str] | None, int, bool]


class Score(NamedTuple):
    """The value of an objective for an architecture.

    Attributes:
        value: The value; NaN if the architecture does not fit into memory.
        read: The variables that its passes read; None if it was not run.
        undefined: Whether the value is NaN because of the batch, as an area under a curve is on one class.
    """

    value: float
    read: frozenset[str] | None
    undefined: bool = False


class Scores(NamedTuple):
    """The scores of the lambda_theta candidates of a step in theta.

    Attributes:
        candidates: The candidates, with the variables that their passes read.
        losses: The loss to tell the optimiser of theta for each; smaller is better.
        scored: The candidates within the budget, which were run.
        objectives: The objective of each of these.
        costs: The costs of each candidate, including those over the budget.
    """

    candidates: list[Candidate]
    losses: list[float]
    scored: list[Architecture]
    objectives: list[float]
    costs: list[Costs]


class Scorer:
    """Scores architectures by an objective and by their costs.

    Args:
        supernet: Holds the weights x.
        objective: The objective to select by.
        name: Name of the objective in messages.
        sign: 1 if smaller is better, -1 if larger is.
        stream: Yields the validation batches, the same in all processes.
        meter: Measures the costs of architectures.
        device: The device of the supernet.
        modes: Switches the supernet to evaluation mode.
        memory: Counts passes that do not fit into memory, over all processes.
        comm: The processes over which the architectures are distributed.
        as_training: Whether the objective is a loss that must be called in training mode only: then layers
            of torch and of this library are in evaluation mode, and the user's modules in training mode.
        items: Returns the number of items in a batch. Default: taken from the batch and its loader.

    Attributes:
        undefined: Number of scores left out because the objective is not defined on the batch.
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
        as_training: bool = False,
        items: CountItems | None = None,
    ) -> None:
        self.supernet, self.objective, self.name, self.sign = supernet, objective, name, sign
        self.stream, self.meter, self.comm = stream, meter, comm
        self._device, self._modes, self._memory = device, modes, memory
        self.as_training, self._items = as_training, items
        self._last: tuple[Any, Sequence[Architecture]] = None, ()
        self.undefined = 0

    @property
    def window(self) -> int:
        """Number of batches on which a step scores."""
        return (
            min(self.objective.window, len(self.stream)) if isinstance(self.objective, MetricObjective) else 1
        )

    @property
    def whole(self) -> bool:
        """Whether a final must score on all batches, because the objective is not a mean over batches."""
        return is_whole(self.objective)

    @torch.no_grad()
    def score(self, candidates: Sequence[Candidate]) -> Scores:
        """Score all candidates on the next batch, or by a metric on the next few batches.

        A batch is skipped if the objective is not defined on it for any candidate. A candidate over a budget
        is not run, and ranks by its costs alone. One that does not fit into memory has no objective, and
        ranks worst.
        """
        self.evaluate(self._modes)
        costs = self.meter.of_all([candidate.architecture for candidate in candidates])
        scored = [c.architecture for c, cost in zip(candidates, costs, strict=True) if cost.excess <= 0.0]
        results = iter(self._scored(scored))
        losses, objectives, read = [], [], []
        for candidate, cost in zip(candidates, costs, strict=True):
            if cost.excess > 0.0:
                losses.append(math.nan)
                read.append(candidate.with_active(cost.active))
                continue
            value, variables, _ = next(results)
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
        """Return each architecture's mean objective over the first validation batches, weighted by items.

        Args:
            architectures: The architectures, distributed over the processes in turn.
            batches: Number of batches.
            at_once: Number of batches distributed together, so that all processes have work.
        """
        self.evaluate(self._modes)
        self.stream.rewind()
        if isinstance(self.objective, MetricObjective):
            return self._tallied(architectures, batches)
        means = [Mean() for _ in architectures]
        read: list[frozenset[str]] = [frozenset() for _ in architectures]
        for first in range(0, batches, at_once):
            held = [self._batch_and_items() for _ in range(min(at_once, batches - first))]
            self._last = held[0][0], architectures
            pairs = [(architecture, batch) for batch, _ in held for architecture in architectures]
            for k, score in enumerate(self._dealt(pairs)):
                number, (_, items) = k % len(architectures), held[k // len(architectures)]
                means[number].add(score.value, items, undefined=score.undefined)
                read[number] |= score.read or frozenset()
        self.undefined += sum(mean.left_out for mean in means)
        return [Score(mean.value, names) for mean, names in zip(means, read, strict=True)]

    def _scored(self, architectures: Sequence[Architecture]) -> list[Score]:
        """Score architectures on the next batches."""
        if isinstance(self.objective, MetricObjective):
            return self._tallied(architectures, self.window)
        for tried in range(1, MOST_UNDEFINED + 1):
            batch = self._batch()
            self._last = batch, architectures
            scores = self._dealt([(architecture, batch) for architecture in architectures])
            self.undefined += sum(score.undefined for score in scores)
            if not scores or not all(score.undefined for score in scores) or tried >= len(self.stream):
                break
        return scores

    def _tallied(self, architectures: Sequence[Architecture], batches: int) -> list[Score]:
        """Return a metric of each architecture over the next batches; each process computes its own share."""
        if not isinstance(self.objective, MetricObjective):
            return []
        own = self.comm.own(range(len(architectures)))
        tallies: dict[int, Tally] = {k: self.objective.tally(self._device) for k in own}
        forwards = {k: ArchitectureForward(self.supernet, architectures[k]) for k in own}
        missed = {k: OutOfMemory() for k in own}
        for _ in range(batches):
            batch = self._batch()
            self._last = batch, architectures
            for k in own:
                if not missed[k].count:
                    counted = nullcontext() if self.comm.in_step else missed[k].noted()
                    kept = unchanged(batch, self.name, self.objective)
                    with located(partial(_pass_of, architectures[k], batch)), counted, kept:
                        tallies[k].update(forwards[k], own_copy(batch))

        def work(k: int) -> _Scored:
            value = math.nan if missed[k].count else tallies[k].value(self.name)
            return value, sorted(forwards[k].read or ()), missed[k].count, k

        def settle(result: _Scored) -> _Settled:
            value, read, misses, _ = result
            return to_float(value), read, misses, False

        return self._noted(self.comm.deal(len(architectures), work, settle), architectures)

    def batches(self, n: int) -> Iterator[Any]:
        """Switch the supernet to the mode for scoring, and yield the first n validation batches."""
        self.evaluate(self._modes)
        self.stream.rewind()
        for _ in range(n):
            yield self._batch()

    def worth(self, value: float, architecture: Architecture) -> float:
        """Return the value to minimise, the objective plus its penalties; infinity if that is not finite."""
        worth = self.sign * value + self.meter.of(architecture).penalty
        return worth if math.isfinite(worth) else math.inf

    def explain(self) -> str:
        """Return where the objectives of the last candidates come from, if none of these is finite."""
        return explained(self.supernet, self.objective, *self._last)

    def state_dict(self) -> dict[str, int]:
        """Return the count of scores that were left out, for a checkpoint."""
        return {"undefined": self.undefined}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore the count from a checkpoint.

        Raises:
            ValueError: The count is not an integer >= 0.
        """
        if type(state["undefined"]) is not int or state["undefined"] < 0:
            raise ValueError(f"{state['undefined']!r:.80} batches that were left out")
        self.undefined = state["undefined"]

    def value(self, batch: Any, forward: ArchitectureForward) -> float | torch.Tensor:
        """Return the objective of an architecture on a batch.

        Raises:
            InputError: It is not a single number, or the batch was changed.
        """
        with unchanged(batch, self.name, self.objective):
            value = self.objective(forward, own_copy(batch))
        return checked_value(value, self.name, self.objective, may_require_grad=self.name == "loss")

    def evaluate(self, modes: Modes) -> None:
        """Switch to the mode in which the objective is called."""
        if self.as_training:
            modes.set_still()
        else:
            modes.set(training=False)

    def _batch(self) -> Any:
        return to_device(self.stream.next(), self._device)

    def _batch_and_items(self) -> tuple[Any, float]:
        batch = self.stream.next()
        return to_device(batch, self._device), items_of(batch, self.stream.expected(), self._items)

    def _dealt(self, pairs: Sequence[tuple[Architecture, Any]]) -> list[Score]:
        """Score each pair in one of the processes; return all scores in every process."""
        values: dict[int, float | torch.Tensor] = {}  # of this process
        numbers: dict[int, float] = {}

        def work(number: int) -> _Scored:
            forward, missed = ArchitectureForward(self.supernet, pairs[number][0]), OutOfMemory()
            with located(partial(_pass_of, *pairs[number])):
                score = partial(self.value, pairs[number][1], forward)
                value = values[number] = score() if self.comm.in_step else missed.value(score)
            return value, None if forward.read is None else sorted(forward.read), missed.count, number

        def settle(result: _Scored) -> _Settled:
            _, read, misses, number = result
            if not numbers:  # read all at once, to wait for the GPU only once
                numbers.update(zip(values, to_floats(list(values.values())), strict=True))
            architecture, batch = pairs[number]
            again = partial(self.value, batch, ArchitectureForward(self.supernet, architecture))
            undefined = not misses and is_undefined(numbers[number], self.supernet.model, again)
            return numbers[number], read, misses, undefined

        results = self.comm.deal(len(pairs), work, settle)
        return self._noted(results, [architecture for architecture, _ in pairs])

    def _noted(self, results: Sequence[_Settled], architectures: Sequence[Architecture]) -> list[Score]:
        for (_, _, misses, _), architecture in zip(results, architectures, strict=True):
            self._memory.count += misses
            if misses:
                self._memory.of(architecture)
        return [
            Score(value, None if read is None else frozenset(read), undefined)
            for value, read, _, undefined in results
        ]


def _pass_of(architecture: Architecture, batch: Any) -> str:
    return f"While the architecture {in_one_line(dict(architecture))} was scored.{lonely(batch)}"


def explained(
    supernet: Supernet, function: Objective, batch: Any, architectures: Sequence[Architecture]
) -> str:
    """Run a loss or an objective once more, and return where its non-finite value comes from."""
    name = qualified_name(function)

    def run() -> float:
        value = 0.0
        for architecture in architectures:
            value = as_number(
                function(ArchitectureForward(supernet, architecture), own_copy(batch)), name, function
            )
            if not math.isfinite(value):
                break
        return value

    try:
        return origin(supernet.model, run, name)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return f"{name} needs more memory than there is: use smaller batches, or set a Budget on memory."
