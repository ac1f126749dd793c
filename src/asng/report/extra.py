"""The optional libraries that drawing needs."""

from importlib import import_module

from asng.errors import RunError

__all__ = ["require_report_extra"]


def require_report_extra() -> None:
    """Check that the libraries of the extra `report` can be imported.

    Raises:
        RunError: One is missing.
    """
    for module in ("matplotlib", "networkx", "jinja2"):
        try:
            import_module(module)
        except ImportError as error:
            raise RunError(
                f"report: expected the library {module}, got: {error}. "
                "Install it: pip install 'asng[report]'."
            ) from error
