"""asng retrain: train what a search found from scratch, with other settings."""

from dataclasses import replace
from pathlib import Path

from jsonargparse import Namespace

from asng.cli.parsing import NearestNames
from asng.cli.tell import tell_outcome
from asng.tasks import retrain_run
from asng.tasks.stored import stored_run

__all__ = ["HELP", "make_parser", "run"]

HELP = "train the found architecture of a run, and random ones beside it, from scratch"


def make_parser() -> NearestNames:
    """Return the parser of this subcommand."""
    parser = NearestNames(prog="asng retrain", description=HELP.capitalize() + ".")
    parser.add_argument("run_dir", type=str, help="folder of a finished search")
    parser.add_argument(
        "--epochs", type=int | None, default=None, help="passes over the data (default: as searched)"
    )
    parser.add_argument(
        "--cells", type=int | None, default=None, help="cells of the network (default: as searched)"
    )
    parser.add_argument(
        "--channels", type=int | None, default=None, help="channels of the first cell (default: as searched)"
    )
    parser.add_argument(
        "--peers", type=int | None, default=None, help="random networks (default: as searched)"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bars")
    return parser


def run(arguments: Namespace) -> None:
    """Retrain, and say how it went."""
    folder = Path(arguments.run_dir)
    sizes = {"retrain_cells": arguments.cells, "retrain_channels": arguments.channels}
    stored = stored_run(folder, network=sizes)
    changes = {"retrain_epochs": arguments.epochs, "peers": arguments.peers}
    settings = replace(stored.settings, **{k: v for k, v in changes.items() if v is not None})
    retrain_run(stored.task, settings, folder, seed=stored.seeds[0], progress=not arguments.quiet)
    tell_outcome(folder)
