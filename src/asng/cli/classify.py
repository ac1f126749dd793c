"""asng classify: run the paper's search for an image classifier, or a small one like it."""

from dataclasses import asdict

from jsonargparse import Namespace

from asng.cli.callbacks import add_callback_flag
from asng.cli.parsing import NearestNames
from asng.cli.runs import add_preset_flag, add_run_flags, add_trust_flag, part_of, run_as_told
from asng.settings import ClassificationSettings, SearchSettings
from asng.settings.classification import PRESETS

__all__ = ["add_flags", "run"]


def add_flags(parser: NearestNames, preset: str = "small") -> None:
    """Add the flags of this subcommand.

    Args:
        parser: Parser of this subcommand.
        preset: The preset that gives the defaults.
    """
    add_preset_flag(parser, preset)
    add_run_flags(parser, run_dir="runs/classify")
    add_callback_flag(parser)
    add_trust_flag(parser)
    parser.add_settings(ClassificationSettings)
    parser.add_settings(SearchSettings)
    parser.set_defaults({**asdict(PRESETS[preset].task), **asdict(PRESETS[preset].search)})


def run(arguments: Namespace) -> None:
    """Search, train, and print what was found."""
    from asng.tasks.classification import classification

    run_as_told(
        arguments,
        lambda given: classification(ClassificationSettings(**part_of(given, ClassificationSettings))),
    )
