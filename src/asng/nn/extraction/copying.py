"""Copy the attributes of modules, without sharing a tensor with the original."""

import copy
import dis
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from operator import is_not
from types import BuiltinMethodType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar
from weakref import ref

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from asng.errors import InputError, in_one_line
from asng.nn.extraction.recording import is_script

__all__ = [
    *("Copier", "CopyTrial", "check_copied", "copies_itself", "deep_copy", "objects_read", "reaches"),
    "with_own_graph",
]

_T = TypeVar("_T")

_LOCKS: dict[type, Callable[[], Any]] = {
    type(threading.Lock()): threading.Lock,
    type(threading.RLock()): threading.RLock,
}

_MOST = 10_000
"""Containers with fewer entries are searched; a longer one holds data."""


class Copier:
    """Copy values as `copy.deepcopy` does, and also what it cannot copy.

    Tensors computed in a pass are copied without their graph. Functions that refer to modules of the model,
    such as a forward that was replaced on an instance, refer to those of the copy. A lock becomes a new lock.

    Args:
        child: Returns the copy of a module.
        owned: The ids of the modules and tensors of the model.

    Attributes:
        memo: Memo of `copy.deepcopy`, common to all copies, so that what the model shares, the copy shares.
    """

    def __init__(self, child: Callable[[nn.Module], nn.Module], owned: set[int]) -> None:
        self.memo: dict[int, Any] = {}
        self._child = child
        self._owned = owned

    def value(self, value: Any) -> Any:
        """Return a copy of a value."""
        if id(value) in self.memo:
            return self.memo[id(value)]
        if isinstance(value, nn.Module):
            return self._child(value)
        if type(value) in _LOCKS:
            return self._noted(value, _LOCKS[type(value)]())
        if not self._has_modules(value):
            return self.whole(value)
        if isinstance(value, ref):
            return self._noted(value, ref(self.value(value())))
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, MethodType):
            return self._method(value)
        if isinstance(value, partial):
            made = partial(self.value(value.func), *map(self.value, value.args), **self.value(value.keywords))
            return self._noted(value, made)
        if isinstance(value, dict):
            table = copy.copy(value)
            table.update({key: self.value(part) for key, part in value.items()})
            return self._noted(value, table)
        return self._noted(value, type(value)(map(self.value, value)))

    def whole(self, value: Any) -> Any:
        """Return the copy that `copy.deepcopy` makes; for a module, with all its parts as they are."""
        return deep_copy(value, self.memo)

    def rebind(self, modules: Iterable[nn.Module]) -> None:
        """Let functions and weak references of copied modules, as in hooks, refer to what was copied."""
        seen: set[int] = set()
        for module in modules:
            self._rebound(vars(module), seen)

    def _rebound(self, value: Any, seen: set[int]) -> Any:
        """Return a copied value that refers to copies; containers that can change stay the same object."""
        if isinstance(value, FunctionType):
            return self._function(value) if self._refers(value) else value
        if isinstance(value, ref):
            made = self.memo.get(id(value()))
            return value if made is None else ref(made)
        if isinstance(value, (dict, list)) and id(value) not in seen:
            seen.add(id(value))
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                if (new := self._rebound(part, seen)) is not part:
                    value[key] = new
        if type(value) is tuple:
            parts = tuple(self._rebound(part, seen) for part in value)
            return parts if any(map(is_not, parts, value)) else value
        return value

    def _refers(self, function: FunctionType) -> bool:
        cells = [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
        copied = any(self.memo.get(id(value), value) is not value for value in cells)
        return copied or self._has_modules(function)

    def _noted(self, value: Any, made: Any) -> Any:
        self.memo[id(value)] = made
        self.memo.setdefault(id(self.memo), []).append(value)  # kept alive as by deepcopy, for its id
        return made

    def _has_modules(self, value: Any) -> bool:
        if isinstance(value, nn.Module):
            return id(value) in self._owned
        if isinstance(value, (FunctionType, MethodType, partial, ref)):
            return reaches(value, self._owned) is not None
        if type(value) in (list, tuple, set):
            return any(map(self._has_modules, value))
        return isinstance(value, dict) and any(map(self._has_modules, value.values()))

    def _function(self, function: FunctionType) -> FunctionType:
        if id(function) in self.memo:
            return self.memo[id(function)]  # type: ignore[no-any-return]
        check_no_global(function, self._owned)
        cells = tuple(CellType() for _ in function.__closure__ or ())
        made = FunctionType(function.__code__, function.__globals__, function.__name__, None, cells)
        self._noted(function, made)  # before what it refers to, which may be itself
        for cell, old in zip(cells, function.__closure__ or (), strict=True):
            if not _is_empty(old):
                cell.cell_contents = self._held(old.cell_contents)
        made.__defaults__ = (
            None if function.__defaults__ is None else tuple(map(self._held, function.__defaults__))
        )
        made.__kwdefaults__ = {n: self._held(v) for n, v in (function.__kwdefaults__ or {}).items()} or None
        made.__dict__.update(function.__dict__)
        made.__qualname__, made.__module__, made.__doc__ = (
            function.__qualname__,
            function.__module__,
            function.__doc__,
        )
        return made

    def _held(self, value: Any) -> Any:
        if id(value) in self.memo:
            return self.memo[id(value)]
        # What refers to nothing of the model stays the same object: a counter, a cache, a teacher.
        return value if reaches(value, self._owned) is None else self.value(value)

    def _method(self, method: MethodType) -> Any:
        owner, function = self.value(method.__self__), method.__func__
        if getattr(type(method.__self__), function.__name__, None) is not function or type(owner) is type(
            method.__self__
        ):
            return MethodType(function, owner)  # not a method of the class: bound by hand
        made = getattr(owner, function.__name__, None)  # the plain layer's in place of the twin's
        if made is None:
            raise InputError(
                f"method {function.__qualname__!r}: expected one that the plain {type(owner).__name__} has "
                "too, got one of a searchable layer alone"
            )
        return made


def deep_copy(value: _T, memo: dict[int, Any] | None = None) -> _T:
    """Return the result of `copy.deepcopy`, also for weights that hooks compute, and for scripts.

    Hooks and other functions that refer to parts of a module refer to those of its copy.

    Example:
        >>> deep_copy(torch.ones(1, requires_grad=True) * 2)
        tensor([2.])
    """
    memo = {} if memo is None else memo
    with torch.no_grad(), _WithoutGraphs():  # copies of scripts would be computed from the originals
        made = copy.deepcopy(value, memo)
    if isinstance(value, nn.Module) and isinstance(made, nn.Module):
        owned = {id(part) for part in (*value.modules(), *value.parameters(), *value.buffers())}
        copier = Copier(lambda module: memo.get(id(module), module), owned)
        copier.memo = memo
        copier.rebind(module for module in made.modules() if id(module) not in owned)
        scripts = (module for module in value.modules() if is_script(module))
        new = (module for module in made.modules() if is_script(module))
        for module, copied in zip(scripts, new, strict=True):
            for p, its in zip(module.parameters(), copied.parameters(), strict=True):
                its.requires_grad_(p.requires_grad)
    return made


def with_own_graph(module: nn.Module) -> None:
    """Compile the graph of a copied `GraphModule`, whose class is new; do nothing for other modules."""
    if isinstance(module, fx.GraphModule):
        module.graph = module.graph


class _WithoutGraphs(TorchFunctionMode):
    """Make `copy.deepcopy` copy computed tensors without their graph, which torch refuses to copy."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, memo = args
            if id(tensor) not in memo:
                memo[id(tensor)] = tensor.detach().clone()
            return memo[id(tensor)]
        return func(*args, **(kwargs or {}))


def reaches(value: Any, owned: set[int]) -> Any:
    """Return a module or tensor among `owned` that a value refers to, or None.

    Args:
        value: Anything. Containers, and the variables that functions read, are searched.
        owned: The ids to look for.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> reaches([lambda x: layer(x)], {id(layer)}) is layer, reaches([torch.relu], {id(layer)})
        (True, None)
    """
    seen: dict[int, Any] = {}
    left = [value]
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen[id(part)] = part
        if isinstance(part, (nn.Module, Tensor)):
            if id(part) in owned:
                return part
            continue
        left += _parts(part)
    return None


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, FunctionType):
        yield from (cell.cell_contents for cell in value.__closure__ or () if not _is_empty(cell))
        yield from value.__defaults__ or ()
        yield from (value.__kwdefaults__ or {}).values()
        if not value.__module__ or not value.__module__.startswith("torch."):
            names = value.__globals__
            yield from (names[name] for name in _global_names(value.__code__) if name in names)
    elif isinstance(value, (MethodType, BuiltinMethodType)):
        yield value.__self__
        yield getattr(value, "__func__", None)
    elif isinstance(value, ref):
        yield value()
    elif isinstance(value, partial):
        yield from (value.func, value.args, value.keywords)
    elif isinstance(value, (list, tuple, set, frozenset)) and len(value) < _MOST:
        yield from value
    elif isinstance(value, dict) and len(value) < _MOST:
        yield from value.values()


@cache
def _global_names(code: CodeType) -> tuple[str, ...]:
    # Not co_names, which contains attributes too.
    names = [str(i.argval) for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    for const in code.co_consts:
        if isinstance(const, CodeType):
            names += _global_names(const)
    return tuple(names)


def check_no_global(function: FunctionType, owned: set[int]) -> None:
    """Raise if a function reads a module or a tensor among `owned` by a global name.

    Raises:
        InputError: It does, and a child cannot have a global variable of its own.
    """
    names = function.__globals__
    for name in _global_names(function.__code__):
        if name in names and reaches(names[name], owned) is not None:
            raise InputError(
                f"function {function.__qualname__!r}: expected modules of the model as attributes or as "
                f"local variables, which a child can have of its own, got one by the global name {name!r}"
            )


def _is_empty(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asking is the only way
    except ValueError:
        return True
    return False


def check_copied(path: str, name: str, value: Any, copied: Callable[[Any], Any]) -> Any:
    """Return a copy of an attribute of a module.

    Raises:
        InputError: It cannot be copied; the message names the module and the attribute.
    """
    try:
        return copied(value)
    except Exception as error:
        ours = isinstance(error, InputError)
        reason = str(error).rstrip(".") if ours else in_one_line(f"{type(error).__name__}: {error}")
        raise InputError(
            f"module {path!r}, attribute {name!r}: expected something that a child can have a copy of, got "
            f"{type(value).__name__}: {reason}. Make it in forward, or keep it outside of the model."
        ) from error


def copies_itself(module: nn.Module) -> bool:
    """Whether a class defines how it is copied: lists of weak references, scripts, parametrisations."""
    if is_script(module):  # a traced one leaves it to an attribute
        return True
    kind = type(module)
    ways = ("__deepcopy__", "__copy__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")
    return any(getattr(kind, name, None) is not getattr(nn.Module, name, None) for name in ways)


class CopyTrial:
    """Test whether attributes of a model's modules can be copied, without copying tensors and modules.

    Args:
        model: The model.
    """

    def __init__(self, model: nn.Module) -> None:
        self._owned = {id(value) for value in (*model.modules(), *model.parameters(), *model.buffers())}
        kept = (*model.modules(), *model.parameters(), *model.buffers())
        self._memo: dict[int, Any] = {id(value): value for value in kept}
        self._tables = set(vars(nn.Module()))

    def check(self, path: str, module: nn.Module) -> None:
        """Test the attributes of one module.

        Raises:
            InputError: One cannot be copied; the message names the module and the attribute.
        """
        if copies_itself(module):
            return
        for name, value in vars(module).items():
            if isinstance(value, FunctionType):
                check_copied(path, name, value, self._local)
            if name not in self._tables and type(value) not in _ATOMS and type(value) not in _LOCKS:
                with _AsTheyAre():
                    check_copied(path, name, value, lambda v: copy.deepcopy(v, self._memo))

    def _local(self, function: FunctionType) -> FunctionType:
        check_no_global(function, self._owned)
        return function


_ATOMS = {
    int,
    float,
    str,
    bool,
    type(None),
    bytes,
    type,
    FunctionType,
    torch.dtype,
    torch.device,
    torch.Tensor,
}


class _AsTheyAre(TorchFunctionMode):
    """Make `copy.deepcopy` return tensors as they are."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func is Tensor.__deepcopy__ else func(*args, **(kwargs or {}))


def objects_read(value: object) -> Iterator[tuple[str, object]]:
    """Yield (name, object) for what a function reads by a global name, or as an attribute of such an object.

    Example:
        >>> [name for name, _ in objects_read(lambda x: copy.copy(x))]
        ['copy', 'copy.copy']
    """
    if not isinstance(value, FunctionType):
        return
    name, there = "", None
    for step in dis.get_instructions(value.__code__):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            name, there = str(step.argval), value.__globals__.get(str(step.argval))
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(there, (ModuleType, type)):
            name, there = f"{name}.{step.argval}", getattr(there, str(step.argval), None)
        else:
            name, there = "", None
        if there is not None:
            yield name, there
