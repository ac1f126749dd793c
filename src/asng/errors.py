"""What `asng` raises.

Every message names the thing, what was expected, what came instead, and what to do about it.
"""

__all__ = ["AsngError", "SpaceError", "InputError", "RunError", "in_one_line"]


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
