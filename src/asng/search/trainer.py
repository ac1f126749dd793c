"""Training the shared weights on sampled architectures."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from asng.distributed import Comm, LocalComm
from asng.errors import InputError
from asng.nn import Supernet
from asng.space import Architecture
from asng.training.faults import OutOfMemory
from asng.training.objective import Loss, qualified_name

__all__ = ["weight_step", "copy_of", "weights_of"]


_ALONE = LocalComm()


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


def _checked(value: object, loss: Loss) -> torch.Tensor:
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        kind = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
        raise InputError(
            f"loss: expected a tensor of one number from {qualified_name(loss)}, got {kind}. Return the mean "
            "over the batch."
        )
    return value.reshape(())


# Copies of a supernet's weights, and having them in its place for a while.


def copy_of(supernet: Supernet) -> dict[str, Any]:
    """Return a copy of weights and buffers, in main memory, where there is more room than on a GPU."""
    return {
        name: value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else value
        for name, value in supernet.state_dict().items()
    }


@contextmanager
def weights_of(supernet: Supernet, weights: Mapping[str, Any] | None) -> Iterator[None]:
    """Have a supernet with other weights while the block runs; None leaves its own."""
    if weights is None:
        yield
        return
    own = copy_of(supernet)
    supernet.load_state_dict(weights)
    try:
        yield
    finally:
        supernet.load_state_dict(own)
