"""asng retrain: train what a search found from scratch, with other settings."""

from dataclasses import replace
from pathlib import Path

from jsonargparse import Namespace

from asng.checks import integer_at_least
from asng.cli.parsing import NearestNames
from asng.cli.runs import add_trust_flag, trusted_names
from asng.cli.tell import tell_outcome
from asng.distributed import leads
from asng.errors import InputError
from asng.pipeline import passes, retrain_run
from asng.tasks.reopen import single_run

__all__ = ["HELP", "make_parser", "run"]

HELP = "train the found architecture of a run, and random ones beside it, from scratch"

_LEAST = {"epochs": 1, "iterations": 1, "seed": 0, "cells": 1, "channels": 1, "peers": 0}


def make_parser() -> NearestNames:
    """Return the parser of this subcommand."""
    parser = NearestNames(prog="asng retrain", description=HELP.capitalize() + ".")
    parser.add_argument("run_dir", type=str, help="folder of a finished search")
    parser.add_argument(
        "--epochs", type=int | None, default=None, help="passes over the data (default: as searched)"
    )
    parser.add_argument(
        "--iterations",
        type=int | None,
        default=None,
        help="steps, rounded to whole passes, in place of --epochs",
    )
    parser.add_argument(
        "--seed", type=int | None, default=None, help="seed of first weights and batches (default: the run's)"
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
    add_trust_flag(parser)
    return parser


def run(arguments: Namespace) -> None:
    """Retrain, and say how it went."""
    folder = Path(arguments.run_dir)
    given = {name: arguments[name] for name in _LEAST if arguments[name] is not None}
    for name, value in given.items():
        integer_at_least(name, value, _LEAST[name])
    if {"epochs", "iterations"} <= given.keys():
        raise InputError("iterations: expected at most one of --epochs and --iterations, got both.")
    sizes = {name: given[name] for name in ("cells", "channels") if name in given}
    stored = single_run(folder, sizes=sizes, trusted=trusted_names(arguments))
    if "iterations" in given:
        given["epochs"] = passes(given["iterations"], len(stored.loaders.train))
    names = {"epochs": "retrain_epochs", "seed": "retrain_seed", "peers": "peers"}
    settings = replace(stored.settings, **{names[name]: given[name] for name in names if name in given})
    retrain_run(stored.task, settings, folder, seed=stored.seeds[0], progress=not arguments.quiet)
    if leads():
        tell_outcome(folder)
