"""What `asng` raises.

Every message names the thing, what was expected, what came instead, and what to do about it.
"""

from collections.abc import Callable
from types import TracebackType

__all__ = ["AsngError", "SpaceError", "InputError", "RunError", "in_one_line", "located"]


class AsngError(Exception):
    """The parent of all errors that `asng` raises on purpose."""


class SpaceError(AsngError, ValueError):
    """A search space, a variable or an architecture is not what it must be."""


class InputError(AsngError, ValueError):
    """An argument or a data file is not what it must be."""


class RunError(AsngError, RuntimeError):
    """A run cannot go on: its folder, its checkpoint or its losses are unusable."""


def in_one_line(text: object, longest: int = 300) -> str:
    r"""Return what another library says, as part of a message of ours: one line, no longer than a few.

    Example:
        >>> in_one_line(ValueError("no such\n  token."))
        'no such token'
    """
    line = " ".join(str(text).split()).rstrip(".")
    return line if len(line) <= longest else f"{line[:longest]}..."


class located:
    """Say beside the traceback of what is raised in a block where in a run that was.

    The error stays what it is, of its class and with its message, so that a user's own is caught and read as
    ever. Python shows the note below it; Python 3.10, which has no notes, as what was its cause.

    Args:
        where: Says it, in a sentence; is asked only if something is raised.

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
