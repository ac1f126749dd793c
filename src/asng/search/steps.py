"""The two half-steps of one-shot search: weights by gradient, theta by natural gradient.

Akimoto et al., 2019, Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search,
section 2: minimise J(x, theta) = E[f(x, c)] by turns.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from asng.costs.meter import CostMeter, Costs
from asng.costs.ranking import behind_budget
from asng.distributed import Comm, LocalComm
from asng.nn import Supernet
from asng.optim import Optimizer
from asng.search.scorer import score_pairs
from asng.space import Candidate
from asng.training.faults import OutOfMemory
from asng.training.objective import Objective

__all__ = ["Scores", "theta_step"]

_ALONE = LocalComm()


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
