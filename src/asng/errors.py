"""The exceptions that `asng` raises.

Every message names the object, what was expected, what came instead, and what to do about it.
"""

from collections.abc import Callable
from types import TracebackType

__all__ = ["AsngError", "SpaceError", "InputError", "RunError", "in_one_line", "located"]


class AsngError(Exception):
    """Base class of all errors that `asng` raises on purpose."""


class SpaceError(AsngError, ValueError):
    """A search space, a variable or an architecture is invalid."""


class InputError(AsngError, ValueError):
    """An argument or a data file is invalid."""


class RunError(AsngError, RuntimeError):
    """A run cannot continue: its folder, its checkpoint or its losses are unusable."""


def in_one_line(text: object, longest: int = 300) -> str:
    r"""Shorten the text of another library to one line, to quote it in an error message of asng.

    Example:
        >>> in_one_line(ValueError("no such\n  token."))
        'no such token'
    """
    line = " ".join(str(text).split()).rstrip(".")
    return line if len(line) <= longest else f"{line[:longest]}..."


class located:
    """Add a note to an error that a block raises, which says where in the run it happened.

    The error keeps its class and message, so that users can catch and read their own errors as usual. Python
    shows the note below the error. Python 3.10 has no notes and shows it as the cause of the error.

    Args:
        where: Returns a sentence that says where. It is called only if the block raises.

    Example:
        >>> import traceback
        >>> try:
        ...     with located(lambda: "In the search, after 3 of 40 steps."):
        ...         raise KeyError("label")
        ... except KeyError as error:
        ...     print("In the search, after 3 of 40 steps." in "".join(traceback.format_exception(error)))
        True
    """

    def __init__(self, where: Callable[[], str]) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception):
            return
        if hasattr(error, "add_note"):
            error.add_note(self._where())
            return
        first: BaseException = error
        while first.__cause__ is not None or (
            first.__context__ is not None and not first.__suppress_context__
        ):
            first = first.__cause__ or first.__context__ or first
        first.__cause__ = RunError(self._where())
