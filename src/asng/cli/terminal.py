"""What the commands print: letters only, whoever wrote the names in it."""

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

__all__ = ["Terminal"]

# Controls of C0 (but tab and line feed) and C1, marks that turn the direction of writing, halves of
# surrogate pairs: they move the cursor, clear the screen, show a text as another, or cannot be encoded.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Terminal(Console):
    r"""A console that does not wrap lines, and escapes what is not to be printed, as Python's repr does.

    A run folder may be a stranger's. What rich adds itself, such as colours, is left.

    Example:
        >>> Terminal().print("run\x1b[2J", markup=False)
        run\x1b[2J
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, soft_wrap=True)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return what is printed, escaped."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else _UNPRINTABLE.sub(_escaped, text), style, control)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
