"""asng search: find an architecture, train it, and compare it with random ones."""

from collections.abc import Set
from dataclasses import fields
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from asng.checks import integer_at_least
from asng.cli.own import Own, mention_own, own_settings
from asng.cli.parsing import NearestNames
from asng.cli.tell import tell_outcome
from asng.tasks import SearchSettings, Task, run_seeds, run_task
from asng.tasks.classification import ClassificationSettings, classification
from asng.tasks.own import OwnSettings, own
from asng.tasks.stored import stored_run

__all__ = ["HELP", "make_parser", "run"]

HELP = "search a network, train it, compare it with random ones, write a report"


def make_parser(named: Own | None = None) -> NearestNames:
    """Return the parser of this subcommand.

    Args:
        named: The user's own model and data. Default: a network of cells for images.
    """
    parser = NearestNames(prog="asng search", description=HELP.capitalize() + ".")
    parser.add_argument("--run-dir", type=str, default="runs/search", help="folder of this run")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.add_argument("--seeds", type=int, default=1, help="search so many times, from --seed on")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in --run-dir, as it was set"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier run in --run-dir")
    parser.add_argument("--quiet", action="store_true", help="show no progress bars")
    parser.add_argument("--config", action="config", help="YAML file with any of these settings")
    if named is None:
        mention_own(parser)
        parser.add_settings(ClassificationSettings)
    else:
        named.add_to(parser)
        parser.add_settings(OwnSettings, skip={"model", "data"})
    parser.add_settings(SearchSettings)
    return parser


def run(arguments: Namespace) -> None:
    """Search, and say what was found."""
    folder = Path(arguments.run_dir)
    flags = {"resume": arguments.resume, "overwrite": arguments.overwrite, "progress": not arguments.quiet}
    if arguments.resume:
        stored = stored_run(folder)
        task, settings, seeds = stored.task, stored.settings, stored.seeds
        several = stored.several
    else:
        integer_at_least("seeds", arguments.seeds, 1)
        integer_at_least("seed", arguments.seed, 0)
        task = _task(arguments)
        settings = SearchSettings(**_part(arguments, SearchSettings))
        seeds = list(range(arguments.seed, arguments.seed + arguments.seeds))
        several = arguments.seeds > 1
    if several:
        run_seeds(task, settings, folder, seeds=seeds, **flags)
    else:
        run_task(task, settings, folder, seed=seeds[0], **flags)
    tell_outcome(folder)


def _task(arguments: Namespace) -> Task:
    if "model" in arguments:
        return own(own_settings(arguments, _part(arguments, OwnSettings, skip={"model", "data"})))
    return classification(ClassificationSettings(**_part(arguments, ClassificationSettings)))


def _part(arguments: Namespace, settings: type, *, skip: Set[str] = frozenset()) -> dict[str, Any]:
    return {field.name: arguments[field.name] for field in fields(settings) if field.name not in skip}
