"""Finding what an import path names; a wrong one gets the nearest right name."""

import importlib
import inspect
import pkgutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from asng.checks import nearest
from asng.errors import InputError
from asng.tasks.own.blame import blame
from asng.tasks.own.trust import ANYTHING, Imports

__all__ = ["import_named", "whole_path"]


def import_named(name: str, path: str, *, home: str | None = None, imports: Imports = ANYTHING) -> Any:
    """Return what an import path names.

    Args:
        name: What it is for, for messages.
        path: A package or module, and what to take from it: `package.module.thing`.
        home: Module that a path without a dot is taken from. Default: such a path is an error.
        imports: What may be imported.

    Raises:
        RunError: The path may not be imported, and then nothing is.
        InputError: There is no such module, or nothing of that name in it, or importing it fails.

    Example:
        >>> import_named("loss", "torch.nn.functional.cross_entropy").__name__
        'cross_entropy'
        >>> import_named("loss", "cros_entropy", home="torch.nn.functional")
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
        _module(name, found, parts[-1])  # once imported, it is an attribute too
    return _attribute(name, found, parts[-1])


def whole_path(path: str, home: str | None) -> str:
    """Return the import path with the module that one without a dot is taken from."""
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
    """Return a package's module of that name, or None."""
    if not inspect.ismodule(package) or not hasattr(package, "__path__"):
        return None
    whole = f"{package.__name__}.{part}"
    return _import(name, whole) if _exists(whole) else None


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # of a module that was not imported, such as __main__
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
