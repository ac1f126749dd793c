"""A compression in words and figures: the model, and each child beside it."""

import math

from rich.table import Table
from rich.text import Text

from asng.compression.stored import StoredCompression, StoredNetwork
from asng.report.excerpts import MOST_COLUMNS, cut
from asng.report.table import cell
from asng.report.words import UNKNOWN, count, score

__all__ = ["compression_rows", "compression_table", "compression_verdict", "cost_words", "headings"]

_UNITS = {"latency": (1e3, "ms"), "onnx_latency": (1e3, "ms")}
_BYTES = ("bytes", "activation_memory")


def cost_words(measure: str, value: float) -> str:
    """Return a cost as text, with its unit if it has one.

    Example:
        >>> cost_words("latency", 0.00123), cost_words("bytes", 1_234_567), cost_words("parameters", 1200)
        ('1.23 ms', '1.23 MB', '1,200')
    """
    if measure in _UNITS:
        factor, unit = _UNITS[measure]
        return f"{value * factor:.3g} {unit}"
    if measure in _BYTES:
        return f"{value / 1e6:.3g} MB" if value >= 1e5 else f"{value / 1e3:.3g} kB"
    if not math.isfinite(value):
        return UNKNOWN
    return count(round(value)) if value == round(value) else f"{value:.4g}"


def headings(run: StoredCompression) -> list[str]:
    """Return the columns of the table."""
    return ["network", run.metric, "before fine-tuning", *(name.replace("_", " ") for name, _ in _costs(run))]


def _costs(run: StoredCompression) -> list[tuple[str, float]]:
    return list(run.model.costs.items())[:MOST_COLUMNS]


def compression_rows(run: StoredCompression) -> list[list[str]]:
    """Return a row for the model, and one for each child, with its costs as shares of the model's too."""

    def cells(network: StoredNetwork) -> list[str]:
        found = []
        for name, whole in _costs(run):
            value = network.costs.get(name, float("nan"))
            share = f" ({value / whole:.0%})" if network is not run.model and whole > 0 else ""
            found.append(cost_words(name, value) + share)
        return found

    rows = [["model", score(run.model.score), "", *cells(run.model)]]
    rows += [
        [child.goal, score(child.score), score(child.before), *cells(child)]
        for child in run.children[:MOST_COLUMNS]
    ]
    return rows


def compression_table(run: StoredCompression, title: Text) -> Table:
    """Return the outcome as a table for the terminal, with a column per network and the verdict below."""
    table = Table(title=title, caption=Text(compression_verdict(run)), caption_justify="left")
    columns = [headings(run), *compression_rows(run)]
    for number, (name, *_) in enumerate(columns):
        table.add_column(Text(cut(name), overflow="fold"), justify="right" if number else "left")
    for row in list(zip(*columns, strict=True))[1:]:
        table.add_row(*map(cell, row))
    return table


def compression_verdict(run: StoredCompression) -> str:
    """Return the outcome in one sentence."""
    if not run.children:
        return "No child is finished yet."
    sign = 1.0 if run.higher_is_better else -1.0
    parts = []
    for child in run.children[:MOST_COLUMNS]:
        change = sign * (child.score - run.model.score)
        outcome = f"{score(child.score)}, {abs(change):.3g} {'better' if change > 0 else 'worse'}"
        limits = " and ".join(
            f"{child.costs.get(name, 0.0) / run.model.costs[name]:.0%} of the {name.replace('_', ' ')}"
            for name in list(child.limits)[:MOST_COLUMNS]
            if run.model.costs.get(name)
        )
        parts.append(f"a child with {limits} has {outcome if change else 'the same'}")
    return f"The model's {run.metric} is {score(run.model.score)}; {'; '.join(parts)}."
