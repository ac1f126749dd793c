"""Train and score plain networks: a child, or any other."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from asng.checks import integer_at_least
from asng.errors import InputError, RunError, located
from asng.training.arguments import check_maker, check_objective, made_by, scheduled_by
from asng.training.batch_norm import give_averages
from asng.training.data.nested import CountItems, expected_items, items_of, own_copy, to_device
from asng.training.data.random_state import undisturbed
from asng.training.data.stream import with_new_workers
from asng.training.faults import dead_workers_told, is_undefined, lonely, origin, refuse_other_weights
from asng.training.metric import MetricObjective, as_objective
from asng.training.modes import kept_modes, learning
from asng.training.objective import (
    Loss,
    Objective,
    as_number,
    check_gradient,
    checked_loss,
    item_sum,
    qualified_name,
    to_float,
    warn_of_untrained,
)
from asng.training.optimizers import MakeOptimizer, MakeScheduler, cosine, sgd
from asng.training.progress import progress_bar

__all__ = ["Mean", "count_parameters", "score", "score_and_items", "train"]


def train(
    model: nn.Module,
    loader: DataLoader[Any],
    *,
    loss: Loss,
    epochs: int,
    optimizer: MakeOptimizer = sgd,
    scheduler: MakeScheduler | None = cosine,
    clip: float | None = 5.0,
    title: str = "train",
    progress: bool = False,
    keep_going: Callable[[], bool] = lambda: True,
    before_step: Callable[[nn.Module, int, int], None] | None = None,
) -> nn.Module:
    """Train a network.

    Args:
        model: Trained in place. Batch norms without averages get some first: see `give_averages`.
        loader: Training data.
        loss: A function of (forward, batch). Weights that it holds itself are not trained, and a warning
            names them.
        epochs: How many times to go through the data, >= 1.
        optimizer: Makes the optimiser from the parameters. Default: `asng.training.sgd`.
        scheduler: Makes a schedule from (optimiser, total steps), stepped after each step; or None.
        clip: Greatest norm of the gradient, or None.
        title: What the progress bar says.
        progress: Show a progress bar.
        keep_going: Called after every step; if it returns False, KeyboardInterrupt is raised.
        before_step: Called before every step with the network, the number of steps done and their total; for
            what changes during training, such as the rate of dropped paths.

    Returns:
        `model`, in eval mode.

    Raises:
        InputError: The network has no weight to train, or the loader no batch. The loss does not return a
            tensor of one number, or one without a gradient. An argument is not a function as described.
        RunError: The loss is not finite, or a worker of the loader was killed.
        KeyboardInterrupt: `keep_going` returned False.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> from asng.training import supervised
        >>> x = torch.randn(64, 3)
        >>> loader = DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), batch_size=8)
        >>> loss, model = supervised(nn.functional.mse_loss), nn.Linear(3, 1)
        >>> before = score(model, loader, loss)
        >>> model = train(model, loader, loss=loss, epochs=5)
        >>> score(model, loader, loss) < before
        True
    """
    epochs = integer_at_least("epochs", epochs, 1)
    check_objective("loss", loss)
    check_maker("optimizer", optimizer)
    check_maker("scheduler", scheduler)
    steps = epochs * len(loader)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters or steps == 0:
        raise InputError(
            f"train: expected a weight to train and a batch to train on, got {len(parameters)} weights and "
            f"{len(loader)} batches."
        )
    warn_of_untrained(loss, model)
    loader = with_new_workers(loader)  # else they would continue where another training left them
    device = parameters[0].device
    weights = made_by(optimizer, parameters, closure=False)
    schedule = scheduled_by(scheduler, weights, steps)
    give_averages(model).train()
    done, named, batch = 0, dict(model.named_parameters()), None
    where = located(lambda: f"In {title!r}, after {done} of {steps} training steps.{lonely(batch)}")
    with learning(), where, dead_workers_told(), progress_bar(title, steps, show=progress) as bar:
        for _ in range(epochs):
            for batch in loader:
                if before_step is not None:
                    before_step(model, done, steps)
                weights.zero_grad(set_to_none=True)
                batch = to_device(batch, device)
                value = checked_loss(loss(model, own_copy(batch)), loss)
                if not math.isfinite(value.item()):
                    raise _not_finite(model, loss, batch, value.item(), done)
                if value.requires_grad:
                    value.backward()  # type: ignore[no-untyped-call]
                elif not done:
                    check_gradient(value, _outputs(model, loss, batch), loss)
                if clip is not None:
                    nn.utils.clip_grad_norm_(parameters, clip)
                weights.step()
                if schedule is not None:
                    schedule.step()
                done += 1
                if done in (1, steps):
                    refuse_other_weights(named, model)
                bar.update(done, loss=value.item())
                if not keep_going():
                    raise KeyboardInterrupt
    return model.eval()


def _outputs(model: nn.Module, loss: Loss, batch: Any) -> list[Any]:
    """Return the outputs of a network in one more pass of a loss."""
    outputs: list[Any] = []
    hook = model.register_forward_hook(lambda _, __, output: outputs.append(output))
    try:
        with undisturbed():
            loss(model, own_copy(batch))
    finally:
        hook.remove()
    return outputs


def _not_finite(model: nn.Module, loss: Loss, batch: Any, value: float, step: int) -> RunError:
    where = origin(model, lambda: loss(model, batch).item(), qualified_name(loss))
    return RunError(
        f"loss: expected a finite training loss, got {value} at step {step}. {where} Lower the learning "
        "rate, or look for a NaN in the data."
    )


def score(
    model: nn.Module,
    loader: DataLoader[Any],
    objective: Objective,
    *,
    items: CountItems | None = None,
) -> float:
    """Return the mean of an objective over a loader, batches weighted by their items, in eval mode.

    For a mean of counts, such as an accuracy, the result is exact: networks that are right equally often
    score the same, however the data are divided into batches. A batch is left out if the objective is
    undefined on it: it gives NaN although the outputs of the network do not explain it. A metric is computed
    once, over all batches.

    Args:
        model: A network.
        loader: The data.
        objective: A function of (forward, batch), or a metric of torchmetrics.
        items: Returns the number of items in a batch. Default: what the batch and the loader tell.

    Raises:
        InputError: The objective did not return a number, or is not a function of (forward, batch).
        RunError: The loader has no batch.

    Example:
        >>> loader = DataLoader(torch.arange(5.0), batch_size=2)
        >>> score(nn.Identity(), loader, lambda forward, batch: forward(batch).mean())
        2.0
    """
    return score_and_items(model, loader, objective, items=items)[0]


@torch.no_grad()
def score_and_items(
    model: nn.Module, loader: DataLoader[Any], objective: Objective, *, items: CountItems | None = None
) -> tuple[float, float]:
    """Return what `score` returns, and the number of items that it is a mean over."""
    check_objective("objective", objective)
    check_maker("items", items)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    objective = as_objective(objective)
    tally = objective.tally(device) if isinstance(objective, MetricObjective) else None
    mean, batches = Mean(), 0
    where = located(
        lambda: f"While a network was scored by {qualified_name(objective)}, after {batches} batches."
    )
    with kept_modes(model), where, dead_workers_told():
        model.eval()
        for number, batch in enumerate(loader):
            count = items_of(batch, expected_items(loader, number), items)
            batch = to_device(batch, device)
            if tally is not None:
                tally.update(model, batch)
                mean.items += count
                batches += 1
                continue
            value = as_number(objective(model, own_copy(batch)), "objective", objective)
            undefined = is_undefined(value, model, partial(objective, model, own_copy(batch)))
            mean.add(value, count, undefined=undefined)
            batches += 1
    if not batches:
        raise RunError("loader: expected at least one batch to score on, got none.")
    if tally is not None:
        return to_float(tally.value("objective")), mean.items
    return mean.value, mean.items


class Mean:
    """A mean over batches, weighted by their items, without batches on which the objective is undefined.

    Attributes:
        items: Number of items in the mean.
        left_out: Number of batches that were left out.

    Example:
        >>> mean = Mean()
        >>> mean.add(0.5, 4), mean.add(math.nan, 4, undefined=True), mean.add(1.0, 4)
        (None, None, None)
        >>> mean.value, mean.items, mean.left_out
        (0.75, 8, 1)
    """

    def __init__(self) -> None:
        self._total = 0.0
        self.items: float = 0
        self.left_out = 0

    def add(self, value: float, items: float, *, undefined: bool = False) -> None:
        """Add the value of a batch."""
        if undefined:
            self.left_out += 1
        elif items:
            self._total += item_sum(value, items)
            self.items += items

    @property
    def value(self) -> float:
        """The mean; NaN if there are no items."""
        return self._total / self.items if self.items else math.nan


def count_parameters(model: nn.Module) -> int:
    """Return the number of weights of a network; shared ones count once.

    Example:
        >>> count_parameters(nn.Linear(3, 2))
        8
    """
    return sum(parameter.numel() for parameter in model.parameters())
