"""Compress a trained model to a budget in one call: convert, search, fine-tune.

1. The model's widths become variables (`asng.nn.searchable`).
2. The shared weights, which are the trained ones, learn to serve narrow networks too, taught by the model.
3. A distribution for each budget is updated by scores on these weights (`asng.compression.frontier`).
4. The best for each budget and their neighbours are scored again after a few steps of fine-tuning.
5. A few of the best are fine-tuned for a while, and the best of these to the end.
"""

from collections.abc import Iterable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from asng.checks import as_path, check_flags
from asng.compression.goals import BudgetLike, goals_of
from asng.compression.result import Compressed
from asng.compression.road import Road
from asng.errors import InputError
from asng.training.data.nested import CountItems
from asng.training.data.random_state import undisturbed
from asng.training.modes import learning
from asng.training.objective import Loss, Objective
from asng.training.optimizers import MakeOptimizer, MakeScheduler, cosine

__all__ = ["compress"]


def compress(
    model: nn.Module,
    train: DataLoader[Any],
    valid: DataLoader[Any] | None = None,
    *,
    loss: Loss,
    test: DataLoader[Any] | None = None,
    budget: BudgetLike | None = None,
    budgets: Iterable[BudgetLike] | None = None,
    minimize: Objective | None = None,
    maximize: Objective | None = None,
    example: Any = None,
    train_weights: bool = True,
    teaching: float = 0.5,
    epochs: int = 10,
    evaluations: int = 100,
    finalists: int = 4,
    optimizer: MakeOptimizer | None = None,
    scheduler: MakeScheduler | None = cosine,
    clip: float | None = 5.0,
    options: Mapping[str, Any] | None = None,
    items: CountItems | None = None,
    seed: int = 0,
    run_dir: str | Path | None = None,
    onnx: bool = True,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Compressed:
    """Make a trained model smaller: search for the best plain networks within budgets, and fine-tune them.

    Args:
        model: The trained model; it is not changed. A GPU is used if the model is on one.
        train: The data that it was trained on.
        valid: Data that it was not trained on, by which networks are compared. Default: a random fifth of the
            training data, which flatters all scores; a note says so.
        loss: A function of (forward, batch), see `asng.supervised`.
        test: Data that neither training nor selection sees, for the reported scores. Default: the validation
            data.
        budget: What the child may cost: a share of the model's multiply-adds (0.5), words ("latency=2ms",
            "bytes=1MB", "parameters=0.25"), an `asng.Budget`, or a sequence of these that must all hold. In
            words, a number up to 1 without a unit is a share.
        budgets: Instead of `budget`: one for each of several children, all from one search.
        minimize: A function of (forward, batch) or a metric of torchmetrics, for the reported scores and to
            choose the finalist with the least value. The search itself compares by the training loss.
            Default: the loss.
        maximize: The same, with the greatest value.
        example: Inputs that costs are measured on, as in `asng.OneShotSearch`; or a list of `asng.nn.Inputs`,
            of which costs are measured on the first. The conversion is proved on all of them too, so they may
            reach layers that the training data do not. Default: one item of the training data, as the loss
            gives it to the model; or the first batch, if the loader's data cannot be read item by item.
        train_weights: Train the shared weights on narrow networks too. False: search on the model's own
            weights, by forward passes only.
        teaching: Weight in [0, 1] of distillation from the model, see `asng.training.distilled`.
        epochs: Epochs of training for the shared weights, and of fine-tuning for each child at the end, >= 1.
        evaluations: Number of architectures scored on shared weights, >= 1; half as many again for several
            budgets. For each budget, a fifth of this number are scored after a few steps of fine-tuning.
        finalists: Number of architectures fine-tuned for a quarter of the epochs, to choose the child, >= 1.
        optimizer: Makes the optimiser of weights from the parameters. Default: AdamW at the learning rate,
            doubled or halved from 0.001 on, that helps most in a few steps, for each budget.
        scheduler: Makes a schedule from (optimiser, total steps), or None. Default: `cosine`.
        clip: Greatest norm of the gradient, or None. Default 5.
        options: Options of `asng.nn.searchable`: only, skip, step, least, depth, order. Default: its own,
            except for the order: the channels that the outputs need most come first, judged on eight batches
            of training data.
        items: Returns the number of items in a batch. Default: what the batch and its loader tell.
        seed: Seed of everything random, in [0, 2**63).
        run_dir: Folder for intermediate results and for the children. Default: write nothing.
        onnx: Write an ONNX program of each child into `run_dir`, if `asng[onnx]` is installed. torch's
            exporter can take minutes for large attention networks.
        resume: Continue the run in `run_dir`, with the same model, data and settings.
        overwrite: Start anew even if `run_dir` holds a run, whose results are removed.
        progress: Show progress bars.

    Returns:
        The model and its children, with scores and costs.

    Raises:
        InputError: An argument is not as described, the model does not run on the data, or no width of it can
            be narrowed. The loss is not finite or has no gradient, a metric is NaN, or the smallest child is
            over a budget.
            All this is found before anything is trained. Or a child reaches a layer that no call of the
            conversion has reached, and whose input is now narrower.
        RunError: `run_dir` already holds a run, or one with other settings, or the loss is not finite.

    Example:
        >>> import asng, torch
        >>> from torch.utils.data import TensorDataset
        >>> x = torch.randn(96, 8)
        >>> data = DataLoader(TensorDataset(x, x[:, :1] * x[:, 1:2]), batch_size=16)
        >>> model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
        >>> loss = asng.supervised(nn.functional.mse_loss)
        >>> made = compress(
        ...     model, data, data, loss=loss, budget=0.5, epochs=1, evaluations=20, progress=False
        ... )
        >>> made.children[0].costs["multiply_adds"] <= 0.5 * made.model.costs["multiply_adds"]
        True
    """
    if options is not None and not isinstance(options, Mapping):
        raise InputError(
            f"options: expected a mapping of options of asng.nn.searchable, got {options!r:.80}. Write for "
            "instance options={'skip': 'head'}."
        )
    check_flags(train_weights=train_weights, onnx=onnx, resume=resume, overwrite=overwrite, progress=progress)
    if resume and overwrite:
        raise InputError("resume, overwrite: expected at most one of them, got both.")
    if (resume or overwrite) and run_dir is None:
        raise InputError("resume, overwrite: expected a run_dir with them, got none.")
    road = Road(
        model=model,
        train=train,
        valid=valid,
        test=test,
        loss=loss,
        goals=goals_of(budget, budgets),
        minimize=minimize,
        maximize=maximize,
        example=example,
        train_weights=train_weights,
        teaching=teaching,
        epochs=epochs,
        evaluations=evaluations,
        finalists=finalists,
        optimizer=optimizer,
        scheduler=scheduler,
        clip=clip,
        options=dict(options or {}),
        items=items,
        seed=seed,
        folder=None if run_dir is None else as_path("run_dir", run_dir),
        onnx=onnx,
        progress=progress,
        usual={
            name: parameter.default
            for name, parameter in signature(compress).parameters.items()
            if parameter.default is not parameter.empty
        },
    )
    with undisturbed(), learning():
        return road.walk(resume=resume, overwrite=overwrite)
