"""asng toy: the paper's toy problem over its whole grid, and its figure."""

from dataclasses import fields
from pathlib import Path

from jsonargparse import Namespace

from asng.checks import integer_at_least
from asng.cli.parsing import NearestNames
from asng.cli.tell import tell_outcome
from asng.experiments.toy import ToySettings, resume_toy, run_toy

__all__ = ["HELP", "make_parser", "run"]

HELP = "run ASNG, SNG and Adam on the paper's toy problem over step sizes and learning rates"


def make_parser() -> NearestNames:
    """Return the parser of this subcommand."""
    parser = NearestNames(prog="asng toy", description=HELP[0].upper() + HELP[1:] + ".")
    parser.add_argument("--run-dir", type=str, default="runs/toy", help="folder of this run")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=20, help="runs of every cell, from --seed on")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in --run-dir, as it was set"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier run in --run-dir")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.add_argument("--config", action="config", help="YAML file with any of these settings")
    parser.add_settings(ToySettings)
    return parser


def run(arguments: Namespace) -> None:
    """Run the grid, or what is left of it, and say how it went."""
    folder = Path(arguments.run_dir)
    flags = {"workers": arguments.workers, "progress": not arguments.quiet}
    if arguments.resume:
        resume_toy(folder, **flags)
    else:
        integer_at_least("seeds", arguments.seeds, 1)
        settings = ToySettings(**{field.name: arguments[field.name] for field in fields(ToySettings)})
        seeds = range(arguments.seed, arguments.seed + arguments.seeds)
        run_toy(settings, folder, seeds=seeds, overwrite=arguments.overwrite, **flags)
    tell_outcome(folder)
