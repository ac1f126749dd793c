"""--callback: the ready-made callbacks for experiment tracking, by name.

A name is only looked up in the table below. Names in a run folder are compared with the command line, and
never imported: a stranger's folder must not make a search send anything anywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from asng.cli.parsing import NearestNames
from asng.runs.folder import refuse_link

if TYPE_CHECKING:
    from asng.search import Callback

__all__ = ["READY", "add_callback_flag", "callbacks_by_name"]

CallbackName: TypeAlias = Literal["tensorboard", "wandb", "mlflow"]


def _tensorboard(folder: Path) -> "Callback":
    from asng.integrations.tensorboard import TensorBoardCallback

    refuse_link(folder / "tensorboard")
    return TensorBoardCallback(folder / "tensorboard")


def _wandb(folder: Path) -> "Callback":
    from asng.integrations.wandb import WandbCallback

    return WandbCallback("asng", name=folder.resolve().name)


def _mlflow(folder: Path) -> "Callback":
    from asng.integrations.mlflow import MlflowCallback

    return MlflowCallback("asng", name=folder.resolve().name)


READY: Mapping[str, Callable[[Path], "Callback"]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
"""Functions that make each callback from the run folder."""


def add_callback_flag(parser: NearestNames) -> None:
    """Add the flag `--callback`."""
    parser.add_argument(
        "--callback",
        type=CallbackName,
        nargs="+",
        default=[],
        metavar="NAME",
        help="log the search to these tools: tensorboard (into the folder tensorboard of the run), wandb, "
        "mlflow (project or experiment asng, as the tool is set up)",
    )


def callbacks_by_name(names: Sequence[str], folder: Path) -> "Callable[[Path], list[Callback]]":
    """Return a function that makes the callbacks of a run from its folder.

    Args:
        names: Names in `READY`.
        folder: Folder of the run, or of the runs of several seeds.

    Raises:
        RunError: The extra of a callback is not installed. Nothing is written before.
    """
    make = partial(_made, list(dict.fromkeys(names)))
    make(folder)
    return make


def _made(names: Sequence[str], folder: Path) -> "list[Callback]":
    return [READY[name](folder) for name in names]
