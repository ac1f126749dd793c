"""Finds objects of asng in what is to be free of it."""

import gc
import types
from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["objects_of_asng"]


def objects_of_asng(root: Any) -> list[str]:
    """Return what is of asng among all that `root` refers to, however deep.

    It follows attributes, containers, and of functions what they close over and the globals that their code
    names; not modules, and not functions of torch.
    """
    seen: dict[int, Any] = {}
    found, left = [], [root]
    while left:
        value = left.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value  # kept, so that no other gets its identity
        if _is_of_asng(value):
            found.append(repr(value))
        left += _parts(value)
    return found


def _is_of_asng(value: Any) -> bool:
    if isinstance(value, types.ModuleType):
        return value.__name__.partition(".")[0] == "asng"
    owners = value.__mro__ if isinstance(value, type) else (*type(value).__mro__, value)
    return any(str(getattr(owner, "__module__", "")).partition(".")[0] == "asng" for owner in owners)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, types.FunctionType):
        if not value.__module__ or not value.__module__.startswith("torch."):
            yield from (value.__closure__ or (), value.__defaults__ or (), value.__dict__)
            yield from (value.__globals__[name] for name in _names(value.__code__) & set(value.__globals__))
    elif isinstance(value, torch.Tensor):
        yield from vars(value).values()
    elif isinstance(value, type):
        return
    elif not isinstance(value, types.ModuleType):
        yield type(value)
        yield from gc.get_referents(value)


def _names(code: types.CodeType) -> set[str]:
    inner = [_names(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    return set(code.co_names).union(*inner)
