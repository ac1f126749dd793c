"""How much of a run a page shows: a small folder of a stranger may list what takes hours to draw.

What is left out is said on the page.
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
"""Of a table. A cell takes some microseconds, on a page and in a terminal."""
MOST_COLUMNS = 12
"""Of a table: what is more does not fit on a page."""
MOST_FIGURES = 64
"""Of a section of a page. One takes some 25 ms; a search of ours has some forty."""
MOST_PAGES = 50
"""Of seeds."""
MOST_LINES = 24
"""In one figure: what is more is not told apart."""
MOST_DOTS = 200
"""In a row of a figure."""


def excerpt(items: Sequence[T], most: int, what: str, left_out: list[str]) -> Sequence[T]:
    """Return the first items, and note in words how many there were if that is not all.

    Args:
        items: All.
        most: How many to return at most.
        what: What they are.
        left_out: Gets a sentence.

    Example:
        >>> left_out = []
        >>> excerpt("abc", 2, "letters", left_out), left_out
        ('ab', ['Of 3 letters, the first 2 are shown.'])
    """
    if len(items) > most:
        left_out.append(f"Of {len(items):,} {what}, the first {most:,} are shown.")
    return items[:most]


def spread_out(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most so many items, evenly taken from all, the first among them."""
    return items[:: -(-len(items) // most)] if len(items) > most else items


def cut(text: object, longest: int = 200) -> str:
    """Return a text, or the beginning of a long one.

    Example:
        >>> cut("width", 4), cut("width", 5)
        ('wid…', 'width')
    """
    words = str(text)
    return words if len(words) <= longest else f"{words[: longest - 1]}…"
