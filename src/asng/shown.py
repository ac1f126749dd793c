"""What notebooks show: short words for objects, tables in HTML, DataFrames, axes to draw into.

Everything here needs the standard library alone, or is imported when it is asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from asng.checks import one_of, require

__all__ = ["axes_or_new", "dataframe", "few", "html_table", "number"]

_MOST = 8
"""Entries of a list or a mapping that a line shows."""
_MOST_ROWS = 60
"""Of a table in a notebook."""


def few(words: Iterable[str], *, most: int = _MOST) -> str:
    """Return words with commas between them, of many the first ones and how many there are.

    Example:
        >>> few(["a", "b"]), few(map(str, range(30)), most=3)
        ('a, b', '0, 1, 2, ... 30 in all')
    """
    listed = list(words)
    return ", ".join(listed if len(listed) <= most else [*listed[:most], f"... {len(listed):,} in all"])


def number(value: object) -> str:
    """Return a value as a table shows it: reals to four digits.

    Example:
        >>> number(0.123456), number(3), number("conv"), number(None)
        ('0.1235', '3', 'conv', '')
    """
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def html_table(title: str, rows: Sequence[Sequence[object]], *, header: Sequence[str] = ()) -> str:
    """Return a table for a notebook; all words are escaped, rows beyond sixty are counted.

    Args:
        title: Above it; may be empty.
        rows: Of cells, shown by `number`.
        header: Names of the columns, if they have names.

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
    """Return one of several tables as a DataFrame of pandas.

    Args:
        tables: By its name what returns the columns of each.
        which: The name.

    Raises:
        InputError: There is no such table.
        RunError: pandas is not installed.
    """
    columns = tables[one_of("table", which, list(tables))]()
    return require("pandas", extra="notebook").DataFrame(columns)


def axes_or_new(axes: Any, size: tuple[float, float]) -> Any:
    """Return the axes that are given, or those of a new figure of pyplot.

    Args:
        axes: To draw into, or None.
        size: Width and height of a new figure, in inches.

    Raises:
        RunError: matplotlib is not installed.
    """
    if axes is not None:
        return axes
    return require("matplotlib.pyplot", extra="notebook").subplots(figsize=size, layout="constrained")[1]
