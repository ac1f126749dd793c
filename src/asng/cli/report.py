"""asng report: make the report of a run anew."""

from jsonargparse import Namespace
from rich.console import Console

from asng.cli.parsing import NearestNames

__all__ = ["add_flags", "run"]


def add_flags(parser: NearestNames) -> None:
    """Add the flags of this subcommand."""
    parser.add_argument("run_dir", type=str, help="a run folder")


def run(arguments: Namespace) -> None:
    """Write the page and print the table."""
    from asng.cli.tell import KINDS
    from asng.report import summary_table, write_report

    path = write_report(arguments.run_dir, kinds=KINDS)
    console = Console(highlight=False, soft_wrap=True)
    console.print(summary_table(arguments.run_dir, kinds=KINDS))
    console.print(f"wrote {path}", markup=False)
