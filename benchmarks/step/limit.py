"""The limit of a step: the same children as plain modules, with the same passes and the same optimiser."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from asng.training import Loss
from benchmarks.step.spaces import Drawn, Setting

__all__ = ["Limit"]


class Limit:
    """Trains and scores children that were extracted beforehand, on batches that are already loaded.

    Each has its own weights and runs once before it is timed, so that its optimiser has its momentum.

    Args:
        setting: The space and its settings.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting, self.supernet, self.loss = setting, setting.supernet(), setting.objective
        search = setting.search(self.supernet)
        self.make_optimizer, self.make_schedule = search.optimizer, search.scheduler
        self.clip = search.clip
        self.train, self.valid = (next(iter(setting.loader(seed))) for seed in (1, 2))
        self._steps: Iterator[_Step] = iter(())

    def ready(self, drawn: Drawn) -> None:
        """Extract the children of the next turn."""
        self._steps = iter(())  # the children of the last turn go first
        steps = [self._step(*pair) for pair in zip(drawn[::2], drawn[1::2], strict=True)]
        for step in steps:
            step.train(self.train)
        self._steps = iter(steps)

    def step(self) -> tuple[float, float]:
        """Train the children of a step, and score the others; return as `Ours.step`."""
        step = next(self._steps)
        return step.train(self.train), step.score(self.valid)

    def _step(self, trained: Sequence[Any], scored: Sequence[Any]) -> "_Step":
        children = [[self._child(one.architecture) for one in some] for some in (trained, scored)]
        optimizer = self.make_optimizer([p for child in children[0] for p in child.parameters()])
        schedule = self.make_schedule(optimizer, self.setting.epochs)
        return _Step(*children, self.loss, optimizer, schedule, self.clip)

    def _child(self, architecture: Any) -> nn.Module:
        example = tuple(self.train[:-1])
        # In evaluation mode, in which the twins of batch norm take missing averages from the batch.
        return self.supernet.extract(architecture, example=example)


class _Step:
    """The children of one step."""

    def __init__(
        self,
        trained: Sequence[nn.Module],
        scored: Sequence[nn.Module],
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        schedule: Any,
        clip: float,
    ) -> None:
        self.trained, self.scored = trained, scored
        self.loss, self.optimizer, self.schedule, self.clip = loss, optimizer, schedule, clip
        for child in scored:
            _as_scored(child)
        self.parameters = [p for child in trained for p in child.parameters()]

    def train(self, batch: Any) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for child in self.trained:
            value = self.loss(child, batch) / len(self.trained)
            value.backward()
            total += value.item()
        nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
        self.optimizer.step()
        self.schedule.step()
        return total

    @torch.inference_mode()
    def score(self, batch: Any) -> float:
        return sum(self.loss(child, batch).item() for child in self.scored) / len(self.scored)


def _as_scored(child: nn.Module) -> None:
    """Set evaluation mode, except that batch norms use the statistics of the batch."""
    child.eval()
    for module in child.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
