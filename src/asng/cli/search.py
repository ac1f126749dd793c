"""asng search: find an architecture, train it, and compare it with random ones."""

from typing import TYPE_CHECKING

from jsonargparse import Namespace

from asng.cli.callbacks import add_callback_flag
from asng.cli.parsing import NearestNames
from asng.cli.runs import add_run_flags, add_trust_flag, part_of, run_as_told
from asng.cli.user import PARTS, UserCode, mention_user_code, user_settings
from asng.settings import ClassificationSettings, SearchSettings, UserSettings

if TYPE_CHECKING:
    from asng.pipeline import Task

__all__ = ["add_flags", "run"]


def add_flags(parser: NearestNames, named: UserCode | None = None) -> None:
    """Add the flags of this subcommand.

    Args:
        parser: Parser of this subcommand.
        named: The user's own model and data. Default: a network of cells for images.
    """
    add_run_flags(parser, run_dir="runs/search")
    add_callback_flag(parser)
    add_trust_flag(parser)
    if named is None:
        mention_user_code(parser)
        parser.add_settings(ClassificationSettings)
    else:
        named.add_to(parser)
        parser.add_settings(UserSettings, skip=set(PARTS))
    parser.add_settings(SearchSettings)


def run(arguments: Namespace) -> None:
    """Search, train, and print what was found."""
    run_as_told(arguments, _task)


def _task(arguments: Namespace) -> "Task":
    if "model" in arguments:
        from asng.tasks.user import user_task

        others = part_of(arguments, UserSettings, skip=set(PARTS))
        return user_task(user_settings(arguments, others))
    from asng.tasks.classification import classification

    return classification(ClassificationSettings(**part_of(arguments, ClassificationSettings)))
