"""asng export: write the trained child of a run in a form that runs without asng."""

from pathlib import Path
from typing import Literal

from jsonargparse import Namespace

from asng.checks import require
from asng.cli.parsing import NearestNames
from asng.cli.runs import add_trust_flag, trusted_names
from asng.cli.terminal import Terminal
from asng.cli.user import UserCode, add_user_code, user_code_of
from asng.runs.folder import CHILD, refuse_link

__all__ = ["add_flags", "run"]


def add_flags(parser: NearestNames, named: UserCode | None = None) -> None:
    """Add the flags of this subcommand; `named` is the model and data of a search in Python."""
    parser.add_argument("run_dir", type=str, help="folder of a finished run, with its child.pt")
    parser.add_argument(
        "--format",
        type=Literal["pt2", "onnx", "safetensors", "hub"],
        default="pt2",
        help="pt2: for torch.export.load; onnx: for any ONNX runtime; safetensors: weights and architecture; "
        "hub: a folder for the Hugging Face Hub, with a model card",
    )
    parser.add_argument(
        "--output",
        type=str | None,
        default=None,
        help="file to write (default: child.<format> in the run folder); for hub a folder (default: hub)",
    )
    add_trust_flag(parser)
    add_user_code(parser, named)


def run(arguments: Namespace) -> None:
    """Load the child, write it, and print where."""
    from asng.integrations.hub import save_hub_folder
    from asng.integrations.safetensors import save_safetensors
    from asng.tasks.reopen import example_of, load_child, single_run
    from asng.training import load_child_weights, save_onnx, save_program

    folder, form = Path(arguments.run_dir), arguments.format
    if form == "hub" and arguments.output is None:
        refuse_link(folder / "hub")
    if form in ("safetensors", "hub"):
        require("safetensors", extra=form)  # raised before the data are read
    stored = single_run(folder, user=user_code_of(arguments), trusted=trusted_names(arguments))
    child = load_child(stored, folder)
    output = Path(arguments.output or folder / ("hub" if form == "hub" else f"child.{form}"))
    if form in ("pt2", "onnx"):
        save = {"pt2": save_program, "onnx": save_onnx}[form]
        save(output, child, example_of(stored, folder))
    else:
        architecture, _ = load_child_weights(folder / CHILD)
        if form == "safetensors":
            save_safetensors(output, child, architecture)
        else:
            name, example = folder.resolve().name, example_of(stored, folder)
            save_hub_folder(output, child, architecture, example=example, run_dir=folder, name=name)
    Terminal().print(f"wrote {output}", markup=False)
