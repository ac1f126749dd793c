"""The optional libraries that pictures need."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from asng.errors import RunError

__all__ = ["require_images_extra", "installed_folder"]


def require_images_extra() -> None:
    """Check that Pillow, which decodes pictures, can be imported.

    Raises:
        RunError: It cannot.
    """
    try:
        import_module("PIL.Image")
    except ImportError as error:
        raise RunError(
            f"images: expected the library Pillow, got: {error}. Install it: pip install 'asng[images]'."
        ) from error


def installed_folder(package: str) -> Path:
    """Return the folder of an installed package, which is not imported.

    Raises:
        RunError: It is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise RunError(
            f"images: expected the package {package}, whose photographs are read, got none. Install it: "
            "pip install 'asng[images]'."
        )
    return Path(spec.submodule_search_locations[0])
