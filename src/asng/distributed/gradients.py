"""Sum the gradients of the sampled paths over all processes, in a few large messages.

Weights that no process used have no gradient and are not sent. The processes tell each other beforehand which
ones were used, by one bit per weight.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from asng.errors import InputError

__all__ = ["BUCKET_BYTES", "mask_of", "reduce_gradients", "union_of"]

BUCKET_BYTES = 25 * 2**20
"""Largest size of a message, unless a weight is larger: the same as in torch's DistributedDataParallel."""


def mask_of(parameters: Sequence[nn.Parameter]) -> bytes:
    """Return one bit per weight, set if it has a gradient.

    Example:
        >>> weights = [nn.Parameter(torch.ones(2)) for _ in range(3)]
        >>> weights[1].grad = torch.ones(2)
        >>> union_of([mask_of(weights), mask_of(weights)], 3)
        [1]
    """
    return np.packbits(np.array([p.grad is not None for p in parameters], dtype=bool)).tobytes()


def union_of(masks: Sequence[bytes], count: int) -> list[int]:
    """Return the indices of the weights, out of `count`, whose bit is set in any mask."""
    bits = np.bitwise_or.reduce([np.frombuffer(mask, dtype=np.uint8) for mask in masks])
    return [int(index) for index in np.flatnonzero(np.unpackbits(bits, count=count))]


def reduce_gradients(
    parameters: Sequence[nn.Parameter],
    wait: "Callable[[dist.Work | None], None]",
    group: "dist.ProcessGroup | None" = None,
) -> None:
    """Replace the gradients of weights by their sums over the processes.

    A weight that has no gradient in this process gets one, from what the others have.

    Args:
        parameters: The weights, the same ones in every process.
        wait: Waits for a sum.
        group: The group of the processes. Default: torch's.

    Raises:
        InputError: A gradient is sparse.
    """
    gradients = [_gradient(parameter) for parameter in parameters]
    under_way = []
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        under_way.append((flat, bucket, dist.all_reduce(flat, group=group, async_op=True)))
    for flat, bucket, work in under_way:
        wait(work)
        for gradient, sums in zip(bucket, torch.split(flat, [g.numel() for g in bucket]), strict=True):
            gradient.copy_(sums.view_as(gradient))


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    if parameter.grad.is_sparse:
        raise InputError(
            f"supernet: expected dense gradients in several processes, got a sparse one of shape "
            f"{tuple(parameter.shape)}. Make its Embedding without sparse=True."
        )
    return parameter.grad


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the gradients in their order, in buckets of one dtype and device and of bounded size."""
    kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for gradient in gradients:
        kinds.setdefault((gradient.dtype, gradient.device), []).append(gradient)
    for kind in kinds.values():
        bucket: list[Tensor] = []
        size = 0
        for gradient in kind:
            if bucket and size + gradient.nbytes > BUCKET_BYTES:
                yield bucket
                bucket, size = [], 0
            bucket.append(gradient)
            size += gradient.nbytes
        yield bucket
