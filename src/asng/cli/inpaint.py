"""asng inpaint: run the paper's search for a network that restores images, or a small one like it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from asng.checks import integer_at_least
from asng.cli.callbacks import add_callback_flag
from asng.cli.parsing import NearestNames
from asng.cli.runs import add_preset_flag, add_run_flags, add_trust_flag, part_of, run_as_told
from asng.settings import InpaintingSettings, SearchSettings, passes
from asng.settings.inpainting import PRESETS

if TYPE_CHECKING:
    from asng.pipeline import Task

__all__ = ["add_flags", "run"]


def add_flags(parser: NearestNames, preset: str = "small") -> None:
    """Add the flags of this subcommand.

    Args:
        parser: Parser of this subcommand.
        preset: The preset that gives the defaults.
    """
    chosen = PRESETS[preset]
    add_preset_flag(parser, preset)
    add_run_flags(parser, run_dir="runs/inpaint")
    add_callback_flag(parser)
    add_trust_flag(parser)
    parser.add_argument(
        "--iterations",
        type=int,
        default=chosen.iterations,
        help="steps of the search, rounded to whole passes over the data",
    )
    parser.add_argument(
        "--retrain-iterations",
        type=int,
        default=chosen.retrain_iterations,
        help="training steps of each network from scratch, rounded in the same way; 0 trains none",
    )
    parser.add_settings(InpaintingSettings)
    parser.add_settings(SearchSettings, skip={"epochs", "retrain_epochs"})
    given = {**asdict(chosen.task), **asdict(chosen.search)}
    parser.set_defaults({name: given[name] for name in given if name not in ("epochs", "retrain_epochs")})


def run(arguments: Namespace) -> None:
    """Search, train, and print what was found."""
    run_as_told(arguments, _task)


def _task(arguments: Namespace) -> "Task":
    from asng.tasks.inpainting import inpainting

    integer_at_least("iterations", arguments.iterations, 1)
    integer_at_least("retrain_iterations", arguments.retrain_iterations, 0)
    task = inpainting(InpaintingSettings(**part_of(arguments, InpaintingSettings)))
    # The number of passes depends on the size of the data.
    loaders = task.loaders(arguments.seed)
    arguments["epochs"] = passes(arguments.iterations, len(loaders.search_train))
    arguments["retrain_epochs"] = passes(arguments.retrain_iterations, len(loaders.train))
    return task
