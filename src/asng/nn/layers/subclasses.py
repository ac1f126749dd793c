"""Users' subclasses of twins, and the plain classes of their children."""

from functools import cache
from types import CellType, FunctionType
from typing import Any

from torch import nn

from asng.nn.base import Searchable

__all__ = ["definer", "is_ours", "overrides", "plain_class"]

_SEARCHED = {
    *("__init__", "__dict__", "__weakref__", "__init_subclass__", "variables", "plain", "extract", "setting"),
    *("value", "width", "described", "of", "from_pretrained", "forward_of_plain"),
}
"""Attributes that a subclass of a twin has for the search or its construction; plain layers lack them."""


@cache
def plain_class(kind: Any) -> Any:
    """Return the class of the plain layers of a twin, or the class itself if it is not searchable.

    For a twin of a layer of torch or of a library, that is the layer's class. A subclass that changes what
    the layer does (`forward`, `_conv_forward`, `train`, ...) has a plain class with the same methods over the
    same bases, in which twins are replaced by their layers. Its methods see a layer of the current sizes.

    Example:
        >>> plain_class(nn.Linear) is nn.Linear
        True
    """
    if not issubclass(kind, Searchable):
        return kind
    torchs = next(b for b in kind.__mro__ if issubclass(b, nn.Module) and not issubclass(b, Searchable))
    if not overrides(kind):
        return torchs
    bases = tuple(plain_class(base) for base in kind.__bases__ if not _is_abstract(base))
    return _made_again(kind, bases or (torchs,))


def overrides(kind: type) -> dict[str, Any]:
    """Return the attributes of the layer that the user's subclasses of a twin override, by name.

    Example:
        >>> overrides(nn.Linear)
        {}
    """
    if not issubclass(kind, Searchable):
        return {}
    torchs = next(
        (b for b in kind.__mro__ if issubclass(b, nn.Module) and not issubclass(b, Searchable)), nn.Module
    )
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__[: kind.__mro__.index(torchs)]):
        if not is_ours(base):
            found.update({n: v for n, v in _own(base).items() if hasattr(torchs, n) and _runs(v)})
    return {n: v for n, v in found.items() if not n.startswith("__") or n == "__call__"}


def _runs(value: object) -> bool:
    """Whether a class attribute is code: a callable or a property."""
    return callable(value) or isinstance(value, (property, staticmethod, classmethod))


def _own(kind: type) -> dict[str, Any]:
    """Return the attributes that a class itself defines for the layer, and not for the search."""
    own = {name: value for name, value in vars(kind).items() if name not in _SEARCHED}
    forward = own.pop("forward_of_plain", None) or vars(kind).get("forward_of_plain")
    if forward is not None:
        own["forward"] = forward
    elif getattr(own.get("forward"), "__module__", "").startswith("asng."):
        own.pop("forward")
    return own


def is_ours(kind: type) -> bool:
    """Whether a class belongs to asng."""
    return kind.__module__.partition(".")[0] == "asng"


def definer(kind: type, name: str) -> type:
    """Return the class that defines an attribute of a class.

    Example:
        >>> definer(nn.Sequential, "train") is nn.Module
        True
    """
    return next(base for base in kind.__mro__ if name in vars(base))


def _is_abstract(kind: type) -> bool:
    """Whether a base has no layer of torch among its own bases, such as `Twin` or `Searchable`."""
    return all(
        not issubclass(b, nn.Module) or issubclass(b, Searchable) or b is nn.Module for b in kind.__mro__[:-1]
    )


def _made_again(kind: type, bases: tuple[type, ...]) -> type:
    """Return a class with the same methods over other bases."""
    cell = CellType()
    names = {name: _bound(value, cell, kind) for name, value in _own(kind).items()}
    names["__reduce_ex__"] = lambda self, protocol: (_instance, (kind,), nn.Module.__getstate__(self))  # type: ignore[no-untyped-call]
    made = type(kind.__name__, bases, names)
    made.__qualname__, made.__module__ = kind.__qualname__, kind.__module__
    cell.cell_contents = made
    return made


def _instance(kind: type) -> Any:
    """Return an empty instance of the plain class of a twin, which `pickle` cannot find by its name."""
    plain = plain_class(kind)
    return plain.__new__(plain)


def _bound(value: Any, cell: CellType, kind: type) -> Any:
    """Return a method of `kind` whose `super()` refers to the class in `cell`, also if it is decorated."""
    if isinstance(value, property):
        get, put, drop = (f and _bound(f, cell, kind) for f in (value.fget, value.fset, value.fdel))
        return property(get, put, drop, value.__doc__)
    if isinstance(value, (staticmethod, classmethod)):
        return type(value)(_bound(value.__func__, cell, kind))
    if not isinstance(value, FunctionType):
        return value
    names, old = value.__code__.co_freevars, value.__closure__ or ()
    cells = tuple(
        cell if n == "__class__" else _inner(c, cell, kind) for n, c in zip(names, old, strict=True)
    )
    if all(one is other for one, other in zip(cells, old, strict=True)):
        return value
    made = FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
    made.__kwdefaults__, made.__qualname__, made.__doc__ = (
        value.__kwdefaults__,
        value.__qualname__,
        value.__doc__,
    )
    made.__module__ = value.__module__
    made.__dict__.update(value.__dict__)
    return made


def _inner(held: CellType, cell: CellType, kind: type) -> CellType:
    """Return the cell of a decorator with the method of `kind` that it holds, if any, bound anew."""
    try:
        method = held.cell_contents
    except ValueError:  # a variable that has no value yet
        return held
    if not isinstance(method, FunctionType) or method.__qualname__.rpartition(".")[0] != kind.__qualname__:
        return held
    made = _bound(method, cell, kind)
    return held if made is method else CellType(made)
