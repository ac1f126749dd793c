"""Print the output of the commands with unprintable characters escaped, whoever wrote the names in it."""

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from asng.errors import RunError

__all__ = ["Terminal"]

# Control characters of C0 (except tab and line feed) and C1, marks that change the writing direction, halves
# of surrogate pairs: they move the cursor, clear the screen, disguise a text, or cannot be encoded.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Terminal(Console):
    r"""A console that does not wrap lines, and escapes unprintable characters as Python's repr does.

    A run folder may come from a stranger. What rich itself adds, such as colours, is kept.

    Example:
        >>> Terminal().print("run\x1b[2J", markup=False)
        run\x1b[2J
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, soft_wrap=True)

    def print(self, *objects: Any, **settings: Any) -> None:
        """Print as rich does.

        Raises:
            RunError: The output cannot be written, as on a full disk. A pipe that is closed ends the process.
        """
        try:
            super().print(*objects, **settings)
        except OSError as error:
            name = "error" if self.stderr else "output"
            raise RunError(
                f"standard {name}: expected a file, terminal or pipe that can be written, got: "
                f"{error.strerror}. The files of the run are complete."
            ) from error

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the output with unprintable characters escaped."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else _UNPRINTABLE.sub(_escaped, text), style, control)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
