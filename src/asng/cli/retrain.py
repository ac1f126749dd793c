"""asng retrain: train the found architecture from scratch, with other settings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from asng.checks import integer_at_least
from asng.cli.parsing import NearestNames
from asng.cli.runs import add_trust_flag, trusted_names
from asng.cli.user import UserCode, add_user_code, user_code_of
from asng.errors import InputError
from asng.settings import passes

__all__ = ["add_flags", "run"]

_FLAGS = {
    "epochs": (1, "passes over the data (default: as searched)"),
    "iterations": (1, "steps, rounded to whole passes, in place of --epochs"),
    "seed": (0, "seed of initial weights and batches (default: the run's)"),
    "cells": (1, "cells of the network (default: as searched)"),
    "channels": (1, "channels of the first cell (default: as searched)"),
    "peers": (0, "number of random networks (default: as searched)"),
}
"""The least value and the help of each flag."""
_SIZES = ("cells", "channels")
_SETTINGS = {"epochs": "retrain_epochs", "seed": "retrain_seed", "peers": "peers"}


def add_flags(parser: NearestNames, named: UserCode | None = None) -> None:
    """Add the flags of this subcommand; `named` is the model and data of a search in Python."""
    parser.add_argument("run_dir", type=str, help="folder of a finished search")
    for name, (_, words) in _FLAGS.items():
        parser.add_argument(f"--{name}", type=int | None, default=None, help=words)
    parser.add_argument("--quiet", action="store_true", help="show no progress bars")
    add_trust_flag(parser)
    add_user_code(parser, named)


def run(arguments: Namespace) -> None:
    """Retrain, and print the outcome."""
    from asng.cli.tell import tell_outcome
    from asng.distributed import leads
    from asng.pipeline import retrain_run
    from asng.tasks.reopen import single_run

    folder = Path(arguments.run_dir)
    given: dict[str, Any] = {name: arguments[name] for name in _FLAGS if arguments[name] is not None}
    for name, value in given.items():
        integer_at_least(name, value, _FLAGS[name][0])
    if {"epochs", "iterations"} <= given.keys():
        raise InputError("iterations: expected at most one of --epochs and --iterations, got both.")
    sizes = {name: given[name] for name in _SIZES if name in given}
    stored = single_run(folder, sizes=sizes, user=user_code_of(arguments), trusted=trusted_names(arguments))
    if "iterations" in given:
        given["epochs"] = passes(given["iterations"], len(stored.loaders.train))
    changes = {setting: given[name] for name, setting in _SETTINGS.items() if name in given}
    settings = replace(stored.settings, **changes)
    retrain_run(stored.task, settings, folder, seed=stored.seeds[0], progress=not arguments.quiet)
    if leads():
        tell_outcome(folder)
