"""What the template of a benchmark fills in."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from asng.report.benchmark.cells import BenchmarkRun
from asng.report.benchmark.figure import regret_figure
from asng.report.benchmark.table import HEADINGS, OURS, benchmark_verdict, rows
from asng.report.words import count, flatten

__all__ = ["benchmark_page"]


def benchmark_page(title: str, run: BenchmarkRun) -> Mapping[str, Any]:
    """Return the values of the template; a benchmark that is not finished gives a page of what is."""
    groups = [group for found in run.groups.values() for group in found]
    return {
        "title": title,
        "verdict": benchmark_verdict(run),
        "mood": "unknown",
        "tiles": [
            ("problems", count(len(run.groups))),
            ("methods", count(len({group.method for group in groups}))),
            ("runs", count(sum(len(group.cells) for group in groups))),
        ],
        "headings": HEADINGS,
        "ours": OURS,
        "problems": [
            {
                "name": name,
                "rows": rows(found),
                "figure": Markup(regret_figure(found, key=f"p{index}", label=f"Regret on {name}")),
            }
            for index, (name, found) in enumerate(run.groups.items())
        ],
        "circumstances": flatten(run.circumstances),
    }
