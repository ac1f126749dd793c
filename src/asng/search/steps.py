"""The two half-steps of one-shot search: weights by gradient, theta by natural gradient.

Akimoto et al., 2019, Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search,
section 2: minimise J(x, theta) = E[f(x, c)] by turns.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from asng.distributed import Comm, LocalComm
from asng.errors import InputError
from asng.nn import Supernet
from asng.optim import Optimizer
from asng.search.costs.meter import CostMeter, Costs
from asng.search.costs.ranking import behind_budget
from asng.search.objective import Loss, Objective, checked_value, qualified_name, to_float
from asng.search.out_of_memory import OutOfMemory
from asng.space import Architecture, Candidate

__all__ = ["ReadingForward", "Score", "Scores", "score_pairs", "theta_step", "weight_step"]

_ALONE = LocalComm()
_Settled: TypeAlias = tuple[float, list[str] | None, int]


def weight_step(
    supernet: Supernet,
    batch: Any,
    architectures: Sequence[Architecture],
    *,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[nn.Parameter],
    clip: float | None,
    memory: OutOfMemory,
    comm: Comm = _ALONE,
    weight: float = 1.0,
) -> float:
    """Descend the mean loss of `architectures` on one training batch, all processes together.

    Where they can be dealt out evenly each process trains some of them on the whole batch; else each trains
    all of them on its share of it.

    Weights that none of them used have no gradient, so the optimiser leaves them and their momentum alone.
    A step whose loss or gradient is not finite is left out, since it would destroy the shared weights; so is
    one that does not fit into memory.

    Args:
        supernet: Holds the weights x.
        batch: One batch on the supernet's device, or this process's share of it.
        architectures: The lambda_x ones.
        loss: f(x, c) on the batch.
        optimizer: Over `parameters`.
        parameters: All weights.
        clip: Greatest norm of the gradient, or None for no bound.
        memory: Counts what does not fit. Of several processes none can go on without the others, so there the
            error is raised.
        comm: The processes. Default: this one alone.
        weight: What the mean over the share counts in the mean over the batch.

    Returns:
        The mean loss over the whole batch; NaN where the step was left out.

    Raises:
        InputError: The loss gave no single number with a gradient's graph.
    """
    optimizer.zero_grad(set_to_none=True)
    total, missed, apart = 0.0, memory.count, comm.trains_apart(len(architectures))
    values: list[torch.Tensor] = []
    mine = comm.part(len(architectures)) if apart else slice(None)
    with memory.noted() if comm.size == 1 else nullcontext(), comm.passes(apart=apart):
        for architecture in architectures[mine.start : mine.stop]:
            forward = partial(supernet, architecture=architecture)
            value = _checked(loss(forward, batch), loss) / len(architectures)
            if weight != 1.0:
                value = value * weight
            if value.requires_grad:  # else this architecture has no weights
                value.backward()  # type: ignore[no-untyped-call]
            values.append(value.detach())
        # Only now: to be asked for a number a GPU must have come to it, and would then wait for new work.
        total = sum((value.item() for value in values), 0.0)
    if memory.count > missed:
        optimizer.zero_grad(set_to_none=True)
        total = math.nan
    total = comm.reduce(total, parameters)
    used = [parameter for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.clip_grad_norm_(used, math.inf if clip is None else clip, foreach=True)
    if not math.isfinite(total) or not torch.isfinite(norm):
        return math.nan
    optimizer.step()
    return total


class Scores(NamedTuple):
    """What one theta step saw.

    Attributes:
        scored: The candidates that were scored: those within the budget.
        objectives: What the objective gave for each of them.
        over: How many candidates were over the budget.
        costs: What each candidate costs, also those over.
    """

    scored: list[Candidate]
    objectives: list[float]
    over: int
    costs: list[Costs]


@torch.no_grad()
def theta_step(
    supernet: Supernet,
    batch: Any,
    *,
    objective: Objective,
    name: str,
    sign: float,
    optimizer: Optimizer,
    candidates: Sequence[Candidate],
    meter: CostMeter,
    memory: OutOfMemory,
    comm: Comm = _ALONE,
) -> Scores:
    """Score `candidates` on one validation batch and tell the optimiser of theta.

    A candidate over a budget ranks by its costs alone, and is not run. One that does not fit into memory has
    no objective, and ranks worst.

    Args:
        supernet: Holds the weights x.
        batch: One batch on the supernet's device, the same for all candidates.
        objective: What to select by.
        name: What the objective is called in messages.
        sign: 1 where less is better, -1 where more is.
        optimizer: Over theta; it drew the candidates.
        candidates: The lambda_theta architectures.
        meter: Measures what they cost.
        memory: Counts what does not fit.
        comm: The processes that the candidates are dealt out to. Default: this one alone.
    """
    costs = meter.of_all([candidate.architecture for candidate in candidates])
    scored = [c for c, cost in zip(candidates, costs, strict=True) if cost.excess <= 0.0]
    pairs = [(candidate.architecture, batch) for candidate in scored]
    scores = score_pairs(supernet, pairs, objective=objective, name=name, memory=memory, comm=comm)
    losses, objectives, read, results = [], [], [], iter(scores)
    for candidate, cost in zip(candidates, costs, strict=True):
        if cost.excess > 0.0:
            losses.append(math.nan)
            read.append(candidate.with_active(cost.active))
            continue
        value, variables = next(results)
        objectives.append(value)
        losses.append(sign * value + cost.penalty)
        if variables is not None:
            candidate = candidate.with_active(variables | (cost.active or frozenset()))
        read.append(candidate)
    if meter.has_budget:
        losses = behind_budget(losses, [cost.excess for cost in costs])
    optimizer.tell(read, losses)
    return Scores(scored, objectives, len(candidates) - len(scored), costs)


class Score(NamedTuple):
    """What an objective gave for an architecture.

    Attributes:
        value: The number; NaN where the architecture does not fit into memory.
        read: The variables that its passes read; None where it was not run.
    """

    value: float
    read: frozenset[str] | None


def score_pairs(
    supernet: Supernet,
    pairs: Sequence[tuple[Architecture, Any]],
    *,
    objective: Objective,
    name: str,
    memory: OutOfMemory,
    comm: Comm,
) -> list[Score]:
    """Score architectures, each on a batch, and each in one of the processes; return all scores everywhere.

    Args:
        supernet: Holds the weights x.
        pairs: Of an architecture and a batch on the supernet's device.
        objective: What to score by.
        name: What the objective is called in messages.
        memory: Counts what does not fit, in whichever process.
        comm: The processes.
    """

    def work(number: int) -> tuple[float | torch.Tensor, list[str] | None, int]:
        architecture, batch = pairs[number]
        forward, missed = ReadingForward(supernet, architecture), OutOfMemory()
        value = missed.value(
            lambda: checked_value(objective(forward, batch), name, objective, may_require_grad=name == "loss")
        )
        return value, None if forward.read is None else sorted(forward.read), missed.count

    def settle(result: tuple[float | torch.Tensor, list[str] | None, int]) -> _Settled:
        value, read, missed = result
        return to_float(value), read, missed

    results = comm.deal(len(pairs), work, settle)
    memory.count += sum(missed for _, _, missed in results)
    return [Score(value, None if read is None else frozenset(read)) for value, read, _ in results]


class ReadingForward:
    """Runs one architecture, and collects what all its passes read.

    Attributes:
        read: Names of variables; None before the first pass.
    """

    def __init__(self, supernet: Supernet, architecture: Architecture) -> None:
        self.supernet, self.architecture = supernet, architecture
        self.read: frozenset[str] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the supernet as the architecture."""
        output = self.supernet(*args, architecture=self.architecture, **kwargs)
        self.read = self.supernet.active | (self.read or frozenset())
        return output


def _checked(value: object, loss: Loss) -> torch.Tensor:
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        kind = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
        raise InputError(
            f"loss: expected a tensor of one number from {qualified_name(loss)}, got {kind}. Return the mean "
            "over the batch."
        )
    return value.reshape(())
