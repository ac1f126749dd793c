"""Batch norm in one-shot search: a child is never scored on the statistics of another.

A supernet's running averages mix all the children that passed through it. During a search every pass
therefore normalises by its own batch; a child gets averages of its own afterwards, from training data
(Guo et al., 2020, Single Path One-Shot NAS, section 3.1).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from asng.training.data.nested import to_device
from asng.training.objective import Forward, Objective

__all__ = ["batch_statistics", "give_averages", "recalibrate"]


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[list[_BatchNorm]]:
    """Make every batch norm of `model` use the batch at hand, and keep its averages as they are.

    Yields:
        The batch norms. `model.eval()` turns them back to averages: call `train()` on them after it.

    Example:
        >>> norm = nn.BatchNorm1d(1).eval()
        >>> x = torch.tensor([[10.0], [30.0]])
        >>> with batch_statistics(norm):
        ...     norm(x).flatten().round().tolist()
        [-1.0, 1.0]
        >>> norm.running_mean
        tensor([0.])
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield norms
    finally:
        for norm, (training, tracks) in zip(norms, before, strict=True):
            norm.training, norm.track_running_stats = training, tracks


@torch.no_grad()
def recalibrate(
    model: nn.Module, loader: DataLoader[Any], *, loss: Objective, batches: int | None = None
) -> nn.Module:
    """Recompute the averages of every batch norm as the plain mean over training batches.

    Args:
        model: A child. Its batch norms get averages where they had none; all else stays. It is left in
            eval mode.
        loader: Training data.
        loss: Says how a batch goes through the model; its value is not used.
        batches: How many batches at the most. Default: one pass over the loader.

    Returns:
        `model`.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> x = torch.tensor([[1.0], [3.0], [5.0], [7.0]])
        >>> loader = DataLoader(TensorDataset(x), batch_size=2)
        >>> child = recalibrate(nn.BatchNorm1d(1), loader, loss=lambda forward, batch: forward(*batch))
        >>> child.running_mean, child.running_var
        (tensor([4.]), tensor([2.]))
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    give_averages(model)
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the plain mean over all batches
    model.eval()
    for norm in norms:
        norm.train()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    forward: Forward = model
    try:
        for batch in islice(loader, batches) if norms else ():
            loss(forward, to_device(batch, device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()
    return model


@torch.no_grad()
def give_averages(model: nn.Module) -> nn.Module:
    """Give averages to the batch norms that have none, as those of a fresh child.

    In training they then follow the batches, and in evaluation the network does not depend on its batch.

    Args:
        model: A plain network.

    Returns:
        `model`.

    Example:
        >>> from asng.nn import BatchNorm1d, Choice, Supernet
        >>> norm = Choice({"norm": BatchNorm1d(2), "none": nn.Identity()}, label="norm")
        >>> child = Supernet(norm).extract({"norm": "norm"}, example=torch.ones(4, 2))
        >>> child.running_mean, give_averages(child).running_mean
        (None, tensor([0., 0.]))
    """
    for norm in model.modules():
        if isinstance(norm, _BatchNorm) and norm.running_mean is None:
            norm.track_running_stats = True
            like = norm.weight if norm.weight is not None else next(model.parameters(), torch.empty(0))
            norm.register_buffer("running_mean", like.new_zeros(norm.num_features))
            norm.register_buffer("running_var", like.new_ones(norm.num_features))
            norm.register_buffer("num_batches_tracked", torch.tensor(0, device=like.device))
    return model
