"""Resolve import paths; errors suggest the nearest right name, or give the line that fails."""

import importlib
import inspect
import pkgutil
import sysconfig
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from asng.checks import nearest
from asng.errors import InputError
from asng.tasks.user.trust import Imports

__all__ = ["import_named", "whole_path", "blame"]

_INSTALLED = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]

_NOT_THEIRS = ("<frozen", str(Path(__file__).parents[2]), *_INSTALLED)


def import_named(name: str, path: str, *, imports: Imports, home: str | None = None) -> Any:
    """Import and return the object that an import path names.

    Args:
        name: The setting that it is for, for messages.
        path: A package or module, and the name of an object in it: `package.module.thing`.
        home: Module in which a path without a dot is looked up. Default: such a path is an error.
        imports: What may be imported.

    Raises:
        RunError: The path may not be imported; nothing was imported.
        InputError: There is no such module, or no such name in it, or importing it fails.

    Example:
        >>> from asng.tasks.user.trust import ANYTHING
        >>> import_named("loss", "torch.nn.functional.cross_entropy", imports=ANYTHING).__name__
        'cross_entropy'
        >>> import_named("loss", "cros_entropy", home="torch.nn.functional", imports=ANYTHING)
        Traceback (most recent call last):
        asng.errors.InputError: loss: module torch.nn.functional has no 'cros_entropy'. Did you mean \
'cross_entropy'?
    """
    whole = whole_path(path, home)
    imports.check([whole] if home is None else (), functions=[] if home is None else [whole])
    parts = whole.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise InputError(f"{name}: expected an import path such as package.module.name, got {path!r}.")
    found = _top(name, parts[0])
    for part in parts[1:-1]:
        found = _module(name, found, part) or _attribute(name, found, part)
    if not hasattr(found, parts[-1]):
        _module(name, found, parts[-1])  # once imported, it is an attribute of its package
    return _attribute(name, found, parts[-1])


def whole_path(path: str, home: str | None) -> str:
    """Return the full import path: a path without a dot is prefixed by `home`."""
    return path if home is None or "." in path else f"{home}.{path}"


def _top(name: str, module: str) -> Any:
    if not _exists(module):
        here = Path.cwd()
        folders = {part.name for part in here.iterdir() if part.is_dir() and part.name.isidentifier()}
        known = {found.name for found in pkgutil.iter_modules()} | folders
        raise InputError(
            f"{name}: there is no module {module!r}.{nearest(module, known)} Modules are looked for in the"
            f" current folder, {here}, and among those installed."
        )
    return _import(name, module)


def _module(name: str, package: Any, part: str) -> Any:
    """Import and return a module of a package, or return None if there is none of that name."""
    if not inspect.ismodule(package) or not hasattr(package, "__path__"):
        return None
    whole = f"{package.__name__}.{part}"
    return _import(name, whole) if _exists(whole) else None


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # for a module without a spec, such as __main__
        return False


def _import(name: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever running the user's module raises
        raise InputError(f"{name}: {module} cannot be imported: {blame(error)}.") from error


def _attribute(name: str, owner: Any, part: str) -> Any:
    if hasattr(owner, part):
        return getattr(owner, part)
    kind = "module" if inspect.ismodule(owner) else "class" if inspect.isclass(owner) else "object"
    inner = {found.name for found in pkgutil.iter_modules(getattr(owner, "__path__", []))}
    known = [known for known in {*dir(owner), *inner} if not known.startswith("_")]
    raise InputError(
        f"{name}: {kind} {getattr(owner, '__name__', owner)} has no {part!r}.{nearest(part, known)}"
    )


def blame(error: BaseException) -> str:
    """Describe an error in one line: its type, its message, and the deepest line of the user's own code.

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
