"""Print the outcome of a finished command."""

from pathlib import Path

from asng.black_box.report import MINIMIZE
from asng.cli.terminal import Terminal
from asng.compression.report import COMPRESSION
from asng.errors import RunError
from asng.experiments.benchmark.report import BENCHMARK
from asng.experiments.toy.report import TOY
from asng.report import RunKind, summary_table, write_report
from asng.runs.folder import FILES

__all__ = ["KINDS", "tell_outcome"]

KINDS: tuple[RunKind, ...] = (TOY, BENCHMARK, COMPRESSION, MINIMIZE)
"""Kinds of runs besides searches."""


def tell_outcome(folder: Path) -> None:
    """Write the report, print a short table, and list the files of the run."""
    console = Terminal()
    try:
        write_report(folder, kinds=KINDS)
    except RunError as error:  # the figures need an extra; the run is complete without them
        Terminal(stderr=True).print(f"asng: no report: {error}", markup=False)
    console.print()
    console.print(summary_table(folder, kinds=KINDS))
    console.print()
    for part, meaning in FILES.items():
        if (folder / part).exists():
            console.print(f"{folder / part}  {meaning}", markup=False)
