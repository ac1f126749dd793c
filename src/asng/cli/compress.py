"""asng compress: make a trained model smaller, to a budget."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from asng.cli.parsing import NearestNames
from asng.errors import InputError

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

__all__ = ["add_flags", "run"]

_NAMES = ("train", "valid", "test")


def add_flags(parser: NearestNames) -> None:
    """Add the flags of this subcommand."""
    add = parser.add_argument
    add(
        "--model",
        type=str,
        required=True,
        metavar="PATH",
        help="import path of a function that returns the trained model",
    )
    add(
        "--data",
        type=str,
        required=True,
        metavar="PATH",
        help="import path of a function that returns loaders: (train, valid), (train, valid, test) or train",
    )
    add(
        "--budget",
        type=str,
        required=True,
        nargs="+",
        metavar="WORDS",
        help="what the child may cost, such as multiply_adds=0.5 (a share) or latency=2ms; several together",
    )
    add("--front", action="store_true", help="make a child for each budget, instead of one for all together")
    add(
        "--loss",
        type=str,
        default="cross_entropy",
        metavar="PATH",
        help="import path of a loss of (output, target), or its name in torch.nn.functional",
    )
    add(
        "--batch-loss",
        type=str,
        default=None,
        metavar="PATH",
        help="import path of a loss of (forward, batch), in place of --loss",
    )
    add(
        "--minimize",
        type=str,
        default=None,
        metavar="PATH",
        help="choose the child with the least value of this function of (forward, batch)",
    )
    add(
        "--maximize",
        type=str,
        default=None,
        metavar="PATH",
        help="choose the one with the greatest value instead, such as accuracy",
    )
    add(
        "--train-weights",
        type=bool,
        default=True,
        help="train the shared weights on narrow networks too before the search",
    )
    add("--teaching", type=float, default=0.5, help="weight of what the model teaches children, from 0 to 1")
    add(
        "--epochs",
        type=int,
        default=10,
        help="through the training data, for the shared weights and for each child",
    )
    add("--evaluations", type=int, default=100, help="networks that are scored on shared weights")
    add("--finalists", type=int, default=4, help="networks that are fine-tuned for a quarter of the epochs")
    add("--learning-rate", type=float | None, default=None, help="of AdamW (default: is found)")
    add(
        "--only",
        type=str,
        nargs="*",
        default=[],
        metavar="PATTERN",
        help="search only layers whose paths match",
    )
    add(
        "--skip",
        type=str,
        nargs="*",
        default=[],
        metavar="PATTERN",
        help="leave layers as they are whose paths match",
    )
    add("--seed", type=int, default=0, help="seed of everything random")
    add("--run-dir", type=str, default="runs/compress", help="folder of this run")
    add("--resume", action="store_true", help="go on with the run in --run-dir, with the same settings")
    add("--overwrite", action="store_true", help="replace an earlier run in --run-dir")
    add("--quiet", action="store_true", help="show no progress bars")
    add("--config", action="config", help="YAML file with any of these settings")


def run(arguments: Namespace) -> None:
    """Compress, and say what came of it."""
    from torch import nn

    from asng.cli.tell import tell_outcome
    from asng.compression import compress
    from asng.tasks.user.scoring import loss_of, selection_of
    from asng.tasks.user.trust import ANYTHING
    from asng.training.optimizers import adamw

    loss = loss_of(arguments.loss, arguments.batch_loss, imports=ANYTHING)
    chosen = selection_of(loss, minimize=arguments.minimize, maximize=arguments.maximize, imports=ANYTHING)
    model = _called("model", arguments.model)
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected {arguments.model} to return a torch.nn.Module, got {model!r:.80}.")
    loaders, rate = _loaders(_called("data", arguments.data)), arguments.learning_rate
    compress(
        model,
        loaders["train"],
        loaders.get("valid"),
        test=loaders.get("test"),
        loss=loss,
        budget=None if arguments.front else list(arguments.budget),
        budgets=list(arguments.budget) if arguments.front else None,
        minimize=None if chosen.higher_is_better else chosen.score,
        maximize=chosen.score if chosen.higher_is_better else None,
        train_weights=arguments.train_weights,
        teaching=arguments.teaching,
        epochs=arguments.epochs,
        evaluations=arguments.evaluations,
        finalists=arguments.finalists,
        optimizer=None if rate is None else partial(adamw, learning_rate=rate),
        options={"only": arguments.only, "skip": arguments.skip},
        seed=arguments.seed,
        run_dir=arguments.run_dir,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        progress=not arguments.quiet,
    )
    tell_outcome(Path(arguments.run_dir))


def _called(name: str, path: str) -> Any:
    from asng.tasks.user.importing import import_named
    from asng.tasks.user.trust import ANYTHING

    found = import_named(name, path, imports=ANYTHING)
    if not callable(found):
        raise InputError(f"{name}: expected {path} to be a function, got {type(found).__name__}.")
    return found()


def _loaders(returned: Any) -> "dict[str, DataLoader[Any]]":
    """Return the loaders by name that a function of the user's returned."""
    from asng.tasks.user.loaders import check_loader

    if isinstance(returned, Mapping):
        named = dict(returned)
    else:
        named = dict(
            zip(_NAMES, returned if isinstance(returned, (tuple, list)) else (returned,), strict=False)
        )
    unknown = [name for name in named if name not in _NAMES]
    if unknown or named.get("train") is None:
        raise InputError(
            f"data: expected loaders by the names {', '.join(_NAMES)}, or in this order, got "
            f"{sorted(map(str, named))}."
        )
    named = {name: loader for name, loader in named.items() if loader is not None}
    for name, loader in named.items():
        check_loader(f"data, {name}", loader)
    return named
