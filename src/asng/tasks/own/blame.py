"""What went wrong in a user's code, and on which line of it."""

import sysconfig
import traceback
from pathlib import Path

import asng

__all__ = ["blame"]

_INSTALLED = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_NOT_THEIRS = ("<frozen", str(Path(asng.__file__).parent), *_INSTALLED)


def blame(error: BaseException) -> str:
    """Return an error in one line: its kind, its message, and the deepest line of the user's own code.

    Example:
        >>> try:
        ...     1 / 0
        ... except ZeroDivisionError as error:
        ...     blame(error)
        'ZeroDivisionError: division by zero (<doctest ...>, line 2)'
    """
    said = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, SyntaxError) and error.filename:
        said, file, line = str(error.msg), error.filename, error.lineno
    else:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [frame for frame in frames if not frame.filename.startswith(_NOT_THEIRS)] or frames[-1:]
        file, line = (theirs[-1].filename, theirs[-1].lineno) if theirs else ("", None)
    kind = type(error).__name__
    where = f" ({_short(file)}, line {line})" if line is not None else ""
    return f"{kind}: {said}{where}" if said else f"{kind}{where}"


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
