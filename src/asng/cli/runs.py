"""Flags and steps that several subcommands share."""

from collections.abc import Callable, Sequence, Set
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from jsonargparse import Namespace

from asng.checks import integer_at_least, one_of, torch_seed
from asng.cli.callbacks import callbacks_by_name
from asng.cli.parsing import NearestNames, looked_ahead, settings_in
from asng.errors import InputError
from asng.settings import SearchSettings

if TYPE_CHECKING:
    from asng.pipeline import Task

__all__ = [
    "PresetName",
    "add_preset_flag",
    "add_run_flags",
    "add_trust_flag",
    "find_preset",
    "part_of",
    "run_as_told",
    "seeds_of",
    "trusted_names",
]

PresetName: TypeAlias = Literal["small", "paper"]

_PRESET_OPTIONS = {"preset": ["--preset"], "data_dir": ["--data-dir", "--data_dir"], "config": ["--config"]}

_NAMING = ("model.import", "data.import", "baseline.import", "loss", "batch_loss", "minimize", "maximize")
"""Flags whose values name classes and functions."""


def add_run_flags(parser: NearestNames, *, run_dir: str, seeds: int = 1, overwrite: bool = True) -> None:
    """Add the flags for the run folder, the seeds, and whether to resume or overwrite a run.

    Args:
        parser: Parser of the subcommand.
        run_dir: Default of --run-dir.
        seeds: Default of --seeds.
        overwrite: Whether to add --overwrite, which replaces an earlier run.
    """
    parser.add_argument("--run-dir", type=str, default=run_dir, help="folder of this run")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers")
    parser.add_argument(
        "--seeds", type=int, default=seeds, help="number of runs, with seeds counted up from --seed"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in --run-dir, with its own settings"
    )
    if overwrite:
        parser.add_argument("--overwrite", action="store_true", help="replace an earlier run in --run-dir")
    parser.add_argument("--quiet", action="store_true", help="show no progress bars")
    parser.add_argument("--config", action="config", help="YAML file with any of these settings")


def seeds_of(arguments: Namespace) -> range:
    """Return the seeds of a run.

    Raises:
        InputError: --seeds is less than 1.
    """
    integer_at_least("seeds", arguments.seeds, 1)
    return range(arguments.seed, arguments.seed + arguments.seeds)


def find_preset(words: Sequence[str]) -> str:
    """Return the preset that the words of `asng classify` or `inpaint`, or their YAML file, ask for.

    If they name no preset, it is the paper's if they name data, and otherwise the small one, on the images
    that need no download.

    Raises:
        InputError: There is no such preset.

    Example:
        >>> find_preset([]), find_preset(["--data-dir", "cifar"])
        ('small', 'paper')
    """
    found: dict[str, object] = {}
    for name, value in looked_ahead(words, _PRESET_OPTIONS):
        if name == "config":
            settings = settings_in(value)
            found |= {key: settings[key] for key in ("preset", "data_dir") if settings.get(key) is not None}
        else:
            found[name] = value
    return one_of(
        "preset", found.get("preset", "paper" if "data_dir" in found else "small"), get_args(PresetName)
    )


def add_preset_flag(parser: NearestNames, preset: str) -> None:
    """Add the flag that chooses the default settings."""
    parser.add_argument(
        "--preset",
        type=PresetName,
        default=preset,
        help="settings to start from; other options override them (default: paper with --data-dir, else "
        "small)",
    )


def run_as_told(arguments: Namespace, make_task: "Callable[[Namespace], Task]") -> None:
    """Run a task, or resume the one in the folder, and print what was found.

    Args:
        arguments: Parsed arguments, with the flags of `add_run_flags` and of `SearchSettings`.
        make_task: Makes the task of a new run.
    """
    from asng.cli.tell import tell_outcome
    from asng.distributed import leads
    from asng.pipeline import run_seeds, run_task
    from asng.tasks.reopen import stored_run

    folder = Path(arguments.run_dir)
    flags: dict[str, Any] = {
        "resume": arguments.resume,
        "overwrite": arguments.overwrite,
        "progress": not arguments.quiet,
        "callbacks": callbacks_by_name(arguments.callback, folder),
    }
    if arguments.resume:
        stored = stored_run(folder, trusted=trusted_names(arguments))
        task, settings, seeds = stored.task, stored.settings, stored.seeds
        several = stored.several
    else:
        if arguments.trust:
            raise InputError(
                "trust: expected only with --resume, for the names in the run's config.yaml, got "
                f"{arguments.trust!r} for a new run. Add --resume, or leave --trust out: --model and --data "
                "are trusted."
            )
        seeds = list(seeds_of(arguments))
        for seed in (seeds[0], seeds[-1]):
            torch_seed("seed", seed)
        task = make_task(arguments)
        settings = SearchSettings(**part_of(arguments, SearchSettings))
        several = len(seeds) > 1
    if several:
        run_seeds(task, settings, folder, seeds=seeds, **flags)
    else:
        run_task(task, settings, folder, seed=seeds[0], **flags)
    if leads():
        tell_outcome(folder)


def part_of(arguments: Namespace, settings: type, *, skip: Set[str] = frozenset()) -> dict[str, Any]:
    """Return the arguments that are fields of a dataclass."""
    return {field.name: arguments[field.name] for field in fields(settings) if field.name not in skip}


def add_trust_flag(parser: NearestNames) -> None:
    """Add the flag `--trust`."""
    parser.add_argument(
        "--trust",
        type=str,
        default="",
        metavar="NAMES",
        help="import paths, separated by commas, that the run's config.yaml may import and call",
    )


def trusted_names(arguments: Namespace) -> frozenset[str]:
    """Return the import paths that the user gave by `--trust`, or by `--model` and similar flags."""
    named = {name.strip() for name in arguments.trust.split(",")}
    return frozenset(named | {str(arguments[key]) for key in _NAMING if key in arguments})
