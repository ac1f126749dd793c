"""The optional libraries that peers and tables come from."""

from importlib import import_module
from typing import Any

from asng.errors import RunError

__all__ = ["require"]


def require(module: str) -> Any:
    """Return a module of the extra `benchmark`.

    Raises:
        RunError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise RunError(
            f"benchmark: expected the library {module}, got: {error}. "
            "Install it: pip install 'asng[benchmark]'."
        ) from error
