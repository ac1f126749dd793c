"""The command `asng` and its subcommands."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from jsonargparse import Namespace

from asng import __version__
from asng.checks import nearest, require
from asng.cli.parsing import NearestNames
from asng.cli.terminal import Terminal
from asng.errors import AsngError, InputError, in_one_line

if TYPE_CHECKING:
    from asng.cli.user import UserCode

__all__ = ["main", "make_parser", "current_folder_importable"]


class Subcommand(NamedTuple):
    """A subcommand of `asng`.

    Attributes:
        help: What it does.
        load: Imports its module, which has `add_flags` and `run`.
    """

    help: str
    load: Callable[[], Any]


SUBCOMMANDS = {
    "search": Subcommand(
        "search for a network, train it, compare it with random ones, write a report",
        lambda: import_module("asng.cli.search"),
    ),
    "compress": Subcommand(
        "shrink a trained model to fit a budget, and write a report",
        lambda: import_module("asng.cli.compress"),
    ),
    "classify": Subcommand(
        "search the paper's cell space for a classifier of images, train it as the paper does",
        lambda: import_module("asng.cli.classify"),
    ),
    "inpaint": Subcommand(
        "search the paper's space of autoencoders for one that restores images, train it as the paper does",
        lambda: import_module("asng.cli.inpaint"),
    ),
    "retrain": Subcommand(
        "train the found architecture of a run, and random ones beside it, from scratch",
        lambda: import_module("asng.cli.retrain"),
    ),
    "evaluate": Subcommand(
        "score the trained network of a run on test data",
        lambda: import_module("asng.cli.evaluate"),
    ),
    "export": Subcommand(
        "write the trained network of a run as ONNX, as a torch program, as safetensors or for the Hub",
        lambda: import_module("asng.cli.export"),
    ),
    "report": Subcommand(
        "write report.html of a run, finished or not, from its folder alone",
        lambda: import_module("asng.cli.report"),
    ),
    "toy": Subcommand(
        "run ASNG, SNG and Adam on the paper's toy problem over step sizes and learning rates",
        lambda: import_module("asng.cli.toy"),
    ),
    "benchmark": Subcommand(
        "run ASNG and other methods on known problems, and compare their evaluations",
        lambda: import_module("asng.cli.benchmark"),
    ),
}
SHELLS = ("bash", "zsh")
_WITH_USER_CODE = ("search", "retrain", "evaluate", "export")
"""Subcommands that take --model and --data, whose arguments become flags."""
_RESUMED = ("search", "compress", "classify", "inpaint", "toy", "benchmark")
_SHARED = ("search", "classify", "inpaint", "retrain")
"""Subcommands that all processes of torchrun run together; the first process runs any other alone."""


def make_parser(*wanted: str, named: "UserCode | None" = None, preset: str = "small") -> NearestNames:
    """Return the parser of the command line.

    Args:
        wanted: The subcommands that get their flags; the others are only named, which imports less.
        named: The code given as --model and --data, if any.
        preset: The preset from which `asng classify` and `asng inpaint` take their defaults.
    """
    parser = NearestNames(
        prog="asng",
        description="Choose the architecture of a neural network on your data, in one training run.",
        epilog="Run asng SUBCOMMAND --help for details. Try: asng search --run-dir runs/first",
        version=__version__,
    )
    parser.add_argument(
        "--print-completion",
        choices=SHELLS,
        metavar="SHELL",
        help=f"print the completion script for {' or '.join(SHELLS)}",
    )
    subcommands = parser.add_subcommands(required=True, dest="subcommand", title="subcommands")
    from_preset = {"preset": preset}
    given: dict[str, Any] = {"classify": from_preset, "inpaint": from_preset}
    given |= {name: {"named": named} for name in _WITH_USER_CODE}
    for name, (help, load) in SUBCOMMANDS.items():
        part = NearestNames(prog=f"asng {name}", description=f"{help[0].upper()}{help[1:]}.")
        if name in wanted:
            load().add_flags(part, **given.get(name, {}))
        subcommands.add_subcommand(name, part, help=help)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after `asng`. Default: those of this process.

    Returns:
        The exit code: 0; 1 for an error, printed on standard error; 130 after ctrl-C, 143 after SIGTERM, 129
        after SIGHUP. Invalid arguments exit with 2.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    errors = Terminal(stderr=True)
    saved: list[Callable[[], bool]] = []
    if not words or words[0] not in SUBCOMMANDS:
        _end_without_subcommand(words)
    try:
        if {"-h", "--help"} & set(words):  # without waiting for torch, unless the user names a model
            with current_folder_importable():
                _parsed(words)
        from asng.training.faults import dead_workers_told
        from asng.training.signals import terminable  # imports torch, which takes a while

        with terminable(), _heard_in_finalizers(), dead_workers_told(), current_folder_importable():
            _run(words, saved)
    except AsngError as error:
        errors.print(f"asng {words[0]}: {error}", style="red", markup=False)
        return 1
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        told = f"asng {words[0]}: expected torch, which is not installed: pip install 'asng[nas]'."
        errors.print(told, style="red", markup=False)
        return 1
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        told = f"asng {words[0]}: {error.filename}: {error.strerror}. Choose a shorter name."
        errors.print(told, style="red", markup=False)
        return 1
    except (MemoryError, RuntimeError) as error:
        from asng.training.faults import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        told = f"asng {words[0]}: expected a run that fits into memory, got: {in_one_line(error)}."
        errors.print(f"{told} Choose smaller batches or a smaller network.", style="red", markup=False)
        return 1
    except KeyboardInterrupt as stopped:
        if arguments is None:  # the process ends: another signal must not add a traceback
            _end_by_signals()
        more = "."
        if words[0] in _RESUMED:
            more = " before this run had saved anything."
            if any(is_saved() for is_saved in saved):
                more = "; the progress so far is saved. Add --resume to continue."
        errors.print(f"asng: stopped{more}", markup=False)
        return getattr(stopped, "code", 128 + signal.SIGINT)
    return 0


def _end_without_subcommand(words: Sequence[str]) -> NoReturn:
    """Print the help, the version or what is wrong, without waiting for torch."""
    parser = make_parser()
    if words and not words[0].startswith("-"):
        expected, hint = ", ".join(SUBCOMMANDS), nearest(words[0], SUBCOMMANDS)
        parser.exit(2, f"asng: expected one of {expected}, got {words[0]!r:.80}.{hint}\nTry: asng --help\n")
    if words[:1] == ["--print-completion"] and words[1:] in [[shell] for shell in SHELLS]:
        shtab = require("shtab", extra="completion")
        print(shtab.complete(make_parser(*SUBCOMMANDS), words[1]))
        sys.exit(0)
    parser.parse_args(words)
    raise AssertionError("a command line without a subcommand was accepted")


def _parsed(words: list[str], *, defaults: bool = True) -> Namespace:
    """Parse the words, the first of which is the subcommand."""
    from asng.cli.runs import find_preset
    from asng.cli.user import find_user_code, spelled_out

    wanted, named, preset = words[0], None, "small"
    if wanted in _WITH_USER_CODE:
        named = find_user_code(words)
        words = spelled_out(words)
    elif wanted == "compress":
        import_module("asng.cli.compress").refuse_arguments(words)
    elif wanted in ("classify", "inpaint"):
        preset = find_preset(words)
    return make_parser(wanted, named=named, preset=preset).parse_args(words, defaults=defaults)


def _run(words: list[str], saved: list[Callable[[], bool]]) -> None:
    """Run the subcommand, and append what tells whether it has saved anything, or an earlier part of it."""
    from asng.cli.resuming import refuse_other_settings
    from asng.distributed import leads
    from asng.runs.folder import CONFIG

    parsed = _parsed(words)
    if parsed.subcommand not in _SHARED and not leads():
        return
    arguments = parsed[parsed.subcommand]
    if arguments.run_dir == "":  # as of a variable of the shell that is not set
        raise InputError("run_dir: expected a folder, got an empty name. Give . for the current folder.")
    config = Path(arguments.run_dir, CONFIG)
    if arguments.get("resume") and parsed.subcommand != "benchmark":  # which also runs new ones
        refuse_other_settings(_parsed(words, defaults=False)[parsed.subcommand], config.parent)
    before = None if arguments.get("resume") else _written_at(config)
    saved.append(lambda: _written_at(config) not in (None, before))
    SUBCOMMANDS[parsed.subcommand].load().run(arguments)


def _written_at(path: Path) -> int | None:
    """Return when a file was written, in nanoseconds; None if there is none."""
    try:
        return path.stat().st_mtime_ns
    except (OSError, ValueError):
        return None


def _end_by_signals() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def _heard_in_finalizers() -> Iterator[None]:
    """Resend a signal that came in a finaliser such as `__del__`, where Python only prints exceptions."""
    before, sent = sys.unraisablehook, []

    def hear(told: "sys.UnraisableHookArgs") -> None:
        if not isinstance(told.exc_value, KeyboardInterrupt):
            before(told)
            return
        number = getattr(told.exc_value, "code", 128 + signal.SIGINT) - 128
        again = threading.Timer(0.01, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        sent.append(again)

    sys.unraisablehook = hear
    try:
        yield
    finally:
        sys.unraisablehook = before
        for again in sent:  # the command ends in any case
            again.cancel()


@contextmanager
def current_folder_importable() -> Iterator[None]:
    """Look for modules in the current folder first while the block runs, as `python -m` does."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with suppress(ValueError):  # the user's modules may have removed it
            sys.path.remove(here)


if __name__ == "__main__":
    sys.exit(main())
