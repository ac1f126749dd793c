"""Modules beside the user are found, as with python -m."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["current_folder_importable"]


@contextmanager
def current_folder_importable() -> Iterator[None]:
    """Look for modules in the current folder first, for a while."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with suppress(ValueError):  # where the user's modules have removed it
            sys.path.remove(here)
