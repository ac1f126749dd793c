"""Limits on what a page shows of a run: a small folder from a stranger may list what takes hours to draw.

The page says what is left out.
"""

from collections.abc import Sequence
from typing import TypeVar

__all__ = [
    "MOST_COLUMNS",
    "MOST_DOTS",
    "MOST_FIGURES",
    "MOST_LINES",
    "MOST_PAGES",
    "MOST_ROWS",
    "cut",
    "excerpt",
    "spread_out",
]

T = TypeVar("T")

MOST_ROWS = 500
"""Rows of a table. A cell takes some microseconds, on a page and in a terminal."""
MOST_COLUMNS = 12
"""Columns of a table; more do not fit on a page."""
MOST_FIGURES = 64
"""Figures in a section of a page. One takes some 25 ms; a search of ours has some forty."""
MOST_PAGES = 50
"""Pages of seeds."""
MOST_LINES = 24
"""Lines in one figure; more cannot be told apart."""
MOST_DOTS = 200
"""Dots in a row of a figure."""


def excerpt(items: Sequence[T], most: int, what: str, left_out: list[str]) -> Sequence[T]:
    """Return the first items, and note in words how many there are if that is not all.

    Args:
        items: All items.
        most: Maximum number to return.
        what: What the items are called, for the note.
        left_out: The list that gets the note.

    Example:
        >>> left_out = []
        >>> excerpt("abc", 2, "letters", left_out), left_out
        ('ab', ['Of 3 letters, the first 2 are shown.'])
    """
    if len(items) > most:
        left_out.append(f"Of {len(items):,} {what}, the first {most:,} are shown.")
    return items[:most]


def spread_out(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most `most` items, evenly spread over all of them and including the first."""
    return items[:: -(-len(items) // most)] if len(items) > most else items


def cut(text: object, longest: int = 200) -> str:
    """Return a text, or the beginning of a long one.

    Example:
        >>> cut("width", 4), cut("width", 5)
        ('wid…', 'width')
    """
    words = str(text)
    return words if len(words) <= longest else f"{words[: longest - 1]}…"
