"""Find which layers the calls of a model reach: a proof says nothing of the others.

Calls run in evaluation mode. A model may also have branches that run in training mode only, such as an
auxiliary head. So each call is repeated with the model's own code in training mode, and kept if it reaches
more. Layers stay in evaluation mode, and functions such as dropout do nothing: passes can be compared.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils.parametrize import is_parametrized
from torch.overrides import TorchFunctionMode

from asng.nn.extraction.recording import CallRecord, is_script, left_alone, seed_torch
from asng.nn.extraction.sparing import SparedWeights
from asng.nn.inputs import Inputs, tensors_of
from asng.nn.rules import settle_fused_paths

__all__ = [
    "NEVER",
    "PARTLY",
    "REMEDY",
    "Reach",
    "as_told",
    "bare_in",
    "has_own_code",
    "reach_of",
    "run_as_told",
    "watched",
]

REMEDY = "Pass calls that reach {}, by example=[asng.nn.Inputs(...), ...]"
"""What to do, with what is to be reached filled in."""
NEVER = f"no call reaches it. {REMEDY.format('it')}"
PARTLY = (
    "calls reach only some layers of its kind, so the data may decide which of them run. "
    f"{REMEDY.format('all of them')}"
)


@dataclass(frozen=True)
class Reach:
    """What the calls of a model reach.

    Attributes:
        calls: The calls, marked as of evaluation mode; those that reach more in training mode come again,
            marked as of training mode.
        never: Paths of the layers, and of tensors of other modules, that no call reaches.
        partly: Paths of the layers that are reached, if other layers that differ from them only by numbers in
            their paths are not.
    """

    calls: list[Inputs]
    never: tuple[str, ...]
    partly: frozenset[str]

    def misses(self, path: str, owner: str | None) -> bool:
        """Whether no call reaches a layer, or a tensor of a module at the path `owner`."""
        return not {path.partition("[")[0], owner}.isdisjoint(self.never)


def reach_of(model: nn.Module, calls: Sequence[Inputs]) -> Reach:
    """Return what the calls of a model reach.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2))
        >>> model.spare = nn.Linear(2, 2)
        >>> model.forward = lambda x: model[0](x)
        >>> reach_of(model, [Inputs((torch.ones(1, 2),))]).never
        ('spare',)
    """
    made = [_marked(call, training=False) for call in calls]
    seen = set[str]().union(*(_reached(model, call) for call in made))
    for call in list(made):
        again = _marked(call, training=True)
        try:
            more = _reached(model, again)
        except Exception:  # whatever a model raises in training, such as for a lack of targets
            continue
        if not more <= seen:
            made.append(again)
            seen |= more
    layers = dict(_layers(model))
    never = tuple(path for path in [*layers, *_tensors(model, layers)] if path not in seen)
    kinds = {_kind(path, layers[path]) for path in never if path in layers}
    partly = frozenset(path for path in layers if path in seen and _kind(path, layers[path]) in kinds)
    return Reach(made, never, partly)


def bare_in(model: nn.Module, calls: Sequence[Inputs]) -> frozenset[str]:
    """Return the paths of layers of torch whose weights the model's code reads without calling them.

    Linear layers and convolutions are never called; embeddings may be called too.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3))
        >>> model.forward = lambda x: nn.functional.linear(x, model[0].weight)
        >>> bare_in(model, [Inputs((torch.ones(1, 2),))])
        frozenset({'0'})
    """
    layers = {path: layer for path, layer in _layers(model) if isinstance(layer, _WITH_WEIGHTS)}
    read = _ReadOutside()
    with left_alone(model), torch.no_grad(), watched(model) as called:
        settle_fused_paths(model.eval(), everywhere=True)
        for layer in (module for _, module in _layers(model) if not _is_own_code(module)):
            layer.register_forward_pre_hook(lambda *_: read.step(1))
            layer.register_forward_hook(lambda *_: read.step(-1), always_call=True)
        with read:
            for call in calls:
                run_as_told(model, call)
    return frozenset(
        path
        for path, layer in layers.items()
        if id(layer.weight) in read.tensors and (path not in called or isinstance(layer, nn.Embedding))
    )


def run_as_told(model: nn.Module, call: Inputs) -> Any:
    """Call a model in evaluation mode; its own code is in training mode if the call is marked so."""
    with as_told(model, call):
        return call.call(model)


@contextmanager
def as_told(model: nn.Module, call: Inputs) -> Iterator[None]:
    """Put the own code of a model in evaluation mode into training mode if a call is marked so."""
    if not call.training:
        yield
        return
    own = [module for module in model.modules() if _is_own_code(module) and not module.training]
    for module in own:
        module.training = True
    try:
        with _Steady(), SparedWeights(model):
            yield
    finally:
        for module in own:
            module.training = False


@contextmanager
def watched(model: nn.Module) -> Iterator[set[str]]:
    """Record the paths of the layers that are called while the block runs."""
    reached: set[str] = set()
    handles = [
        layer.register_forward_pre_hook(lambda *_, path=path: reached.add(path))
        for path, layer in _layers(model)
    ]
    try:
        yield reached
    finally:
        for handle in handles:
            handle.remove()


def _marked(call: Inputs, *, training: bool) -> Inputs:
    return Inputs(call, call.named, training=training)


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules with parameters of their own, by path, without scripts."""
    for path, module in model.named_modules():
        if not is_script(module) and any(p is not None and p.ndim for p in module._parameters.values()):
            yield path, module


def _tensors(model: nn.Module, layers: Mapping[str, nn.Module]) -> list[str]:
    """Return the paths of the parameters of modules that have several tasks, which may read some of them."""
    return [
        f"{path}.{name}".lstrip(".")
        for path, module in layers.items()
        if _is_own_code(module) and not is_parametrized(module)
        for name, p in module._parameters.items()
        if p is not None and p.ndim
    ]


def _reached(model: nn.Module, call: Inputs) -> set[str]:
    """Return the paths of the layers and tensors that a call reaches."""
    record = CallRecord()
    with left_alone(model), torch.no_grad():
        model.eval()
        layers = dict(_layers(model))
        for layer in layers.values():
            layer.register_forward_pre_hook(record.called, with_kwargs=True)
        seed_torch(0)
        with record:
            run_as_told(model, call)
        seen = {path for path, layer in layers.items() if record.touches(layer)}
        parameters = dict(model.named_parameters(remove_duplicate=False))
        return seen | {path for path in _tensors(model, layers) if id(parameters[path]) in record.read}


def _kind(path: str, layer: nn.Module) -> tuple[Any, ...]:
    """Return what layers have in common that are alike but for numbers in their paths."""
    shapes = [None if p is None else tuple(p.shape) for p in layer._parameters.values()]
    return re.sub(r"(?<![^.])\d+(?![^.])", "#", path), type(layer), *shapes


def has_own_code(model: nn.Module) -> bool:
    """Whether a model has modules that may do something else in training mode, beside layers of torch."""
    return any(map(_is_own_code, model.modules()))


def _is_own_code(module: nn.Module) -> bool:
    """Whether a module may choose which of its parts run: it has some, and is not a layer of torch."""
    if not module._modules or isinstance(module, (_NormBase, _DropoutNd)):
        return False
    return not type(module).__module__.startswith("torch.")


_WITH_WEIGHTS = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _ReadOutside(TorchFunctionMode):
    """Record the ids of parameters that functions are given while no layer runs."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: set[int] = set()
        self._within = 0

    def step(self, by: int) -> None:
        """Record that a layer begins, by 1, or ends, by -1."""
        self._within += by

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        # An attribute such as the type of a weight is no tensor.
        if not self._within and any(True for _ in tensors_of([result])):
            given = tensors_of([args, kwargs or {}])
            self.tensors |= {id(tensor) for tensor in given if isinstance(tensor, nn.Parameter)}
        return result


class _Steady(TorchFunctionMode):
    """Make functions for dropout do nothing."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, named = getattr(func, "__name__", ""), dict(kwargs or {})
        if name.strip("_") in _DROPOUTS:
            return args[0] if args else named["input"]
        if "dropout_p" in named:
            named["dropout_p"] = 0.0
        return func(*args, **named)


_DROPOUTS = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"}
