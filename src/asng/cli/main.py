"""The command `asng` and its subcommands."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from rich.console import Console

from asng import __version__
from asng.cli import benchmark, classify, compress, evaluate, export, inpaint, report, retrain, search, toy
from asng.cli.parsing import NearestNames
from asng.cli.runs import find_preset
from asng.cli.user import UserCode, find_user_code, spelled_out
from asng.distributed import leads
from asng.errors import AsngError
from asng.training.signals import Terminated, terminable

__all__ = ["main", "make_parser", "current_folder_importable"]

SUBCOMMANDS: dict[str, Any] = {
    "search": search,
    "compress": compress,
    "classify": classify,
    "inpaint": inpaint,
    "retrain": retrain,
    "evaluate": evaluate,
    "export": export,
    "report": report,
    "toy": toy,
    "benchmark": benchmark,
}
_SHARED = ("search", "classify", "inpaint", "retrain")
"""What several processes of torchrun do together; all else the first one does alone."""


def make_parser(
    named: UserCode | None = None, preset: str = "small", *, only: str | None = None
) -> NearestNames:
    """Return the parser of the command line.

    Args:
        named: What `asng search` is given as --model and --data, if any.
        preset: What `asng classify` and `asng inpaint` take their defaults from.
        only: The subcommand that gets its flags, which take long to make. Default: all.
    """
    parser = NearestNames(
        prog="asng",
        description="Choose the architecture of a neural network on your data, in one training run.",
        epilog="asng SUBCOMMAND --help tells more. Try: asng search --run-dir runs/first",
        version=__version__,
    )
    subcommands = parser.add_subcommands(required=True, dest="subcommand", title="subcommands")
    from_preset = {"preset": preset}
    given: dict[str, Any] = {"search": {"named": named}, "classify": from_preset, "inpaint": from_preset}
    for name, module in SUBCOMMANDS.items():
        help = module.HELP
        part = NearestNames(prog=f"asng {name}", description=f"{help[0].upper()}{help[1:]}.")
        if only in (None, name):
            module.add_flags(part, **given.get(name, {}))
        subcommands.add_subcommand(name, part, help=help)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after `asng`. Default: those of this process.

    Returns:
        The exit code: 0; 1 for an error, told on standard error; 130 after ctrl-C, 143 after SIGTERM. Wrong
        words on the command line exit with 2.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with terminable(), current_folder_importable():
            _run(words)
    except AsngError as error:
        errors.print(f"asng {words[0]}: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt as stopped:
        errors.print(
            "asng: stopped; what was reached is on the disk. Go on by adding --resume.", markup=False
        )
        return 128 + (signal.SIGTERM if isinstance(stopped, Terminated) else signal.SIGINT)
    return 0


def _run(words: list[str]) -> None:
    named, preset = None, "small"
    if words[:1] == ["search"]:
        named = find_user_code(words)
        words = spelled_out(words)
    elif words[:1] in (["classify"], ["inpaint"]):
        preset = find_preset(words)
    only = words[0] if words and words[0] in SUBCOMMANDS else None
    parsed: Namespace = make_parser(named, preset, only=only).parse_args(words)
    if parsed.subcommand not in _SHARED and not leads():
        return
    SUBCOMMANDS[parsed.subcommand].run(parsed[parsed.subcommand])


@contextmanager
def current_folder_importable() -> Iterator[None]:
    """Look for modules in the current folder first, for a while: beside the user, as with python -m."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with suppress(ValueError):  # where the user's modules have removed it
            sys.path.remove(here)


if __name__ == "__main__":
    sys.exit(main())
