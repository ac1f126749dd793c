"""What a finished command says."""

import sys
from pathlib import Path

from rich.console import Console

from asng.errors import RunError
from asng.report import summary_table, write_report

__all__ = ["tell_outcome"]

_PARTS = {
    "report.html": "the report: open it in a browser",
    "architecture.json": "the found architecture",
    "child.pt": "its weights, for torch.load(..., weights_only=True)",
    "result.json": "all scores",
    "toy.json": "all cells of the grid, seed by seed",
    "benchmark.jsonl": "all runs, one a line",
    "summary.json": "all scores, seed by seed",
    "log.jsonl": "the log of the search",
    "config.yaml": "the settings",
}


def tell_outcome(folder: Path) -> None:
    """Write the report, print a short table, and say where everything lies."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        write_report(folder)
    except RunError as error:  # the figures are an extra; the run stands without them
        print(f"asng: no report: {error}", file=sys.stderr)
    console.print()
    console.print(summary_table(folder))
    console.print()
    for part, meaning in _PARTS.items():
        if (folder / part).exists():
            console.print(f"{folder / part}  {meaning}", markup=False)
