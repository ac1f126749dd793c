"""Helpers for display in notebooks: short texts, HTML tables, DataFrames and axes to draw into.

Everything here needs only the standard library; optional libraries are imported on use.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from asng.checks import one_of, require

__all__ = ["axes_or_new", "dataframe", "few", "html_table", "number"]

_MOST = 8
"""Largest number of entries of a list or a mapping that a line shows."""
_MOST_ROWS = 60
"""Largest number of rows that a table in a notebook shows."""


def few(words: Iterable[str], *, most: int = _MOST) -> str:
    """Join words by commas; of more than `most`, show the first `most` and the total number.

    Example:
        >>> few(["a", "b"]), few(map(str, range(30)), most=3)
        ('a, b', '0, 1, 2, ... 30 in all')
    """
    listed = list(words)
    return ", ".join(listed if len(listed) <= most else [*listed[:most], f"... {len(listed):,} in all"])


def number(value: object) -> str:
    """Format a value for a table: floats to four significant digits, None as "".

    Example:
        >>> number(0.123456), number(3), number("conv"), number(None)
        ('0.1235', '3', 'conv', '')
    """
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def html_table(title: str, rows: Sequence[Sequence[object]], *, header: Sequence[str] = ()) -> str:
    """Return an HTML table for a notebook.

    All text is escaped. If there are more than sixty rows, the first sixty are shown, and their total number.

    Args:
        title: The caption; may be empty.
        rows: The cells of each row, formatted by `number`.
        header: The column names, if there are any.

    Example:
        >>> html_table("", [["<width>", 64]])
        '<table><tbody><tr><td>&lt;width&gt;</td><td>64</td></tr></tbody></table>'
    """

    def cells(row: Sequence[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(number(cell))}</{tag}>" for cell in row) + "</tr>"

    head = f"<thead>{cells(header, 'th')}</thead>" if header else ""
    body = "".join(cells(row, "td") for row in rows[:_MOST_ROWS])
    if len(rows) > _MOST_ROWS:
        body += cells([f"... {len(rows):,} rows in all"], "td")
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f"<table>{caption}{head}<tbody>{body}</tbody></table>"


def dataframe(tables: Mapping[str, Any], which: str) -> Any:
    """Return one of several tables as a pandas DataFrame.

    Args:
        tables: Maps the name of each table to a function that returns its columns.
        which: The name of the table.

    Raises:
        InputError: There is no such table.
        RunError: pandas is not installed.
    """
    columns = tables[one_of("table", which, list(tables))]()
    return require("pandas", extra="notebook").DataFrame(columns)


def axes_or_new(axes: Any, size: tuple[float, float]) -> Any:
    """Return the given axes, or those of a new pyplot figure if they are None.

    Args:
        axes: The axes to draw into, or None.
        size: Width and height of a new figure, in inches.

    Raises:
        RunError: matplotlib is not installed.
    """
    if axes is not None:
        return axes
    return require("matplotlib.pyplot", extra="notebook").subplots(figsize=size, layout="constrained")[1]
