"""asng classify: the paper's search for a classifier of images, or a small one like it."""

from collections.abc import Sequence
from dataclasses import asdict

from jsonargparse import Namespace

from asng.checks import one_of
from asng.cli.parsing import NearestNames, looked_ahead, settings_in
from asng.cli.runs import add_preset_flag, add_run_flags, add_trust_flag, part_of, run_as_told
from asng.pipeline import SearchSettings
from asng.tasks.classification import PRESETS, ClassificationSettings, classification

__all__ = ["HELP", "find_preset", "make_parser", "run"]

HELP = "search the paper's cell space for a classifier of images, train it as the paper does"

_OPTIONS = {"preset": ["--preset"], "data_dir": ["--data-dir", "--data_dir"], "config": ["--config"]}


def find_preset(words: Sequence[str]) -> str:
    """Return the preset that the words of `asng classify` or `inpaint`, or their YAML file, ask for.

    Without one it is the paper's where they name data, and the small one on the images that need no download.

    Raises:
        InputError: There is no such preset.

    Example:
        >>> find_preset([]), find_preset(["--data-dir", "cifar"])
        ('small', 'paper')
    """
    found: dict[str, object] = {}
    for name, value in looked_ahead(words, _OPTIONS):
        if name == "config":
            settings = settings_in(value)
            found |= {key: settings[key] for key in ("preset", "data_dir") if settings.get(key) is not None}
        else:
            found[name] = value
    return one_of("preset", found.get("preset", "paper" if "data_dir" in found else "small"), PRESETS)


def make_parser(preset: str = "small") -> NearestNames:
    """Return the parser of this subcommand.

    Args:
        preset: Gives the defaults.
    """
    parser = NearestNames(prog="asng classify", description=HELP.capitalize() + ".")
    add_preset_flag(parser, preset)
    add_run_flags(parser, run_dir="runs/classify")
    add_trust_flag(parser)
    parser.add_settings(ClassificationSettings)
    parser.add_settings(SearchSettings)
    parser.set_defaults({**asdict(PRESETS[preset].task), **asdict(PRESETS[preset].search)})
    return parser


def run(arguments: Namespace) -> None:
    """Search, train, and say what was found."""
    run_as_told(
        arguments,
        lambda given: classification(ClassificationSettings(**part_of(given, ClassificationSettings))),
    )
