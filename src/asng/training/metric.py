"""Objectives over all validation data that are not means over its batches: F1, AUC, mIoU, perplexity."""

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import torch

from asng.checks import integer_at_least
from asng.errors import InputError
from asng.training.objective import checked_value, qualified_name

__all__ = ["MetricObjective", "Tally", "as_objective", "is_metric", "is_whole"]

WINDOW = 4
"""Batches that a theta step scores on. Not measured: more of them give less noise and a dearer step."""


def is_metric(value: object) -> bool:
    """Whether an object is a metric like those of torchmetrics, with `update`, `compute` and `reset`.

    Example:
        >>> is_metric(max)
        False
    """
    return all(callable(getattr(value, name, None)) for name in ("update", "compute", "reset"))


def pairs(forward: Any, batch: Any) -> tuple[Any, Any]:
    """Return the output and the target of an (input, target) batch.

    Raises:
        InputError: The batch is not such a pair.
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
    """An objective that a metric computes once over many batches.

    In each step, a search updates the metric over a window of validation batches. A final scores its
    finalists on all batches if its cost allows that, and compares candidates on as many as its plan says. A
    metric of torchmetrics can be given to `OneShotSearch(maximize=...)` as it is; this class sets `feed` and
    `window`.

    Args:
        metric: A metric of torchmetrics, or any object with `update`, `compute` and `reset`. It is copied for
            each architecture. `compute` returns one number.
        feed: Function of (forward, batch) that returns the arguments of `update`: a tuple of them, or a
            mapping by name. Default: the network's output and the target of an (input, target) batch.
        window: Batches of a step, >= 1. Default 4.

    Raises:
        InputError: `metric` is not a metric, or `window` is out of range.

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
        window = integer_at_least("window", window, 1)
        self.metric, self.feed, self.window = metric, feed, window
        self.__qualname__ = f"MetricObjective({qualified_name(metric)})"  # its name in messages

    def tally(self, device: torch.device | None = None) -> "Tally":
        """Return a tally with a fresh copy of the metric on a device."""
        return Tally(self, device)

    def __call__(self, forward: Any, batch: Any) -> float | torch.Tensor:
        """Return the metric of one batch alone."""
        tally = self.tally()
        tally.update(forward, batch)
        return tally.value("objective")


class Tally:
    """A copy of a metric, updated batch by batch.

    Args:
        objective: The objective whose metric is copied.
        device: Device of the outputs; None if the metric is there already.
    """

    def __init__(self, objective: MetricObjective, device: torch.device | None) -> None:
        self._objective = objective
        self._metric = copy.deepcopy(objective.metric)
        if device is not None and callable(getattr(self._metric, "to", None)):
            self._metric = self._metric.to(device)
        self._metric.reset()
        # Each process of a search scores its own architectures: their numbers must not be synchronised.
        parts = self._metric.modules() if isinstance(self._metric, torch.nn.Module) else [self._metric]
        for part in parts:
            if hasattr(part, "sync_on_compute"):
                part.sync_on_compute = False

    def update(self, forward: Any, batch: Any) -> None:
        """Update the metric with a batch."""
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
        """Return the metric over the batches so far.

        Args:
            name: Name of the objective in messages.

        Raises:
            InputError: The metric is not a single number.
        """
        return self._checked(self._metric.compute(), name)

    def attempt(self, name: str) -> None:
        """Check the kind of the value, unless the batches so far are not enough to compute it.

        Args:
            name: Name of the objective in messages.

        Raises:
            InputError: The metric is not a single number.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = self._metric.compute()
        except Exception:  # whatever a metric raises on few items
            return
        self._checked(value, name)

    def _checked(self, value: Any, name: str) -> float | torch.Tensor:
        if isinstance(value, Mapping):
            raise InputError(
                f"{name}: expected one number from {qualified_name(self._objective.metric)}, got those of "
                f"{sorted(map(str, value))}. Give one metric of the collection."
            )
        return checked_value(value, name, self._objective.metric)


def as_objective(value: Any) -> Any:
    """Return an objective: a metric is wrapped in `MetricObjective`, a function returned as it is."""
    if is_metric(value) and not isinstance(value, (MetricObjective, type)):
        return MetricObjective(value)
    return value


def is_whole(objective: object) -> TypeGuard[MetricObjective]:
    """Whether an objective is a metric over all batches rather than a mean over them."""
    return isinstance(objective, MetricObjective)
