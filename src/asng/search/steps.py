"""The two half-steps of one-shot search: weights by gradient, theta by natural gradient.

Akimoto et al., 2019, Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search,
section 2: minimise J(x, theta) = E[f(x, c)] by turns.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from asng.errors import InputError
from asng.nn import Supernet
from asng.optim import Optimizer
from asng.search.objective import Loss, Objective, as_number
from asng.space import Architecture, Candidate

__all__ = ["theta_step", "weight_step"]


def weight_step(
    supernet: Supernet,
    batch: Any,
    candidates: Sequence[Candidate],
    *,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[nn.Parameter],
    clip: float | None,
) -> float:
    """Descend the mean loss of `candidates` on one training batch.

    Weights that no candidate used have no gradient, so the optimiser leaves them and their momentum alone.
    A step whose loss or gradient is not finite is left out, since it would destroy the shared weights.

    Args:
        supernet: Holds the weights x.
        batch: One batch on the supernet's device.
        candidates: The lambda_x architectures.
        loss: f(x, c) on the batch.
        optimizer: Over `parameters`.
        parameters: All weights.
        clip: Greatest norm of the gradient, or None for no bound.

    Returns:
        The mean loss; NaN where the step was left out.

    Raises:
        InputError: The loss gave no single number with a gradient's graph.
    """
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for candidate in candidates:
        forward = partial(supernet, architecture=candidate.architecture)
        value = _checked(loss(forward, batch)) / len(candidates)
        if value.requires_grad:  # else this architecture has no weights
            value.backward()  # type: ignore[no-untyped-call]
        total += value.item()
    used = [parameter for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.clip_grad_norm_(used, math.inf if clip is None else clip, foreach=True)
    if not math.isfinite(total) or not torch.isfinite(norm):
        return math.nan
    optimizer.step()
    return total


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
) -> list[float]:
    """Score `candidates` on one validation batch and tell the optimiser of theta.

    Args:
        supernet: Holds the weights x.
        batch: One batch on the supernet's device, the same for all candidates.
        objective: What to select by.
        name: What the objective is called in messages.
        sign: 1 where less is better, -1 where more is.
        optimizer: Over theta; it drew the candidates.
        candidates: The lambda_theta architectures.

    Returns:
        What the objective gave for each candidate.
    """
    values, read = [], []
    for candidate in candidates:
        forward = _Forward(supernet, candidate.architecture)
        values.append(as_number(objective(forward, batch), name))
        read.append(candidate if forward.read is None else candidate.with_active(forward.read))
    optimizer.tell(read, [sign * value for value in values])
    return values


class _Forward:
    """Runs one architecture, and collects what all its passes read; None before the first."""

    def __init__(self, supernet: Supernet, architecture: Architecture) -> None:
        self.supernet, self.architecture = supernet, architecture
        self.read: frozenset[str] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        output = self.supernet(*args, architecture=self.architecture, **kwargs)
        self.read = self.supernet.active | (self.read or frozenset())
        return output


def _checked(value: object) -> torch.Tensor:
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        kind = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
        raise InputError(
            f"loss: expected a tensor of one number, got {kind}. Return the mean over the batch."
        )
    return value.reshape(())
