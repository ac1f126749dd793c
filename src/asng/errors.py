"""What `asng` raises.

Every message names the thing, what was expected, what came instead, and what to do about it.
"""

__all__ = ["AsngError", "SpaceError", "InputError", "RunError"]


class AsngError(Exception):
    """The parent of all errors that `asng` raises on purpose."""


class SpaceError(AsngError, ValueError):
    """A search space, a variable or an architecture is not what it must be."""


class InputError(AsngError, ValueError):
    """An argument or a data file is not what it must be."""


class RunError(AsngError, RuntimeError):
    """A run cannot go on: its folder, its checkpoint or its losses are unusable."""
