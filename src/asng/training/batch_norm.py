"""Batch norm in one-shot search: a child is never scored on the statistics of another.

A supernet's running averages mix all the children that passed through it. During a search, every pass
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

from asng.errors import located
from asng.training.data.nested import CountItems, expected_items, items_of, to_device
from asng.training.data.random_state import undisturbed
from asng.training.faults import dead_workers_told
from asng.training.modes import Modes, has_own_train, kept_modes
from asng.training.objective import Objective

__all__ = ["batch_statistics", "frozen_norms", "give_averages", "recalibrate"]


def frozen_norms(model: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms that stay in eval mode when `model.train()` is called.

    A user's `train` method keeps them there, as in a backbone whose statistics must not move. They normalise
    by the averages that they have, in the search, in finals and in the child.

    Example:
        >>> class Backbone(nn.Sequential):
        ...     def train(self, mode=True):
        ...         return super().train(False)
        >>> len(frozen_norms(nn.Sequential(Backbone(nn.BatchNorm1d(2)), nn.BatchNorm1d(3))))
        1
    """
    if not has_own_train(model):
        return []
    with kept_modes(model):
        model.train()
        return [norm for norm in _norms(model) if not norm.training]


def _norms(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def _moving_norms(model: nn.Module) -> list[_BatchNorm]:
    frozen = {id(norm) for norm in frozen_norms(model)}
    return [norm for norm in _norms(model) if id(norm) not in frozen]


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[list[_BatchNorm]]:
    """Make every batch norm of `model` use the statistics of its batch, and leave its averages unchanged.

    Frozen ones (see `frozen_norms`) are left alone: they use their averages.

    Yields:
        The batch norms. `model.eval()` switches them back to averages: call `train()` on them after it.

    Example:
        >>> norm = nn.BatchNorm1d(1).eval()
        >>> x = torch.tensor([[10.0], [30.0]])
        >>> with batch_statistics(norm):
        ...     norm(x).flatten().round().tolist()
        [-1.0, 1.0]
        >>> norm.running_mean
        tensor([0.])
    """
    norms = _moving_norms(model)
    with _by_the_batch(norms):
        yield norms


@contextmanager
def _by_the_batch(norms: list[_BatchNorm]) -> Iterator[None]:
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm, (training, tracks) in zip(norms, before, strict=True):
            norm.training, norm.track_running_stats = training, tracks


def recalibrate(
    model: nn.Module,
    loader: DataLoader[Any],
    *,
    loss: Objective,
    batches: int | None = None,
    items: CountItems | None = None,
) -> nn.Module:
    """Recompute the averages of every batch norm as the mean over training batches, weighted by their items.

    The averages come from passes in eval mode, so without dropout. The loss is called in training mode, as
    always, and gets the outputs of that mode: every batch passes twice.

    Frozen norms (see `frozen_norms`), and norms that no batch reaches, keep the averages that they have.

    Args:
        model: A child. Batch norms without averages get some; nothing else changes. It is left in eval mode.
        loader: Training data.
        loss: Says how a batch goes through the model; its value is not used.
        batches: Largest number of batches. Default: one pass over the loader.
        items: Returns the number of items in a batch. Default: what the batch and the loader tell.

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
    give_averages(model)
    norms = _moving_norms(model)
    modes, device = Modes(model, norms), next((p.device for p in model.parameters()), torch.device("cpu"))
    means = _Means(norms)
    forward, number = _Twice(model, modes, means, norms), -1
    try:
        where = located(lambda: f"While averages of batch norms were recomputed, after batch {number + 1}.")
        with where, dead_workers_told():
            for number, batch in enumerate(islice(loader, batches) if norms else ()):
                means.items = items_of(batch, expected_items(loader, number), items)
                modes.set(training=True)
                with torch.enable_grad():
                    loss(forward, to_device(batch, device))
    finally:
        means.close()
        model.eval()
    return model


class _Twice:
    """Runs a child in eval mode for its averages, and in training mode for its loss.

    A network that fails in eval mode on what the loss gives it is run once, in training mode except for
    layers of torch and asng. Methods other than the forward pass are called as they are.
    """

    def __init__(self, model: nn.Module, modes: Modes, means: "_Means", norms: list[_BatchNorm]) -> None:
        self.model, self.modes, self.means, self.norms = model, modes, means, norms
        self.evaluates: bool | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.evaluates is None:
            self.evaluates = self._tried(args, kwargs)
        if not self.evaluates:
            self.modes.set_still()
            return self.model(*args, **kwargs)
        self.modes.set(training=False)
        with torch.no_grad():
            self.model(*args, **kwargs)
        self.modes.set(training=True)
        # The random numbers of this pass must not change the data that follow.
        with self.means.paused(), _by_the_batch(self.norms), undisturbed():
            return self.model(*args, **kwargs)

    def _tried(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        self.modes.set(training=False)
        with self.means.paused(), _by_the_batch(self.norms), undisturbed(), torch.no_grad():
            try:
                self.model(*args, **kwargs)
            except Exception:  # whatever a model raises for inputs that it only takes in training
                return False
        return True

    @contextmanager
    def following(self) -> Iterator[nn.Module]:
        yield self.model


class _Means:
    """Makes batch norms average over batches, weighted by their items.

    Args:
        norms: The batch norms. Those that no pass reaches in training mode keep the averages that they have.

    Attributes:
        items: Number of items in the current batch.
    """

    def __init__(self, norms: list[_BatchNorm]) -> None:
        self.items = 0.0
        self._totals: dict[nn.Module, float] = {}
        self._momenta = [(norm, norm.momentum) for norm in norms]
        self._hooks = [norm.register_forward_pre_hook(self._reached) for norm in norms]
        self._is_paused = False

    def _reached(self, norm: Any, _: Any) -> None:
        # A forward pass may itself put a frozen part into eval mode.
        if self._is_paused or not norm.training:
            return
        before = self._totals.get(norm, 0.0)
        total = self._totals[norm] = before + self.items
        if before == 0.0 < total:
            norm.reset_running_stats()
        norm.momentum = self.items / total if total else 0.0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Ignore passes while the block runs."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False

    def close(self) -> None:
        """Remove the hooks, and restore the momenta."""
        for hook in self._hooks:
            hook.remove()
        for norm, momentum in self._momenta:
            norm.momentum = momentum


@torch.no_grad()
def give_averages(model: nn.Module) -> nn.Module:
    """Give averages to the batch norms that have none, such as those of a fresh child.

    In training, they then follow the batches; in evaluation, outputs do not depend on the rest of the batch.
    Frozen ones (see `frozen_norms`) stay as they are.

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
    for norm in _moving_norms(model):
        if norm.running_mean is None:
            norm.track_running_stats = True
            like = norm.weight if norm.weight is not None else next(model.parameters(), torch.empty(0))
            norm.register_buffer("running_mean", like.new_zeros(norm.num_features))
            norm.register_buffer("running_var", like.new_ones(norm.num_features))
            norm.register_buffer("num_batches_tracked", torch.tensor(0, device=like.device))
    return model
