"""asng compress: make a trained model small enough for a budget."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from asng.checks import real_between
from asng.cli.parsing import NearestNames
from asng.cli.runs import add_trust_flag
from asng.errors import AsngError, InputError, RunError, in_one_line
from asng.runs.files import make_folder, writes_into
from asng.runs.folder import (
    COMPRESSION_FILES,
    COMPRESSION_LOG,
    CONFIG,
    read_config,
    refuse_earlier_run,
    write_config,
)
from asng.runs.guarded import read_plain
from asng.runs.log import refuse_running

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from asng.tasks.user.trust import Imports

__all__ = ["add_flags", "refuse_arguments", "run"]

_NAMES = ("train", "valid", "test")
_TASK = "compress"
_KEPT = (
    *("model", "data", "budget", "front", "loss", "batch_loss", "minimize", "maximize", "train_weights"),
    *("teaching", "epochs", "evaluations", "finalists", "learning_rate", "only", "skip", "seed", "onnx"),
)
"""Flags that config.yaml keeps of a run: all but its folder, and how it is started and shown."""


def add_flags(parser: NearestNames) -> None:
    """Add the flags of this subcommand."""
    add = parser.add_argument
    add(
        "--model",
        type=str | None,
        default=None,
        metavar="PATH",
        help="import path of a function that returns the trained model; it is called without arguments",
    )
    add(
        "--data",
        type=str | None,
        default=None,
        metavar="PATH",
        help="import path of a function that returns loaders: (train, valid), (train, valid, test) or train",
    )
    add(
        "--budget",
        type=str,
        default=[],
        nargs="+",
        metavar="WORDS",
        help="what the child may cost, such as 0.5 (a share of the multiply-adds) or latency=2ms; several "
        "limits hold together",
    )
    add("--front", action="store_true", help="make one child per budget, instead of one within all of them")
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
        help="choose the child with the lowest value of this function of (forward, batch)",
    )
    add(
        "--maximize",
        type=str,
        default=None,
        metavar="PATH",
        help="choose the child with the highest value of this function instead, such as accuracy",
    )
    add(
        "--train-weights",
        type=bool,
        default=True,
        help="train the shared weights on narrow networks too before the search",
    )
    add("--teaching", type=float, default=0.5, help="weight of distillation from the model, from 0 to 1")
    add(
        "--epochs",
        type=int,
        default=10,
        help="passes over the training data, for the shared weights and for each child",
    )
    add("--evaluations", type=int, default=100, help="number of networks scored on shared weights")
    add("--finalists", type=int, default=4, help="number of networks fine-tuned for a quarter of the epochs")
    add(
        "--learning-rate",
        type=float | None,
        default=None,
        help="learning rate of AdamW (default: found by a test)",
    )
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
        help="do not search layers whose paths match",
    )
    add("--seed", type=int, default=0, help="seed of all random numbers")
    add(
        "--onnx",
        type=bool,
        default=True,
        help="write an ONNX program of each child, if asng[onnx] is installed",
    )
    add("--run-dir", type=str, default="runs/compress", help="folder of this run")
    add("--resume", action="store_true", help="continue the run in --run-dir, with its own settings")
    add("--overwrite", action="store_true", help="replace an earlier run in --run-dir")
    add("--quiet", action="store_true", help="show no progress bars")
    add("--config", action="config", help="YAML file with any of these settings")
    add_trust_flag(parser)


def refuse_arguments(words: Sequence[str]) -> None:
    """Refuse flags for arguments of the user's functions, which `asng search` has and this command has not.

    Raises:
        InputError: There is such a flag.
    """
    for flag in (word.partition("=")[0] for word in words):
        part = flag.partition(".")[0]
        if part in ("--model", "--data") and part != flag:
            raise InputError(
                f"{flag}: expected no arguments, since asng compress calls {part} without any. Write a "
                f"function of no arguments that passes them, and name it by {part}."
            )


def run(arguments: Namespace) -> None:
    """Compress, and print the outcome."""
    folder = Path(arguments.run_dir)
    if arguments.resume and arguments.overwrite:
        raise InputError("resume, overwrite: expected at most one of them, got both.")
    if arguments.resume and arguments.model is None:
        from asng.tasks.user.trust import Imports

        trusted = frozenset(name.strip() for name in arguments.trust.split(","))
        _compress(_begun(arguments, folder), Imports(trusted, f"{folder / CONFIG}"))
        return
    for name in ("model", "data", "budget"):
        if not arguments[name]:
            raise InputError(f"{name}: expected one for a new run, got none. Give --{name}.")
    if not arguments.resume and not arguments.overwrite:
        refuse_earlier_run(folder, (*COMPRESSION_FILES, CONFIG))
    refuse_running(folder / COMPRESSION_LOG)
    from asng.tasks.user.trust import ANYTHING

    _compress(arguments, ANYTHING)


def _begun(arguments: Namespace, folder: Path) -> Namespace:
    """Return the arguments with which the run in a folder was started, from its config.yaml.

    Raises:
        RunError: The folder has none, or not those of a compression.
    """
    config, where = read_config(folder), f"{folder / CONFIG}"
    if config["task"] != _TASK or not isinstance(config.get(_TASK), dict):
        raise RunError(
            f"{where}: expected the settings of a compression, got the task {config['task']!r:.80}."
        )
    parser = NearestNames(exit_on_error=False)
    add_flags(parser)
    try:
        begun: Namespace = parser.parse_object(
            {name: value for name, value in config[_TASK].items() if name in _KEPT}
        )
    except Exception as error:  # of jsonargparse, for a value of another type
        raise RunError(f"{where}: {in_one_line(error, 300)}.") from error
    if not all(isinstance(begun[name], str) for name in ("model", "data")) or not begun.budget:
        raise RunError(f"{where}: expected a model, data and a budget, but at least one is missing.")
    for name in ("run_dir", "resume", "quiet"):
        begun[name] = arguments[name]
    return begun


def _compress(arguments: Namespace, imports: "Imports") -> None:
    from torch import nn

    from asng.cli.tell import tell_outcome
    from asng.compression import compress
    from asng.tasks.user.importing import whole_path
    from asng.tasks.user.scoring import HOMES, loss_of, selection_of
    from asng.training.optimizers import adamw

    if (rate := arguments.learning_rate) is not None:
        real_between("learning_rate", rate, 0.0, math.inf, open_low=True)
    functions = {name: arguments[name] for name in HOMES if arguments[name] is not None}
    whole = [whole_path(path, HOMES[name]) for name, path in functions.items()]
    imports.check([arguments.model, arguments.data], functions=whole)  # all at once: one error names them
    loss = loss_of(arguments.loss, arguments.batch_loss, imports=imports)
    chosen = selection_of(loss, minimize=arguments.minimize, maximize=arguments.maximize, imports=imports)
    model = _called("model", arguments.model, imports)
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected {arguments.model} to return a torch.nn.Module, got {model!r:.80}.")
    loaders = _loaders(_called("data", arguments.data, imports))
    with _config_kept(Path(arguments.run_dir), arguments):
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
            onnx=arguments.onnx,
            resume=arguments.resume,
            overwrite=arguments.overwrite,
            progress=not arguments.quiet,
        )
    tell_outcome(Path(arguments.run_dir))


@contextmanager
def _config_kept(folder: Path, arguments: Namespace) -> Iterator[None]:
    """Store the arguments for a bare `--resume`; put the folder back as it was if the run does not start."""
    path, log = folder / CONFIG, folder / COMPRESSION_LOG
    if arguments.resume and path.exists():
        yield
        return
    before = read_plain(path) if path.exists() else None
    begun = log.stat() if log.exists() else None
    with writes_into(folder):
        make_folder(folder)
    kept = {name: arguments[name] for name in _KEPT}
    write_config(folder, {"task": _TASK, _TASK: kept, "defaults": {_TASK: _defaults(kept)}})
    try:
        yield
    except AsngError as error:
        same = (log.stat() if log.exists() else None) == begun
        if not isinstance(error, InputError) and not same:
            raise  # of a run that has begun, and is to be resumed
        with suppress(OSError):
            path.unlink() if before is None else path.write_bytes(before)
            folder.rmdir()  # if it is empty
        raise


def _defaults(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of the flags that differ from them; model, data and budget have none."""
    parser = NearestNames()
    add_flags(parser)
    usual = parser.get_defaults()
    optional = (name for name in kept if name not in ("model", "data", "budget"))
    return {name: usual[name] for name in optional if usual[name] != kept[name]}


def _called(name: str, path: str, imports: "Imports") -> Any:
    from asng.tasks.user.importing import import_named

    found = import_named(name, path, imports=imports)
    if not callable(found):
        raise InputError(f"{name}: expected {path} to be a function, got {type(found).__name__}.")
    try:
        needed = [one for one in signature(found).parameters.values() if _is_needed(one)]
    except ValueError:  # a function in C does not tell
        needed = []
    if needed:
        raise InputError(
            f"{name}: expected a function without arguments, got {path}, which needs "
            f"{', '.join(one.name for one in needed)}. Name a function that passes them."
        )
    return found()


def _is_needed(one: Parameter) -> bool:
    return one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)


def _loaders(returned: Any) -> "dict[str, DataLoader[Any]]":
    """Return the loaders that the user's function returned, by name."""
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
            f"data: expected loaders named {', '.join(_NAMES)}, or in this order, got "
            f"{sorted(map(str, named))}."
        )
    named = {name: loader for name, loader in named.items() if loader is not None}
    for name, loader in named.items():
        check_loader(f"data, {name}", loader)
    return named
