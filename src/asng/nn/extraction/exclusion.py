"""Find the modules that an architecture excludes through a user's own control flow, if that can be known.

A pass on the meta device sees shapes and no numbers. If it runs there, in both modes and without drawing
random numbers, the modules that it reaches depend neither on data nor on chance. Nor do they depend on other
arguments, if the model takes tensors only. A module is excluded if such a pass reaches it under another
architecture and not under this one.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from asng.nn.extraction.copying import deep_copy
from asng.nn.extraction.recording import CallRecord, left_alone, recorded
from asng.nn.extraction.sparing import SparedWeights
from asng.nn.inputs import Inputs
from asng.nn.selection import following
from asng.space import Categorical, Space, Value

__all__ = ["drop", "excluded", "on_meta"]

_TRIES, _CHOICES, _DRAWS = 40, 6, 8
"""Architectures tried to reach a module: with one variable changed, choices per variable, random ones."""


def excluded(
    model: nn.Module,
    architecture: Mapping[str, Value],
    calls: Sequence[Inputs],
    unreached: set[str],
    *,
    space: Space,
    reachable: set[str],
) -> set[str]:
    """Return the paths of the unreached modules that the architecture excludes.

    Args:
        model: The model, under `architecture`.
        architecture: A value for every variable.
        calls: Inputs of calls of the model.
        unreached: Paths of the modules that no call has reached.
        space: The variables.
        reachable: Paths that such passes have reached so far under any architecture; changed in place.
    """
    if not all(_says_all(model, call) for call in calls):
        return set()
    try:
        place, there = on_meta(model, calls)
    except Exception:  # an attribute that cannot be copied, an input that cannot be moved
        return set()
    here, read = _reached(place, there, architecture)
    if here is None:
        return set()
    reachable |= here
    for other in _others(space, architecture, read):
        if unreached - here <= reachable:
            break
        reachable |= _reached(place, there, other)[0] or set()
    return (unreached - here) & reachable


def drop(child: nn.Module, parts: Sequence[nn.Module], calls: Sequence[Inputs]) -> bool:
    """Replace modules of a child by `torch.nn.Identity()`, which keeps the indices of lists.

    If the child then fails to run, for example because it reads the size of one, they are kept.

    Returns:
        Whether they were replaced.
    """
    gone = {id(part) for part in parts}
    owners = list(child.modules())
    places = [(m, n, p) for m in owners for n, p in m._modules.items() if p is not None and id(p) in gone]
    for owner, name, _ in places:
        owner._modules[name] = nn.Identity()
    try:
        device = torch.device("meta") if _is_meta(child) else torch.no_grad()
        with left_alone(child), torch.no_grad(), device, SparedWeights(child):
            for call in calls:
                if call.training is not None:
                    child.train(call.training)
                call.call(child)
    except Exception:  # whatever the child raises without them
        for owner, name, part in places:
            owner._modules[name] = part
        return False
    return True


def _says_all(model: nn.Module, call: Inputs) -> bool:
    """Whether a call gives all arguments of a model, as tensors only; other values may change per call."""
    try:
        signature = inspect.signature(model.forward)
        bound = signature.bind(*call, **call.named).arguments
    except (TypeError, ValueError):
        return False
    return bound.keys() == signature.parameters.keys() and all(map(_is_data, bound.values()))


def _is_data(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_data, value))
    return all(map(_is_data, value.values())) if isinstance(value, dict) else isinstance(value, Tensor)


def on_meta(model: nn.Module, calls: Sequence[Inputs]) -> tuple[nn.Module, list[Inputs]]:
    """Return a copy of a model and its calls on the meta device, with shapes but no numbers."""
    if not _is_meta(model):
        memo: dict[int, Any] = {id(b): torch.empty_like(b, device="meta") for b in model.buffers()}
        for p in model.parameters():
            memo[id(p)] = nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=p.requires_grad)
        model = deep_copy(model, memo)
    return model, [Inputs(_moved(tuple(c)), _moved(dict(c.named)), training=c.training) for c in calls]


def _moved(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to("meta")
    if isinstance(value, dict):
        return {key: _moved(part) for key, part in value.items()}
    return type(value)(map(_moved, value)) if type(value) in (list, tuple) else value


def _reached(
    model: nn.Module, calls: Sequence[Inputs], architecture: Mapping[str, Value]
) -> tuple[set[str] | None, set[str]]:
    """Return the paths that calls reach, None if these depend on data or chance, and the variables read."""
    try:
        with torch.device("meta"), following(architecture) as selection:
            record: CallRecord = recorded(model, calls)
    except Exception:  # whatever a module raises without numbers
        return None, set()
    if not record.certain:
        return None, set()
    return {path for path, module in model.named_modules() if record.touches(module)}, selection.read


def _others(space: Space, architecture: Mapping[str, Value], read: set[str]) -> Iterator[Mapping[str, Value]]:
    """Yield architectures that differ in one variable that was read, then random ones."""
    tries = 0
    for name in sorted(read):
        variable = space[name]
        values: Sequence[Value] = (variable.uniform(0.0), variable.uniform(0.999999))
        if isinstance(variable, Categorical):
            values = variable.choices[:_CHOICES]
        for value in values:
            if value != architecture[name] and tries < _TRIES:
                tries += 1
                yield {**architecture, name: value}
    rng = Random(0)
    yield from (space.sample(rng) for _ in range(_DRAWS))


def _is_meta(model: nn.Module) -> bool:
    parameter = next(model.parameters(), None)
    return parameter is not None and parameter.is_meta
