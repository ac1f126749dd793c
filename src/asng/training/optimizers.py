"""Optimisers and schedules of weights; `sgd` and `cosine` are the paper's."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import torch
from torch import nn

__all__ = ["MakeOptimizer", "MakeScheduler", "adamw", "cosine", "sgd"]

MakeOptimizer: TypeAlias = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
MakeScheduler: TypeAlias = Callable[[torch.optim.Optimizer, int], Any]

_FEW = 2**22
"""Up to so many weights (16 MiB in float32) are updated all at once: the same bits in less time."""


def sgd(
    parameters: Iterable[nn.Parameter], *, learning_rate: float = 0.025, weight_decay: float = 3e-4
) -> torch.optim.Optimizer:
    """Make the paper's optimiser of weights (section 5.1): SGD with momentum 0.9.

    Args:
        parameters: The weights.
        learning_rate: Default: the paper's, 0.025.
        weight_decay: Default: the paper's, 3e-4.

    Example:
        >>> sgd(nn.Linear(3, 2).parameters()).defaults["momentum"]
        0.9
    """
    weights = list(parameters)
    # Updating all at once briefly needs a second gradient of every weight, so not if there are many.
    few = sum(weight.numel() for weight in weights) <= _FEW
    return torch.optim.SGD(
        weights, lr=learning_rate, momentum=0.9, weight_decay=weight_decay, foreach=True if few else None
    )


def adamw(
    parameters: Iterable[nn.Parameter], *, learning_rate: float = 1e-3, weight_decay: float = 1e-4
) -> torch.optim.Optimizer:
    """Make AdamW (Loshchilov and Hutter, ICLR 2019), which trains layers of any kind at about the same rate.

    Args:
        parameters: The weights.
        learning_rate: Default 1e-3.
        weight_decay: Default 1e-4.

    Example:
        >>> adamw(nn.Linear(3, 2).parameters()).defaults["lr"]
        0.001
    """
    return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)


def cosine(optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """Decay the learning rate to 0 along half a cosine over `steps` (the paper's schedule, section 5.1)."""
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
