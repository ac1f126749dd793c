"""asng export: write the trained child of a run in a form that runs without asng."""

from pathlib import Path
from typing import Literal

from jsonargparse import Namespace
from rich.console import Console

from asng.cli.parsing import NearestNames
from asng.cli.runs import add_trust_flag, trusted_names
from asng.cli.user import UserCode, add_user_code, user_code_of

__all__ = ["add_flags", "run"]


def add_flags(parser: NearestNames, named: UserCode | None = None) -> None:
    """Add the flags of this subcommand; `named` is the model and data of a search in Python."""
    parser.add_argument("run_dir", type=str, help="folder of a finished run, with its child.pt")
    parser.add_argument(
        "--format",
        type=Literal["pt2", "onnx"],
        default="pt2",
        help="pt2: for torch.export.load; onnx: for any ONNX runtime",
    )
    parser.add_argument(
        "--output",
        type=str | None,
        default=None,
        help="file to write (default: child.<format> in the run folder)",
    )
    add_trust_flag(parser)
    add_user_code(parser, named)


def run(arguments: Namespace) -> None:
    """Load the child, write it, say where."""
    from asng.tasks.reopen import example_of, load_child, single_run
    from asng.training import save_onnx, save_program

    folder = Path(arguments.run_dir)
    stored = single_run(folder, user=user_code_of(arguments), trusted=trusted_names(arguments))
    child = load_child(stored, folder)
    output = arguments.output or folder / f"child.{arguments.format}"
    save = {"pt2": save_program, "onnx": save_onnx}[arguments.format]
    save(Path(output), child, example_of(stored, folder))
    Console(highlight=False, soft_wrap=True).print(f"wrote {output}", markup=False)
