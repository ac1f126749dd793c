"""asng toy: run the paper's toy problem over its whole grid, and draw its figure."""

from pathlib import Path

from jsonargparse import Namespace

from asng.cli.parsing import NearestNames
from asng.cli.runs import add_run_flags, part_of, seeds_of
from asng.settings import ToySettings

__all__ = ["add_flags", "run"]


def add_flags(parser: NearestNames) -> None:
    """Add the flags of this subcommand."""
    add_run_flags(parser, run_dir="runs/toy", seeds=20)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_settings(ToySettings)


def run(arguments: Namespace) -> None:
    """Run the grid, or what is left of it, and print the outcome."""
    from asng.cli.tell import tell_outcome
    from asng.experiments.toy import resume_toy, run_toy

    folder = Path(arguments.run_dir)
    flags = {"workers": arguments.workers, "progress": not arguments.quiet}
    if arguments.resume:
        resume_toy(folder, **flags)
    else:
        settings = ToySettings(**part_of(arguments, ToySettings))
        run_toy(settings, folder, seeds=seeds_of(arguments), overwrite=arguments.overwrite, **flags)
    tell_outcome(folder)
