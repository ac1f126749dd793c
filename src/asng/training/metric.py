"""Objectives over all of the validation data, no means over its batches: F1, AUC, mIoU, perplexity."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import torch

from asng.checks import integer_at_least
from asng.errors import InputError
from asng.training.objective import checked_value, qualified_name

__all__ = ["MetricObjective", "Tally", "as_objective", "is_metric", "is_whole"]

WINDOW = 4
"""Batches that a step in theta scores on. Not measured: the more, the less noise and the dearer a step."""


def is_metric(value: object) -> bool:
    """Whether something is a metric as torchmetrics has it: with `update`, `compute` and `reset`.

    Example:
        >>> is_metric(max)
        False
    """
    return all(callable(getattr(value, name, None)) for name in ("update", "compute", "reset"))


def pairs(forward: Any, batch: Any) -> tuple[Any, Any]:
    """Return output and target of an (input, target) batch.

    Raises:
        InputError: It is none.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise InputError(
            f"batch: expected an (input, target) pair for the metric, got {type(batch).__name__}. For other "
            "batches give asng.training.MetricObjective(metric, feed), where feed(forward, batch) returns "
            "what metric.update takes."
        )
    inputs, target = batch
    return forward(inputs), target


class MetricObjective:
    """An objective that is computed once over many batches, by a metric.

    A search updates it over a window of validation batches in each step, and over all of them in a final, in
    which candidates too are compared on as many as the plan has. A metric of torchmetrics can be given to
    `OneShotSearch(maximize=...)` as it is; this says more.

    Args:
        metric: Of torchmetrics, or any object with `update`, `compute` and `reset`. It is copied for each
            architecture. `compute` returns one number.
        feed: Function of (forward, batch) that returns the arguments of `update`: a tuple of them, or a
            mapping by name. Default: the output for the first part of an (input, target) batch, and the
            second.
        window: Batches of a step, >= 1. Default 4.

    Raises:
        InputError: `metric` is none, or `window` is out of range.

    Example:
        >>> class Correlation:
        ...     def reset(self):
        ...         self.said, self.true = [], []
        ...     def update(self, said, true):
        ...         self.said.append(said)
        ...         self.true.append(true)
        ...     def compute(self):
        ...         return torch.corrcoef(torch.stack([torch.cat(self.said), torch.cat(self.true)]))[0, 1]
        >>> objective = MetricObjective(Correlation())
        >>> x = torch.tensor([1.0, 2.0, 3.0])
        >>> round(float(objective(lambda x: -x, (x, x))), 3)
        -1.0
    """

    def __init__(self, metric: Any, feed: Callable[[Any, Any], Any] = pairs, *, window: int = WINDOW) -> None:
        if not is_metric(metric) or isinstance(metric, type):
            raise InputError(
                "metric: expected an object with update, compute and reset, as a metric of torchmetrics, "
                f"got {metric!r:.80}."
            )
        integer_at_least("window", window, 1)
        self.metric, self.feed, self.window = metric, feed, window
        self.__qualname__ = f"MetricObjective({qualified_name(metric)})"  # what messages name it by

    def tally(self, device: torch.device | None = None) -> "Tally":
        """Return a copy of the metric to count with, on a device."""
        return Tally(self, device)

    def __call__(self, forward: Any, batch: Any) -> float | torch.Tensor:
        """Return the metric of one batch alone."""
        tally = self.tally()
        tally.update(forward, batch)
        return tally.value("objective")


class Tally:
    """A metric while it is updated over batches.

    Args:
        objective: Whose metric to copy.
        device: Where outputs are; None if the metric is there already.
    """

    def __init__(self, objective: MetricObjective, device: torch.device | None) -> None:
        self._objective = objective
        self._metric = copy.deepcopy(objective.metric)
        if device is not None and callable(getattr(self._metric, "to", None)):
            self._metric = self._metric.to(device)
        self._metric.reset()
        # Each process of a search scores architectures of its own: their numbers must stay apart.
        parts = self._metric.modules() if isinstance(self._metric, torch.nn.Module) else [self._metric]
        for part in parts:
            if hasattr(part, "sync_on_compute"):
                part.sync_on_compute = False

    def update(self, forward: Any, batch: Any) -> None:
        """Take in a batch."""
        given = self._objective.feed(forward, batch)
        if isinstance(given, Mapping):
            self._metric.update(**given)
        elif isinstance(given, tuple):
            self._metric.update(*given)
        else:
            raise InputError(
                f"feed: expected a tuple or a mapping for {qualified_name(self._objective.metric)}.update, "
                f"got {type(given).__name__}. Return (prediction, target)."
            )

    def value(self, name: str) -> float | torch.Tensor:
        """Compute it.

        Args:
            name: What the objective is called in messages.

        Raises:
            InputError: It is no single number.
        """
        value = self._metric.compute()
        if isinstance(value, Mapping):
            raise InputError(
                f"{name}: expected one number from {qualified_name(self._objective.metric)}, got those of "
                f"{sorted(map(str, value))}. Give one metric of the collection."
            )
        return checked_value(value, name, self._objective.metric)


def as_objective(value: Any) -> Any:
    """Return an objective: a metric as one, and a function as it is."""
    if is_metric(value) and not isinstance(value, (MetricObjective, type)):
        return MetricObjective(value)
    return value


def is_whole(objective: object) -> TypeGuard[MetricObjective]:
    """Whether an objective is no mean over batches."""
    return isinstance(objective, MetricObjective)
