"""A plain child from a supernet.

How each module comes over, children first:

- a searchable module becomes what its `extract` returns;
- a module of a class of `asng` is traced by `torch.fx` under the architecture, so that its control
  flow vanishes, and becomes a `GraphModule`; all other modules are leaves of that trace;
- any other module keeps its class: a copy with its children replaced.
"""

import copy
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import fx, nn

from asng.errors import InputError
from asng.nn.extraction.prune import drop_unused
from asng.nn.inputs import Inputs, calls_of
from asng.nn.searchable import Call, Extraction, Searchable, following
from asng.space import Value

__all__ = ["extract"]

_T = TypeVar("_T")


def extract(
    model: nn.Module, architecture: Mapping[str, Value], example: Any = None, *, fresh: bool = False
) -> nn.Module:
    """Return `model` under an architecture as a plain module. See `Supernet.extract`.

    Args:
        model: A model whose searchable modules a `Supernet` has bound.
        architecture: A value for every variable.
        example: Inputs of the model, as `calls_of` takes them, or None.
        fresh: Whether cut layers are drawn anew.

    Raises:
        InputError: A searchable layer needs an example, or the child fails without the modules that
            the example did not run.
    """
    calls = None if example is None else calls_of(model, example)
    # Copies that were made in inference mode could never be trained.
    with torch.inference_mode(False), following(architecture):
        child = _Extraction(model, calls, fresh=fresh).child(model)
    if calls is not None:
        child = drop_unused(child, calls)
    return child


class _Extraction(Extraction):
    """The extraction of one architecture.

    Args:
        model: The whole model.
        example: Calls of the model, or None.
        fresh: Whether layers of which only parts are used are to be drawn anew.
    """

    def __init__(self, model: nn.Module, example: list[Inputs] | None, *, fresh: bool = False) -> None:
        self.fresh = fresh
        self._model = model
        self._example = example
        # The memo of copy.deepcopy, shared by all copies: what the model shares, the child shares.
        self._memo: dict[int, Any] = {}

    def child(self, module: nn.Module) -> nn.Module:
        if id(module) not in self._memo:
            # The rebuilt copy enters itself, before its children may refer to it.
            twin = self._plain(module)
            self._memo[id(module)] = twin
        return self._memo[id(module)]  # type: ignore[no-any-return]

    def copy(self, value: _T) -> _T:
        return copy.deepcopy(value, self._memo)

    def calls(self, module: nn.Module) -> list[Call]:
        return self._calls.get(module, [])

    def trace(self, module: nn.Module) -> nn.Module:
        graph = _Tracer().trace(module)
        graph._tracer_cls = None  # or a pickled child would look for this module's tracer
        parts: dict[str, Any] = {}
        for node in graph.nodes:
            node.meta.clear()  # it names classes of asng
            if node.op == "call_module":
                parts[node.target] = self.child(module.get_submodule(node.target))
            elif node.op == "get_attr":
                parts[node.target] = self.copy(_attribute(module, node.target))
        twin = fx.GraphModule(parts, graph, class_name=type(module).__name__)
        for path, container in twin.named_modules():
            if not any(path == part or path.startswith(f"{part}.") for part in parts):
                container.training = module.get_submodule(path).training
        return twin

    def _plain(self, module: nn.Module) -> nn.Module:
        if isinstance(module, Searchable):
            return module.extract(self)
        if _is_own(module):
            return self.trace(module)
        if not any(isinstance(m, Searchable) or _is_own(m) for m in module.modules()):
            return self.copy(module)
        return self._rebuilt(module)

    def _rebuilt(self, module: nn.Module) -> nn.Module:
        twin = type(module).__new__(type(module))
        self._memo[id(module)] = twin
        children = {
            name: None if child is None else self.child(child) for name, child in module._modules.items()
        }
        # Attributes after children: one that refers to a child then refers to the child's plain form.
        for name, value in vars(module).items():
            twin.__dict__[name] = children if name == "_modules" else self.copy(value)
        return twin

    @cached_property
    def _calls(self) -> dict[nn.Module, list[Call]]:
        if self._example is None:
            raise InputError(
                "example: expected an input, because a searchable layer takes its input width from it, "
                "got None. Call supernet.extract(architecture, example=x)."
            )
        return _recorded_calls(self._model, self._example)


class _Tracer(fx.Tracer):
    """Looks into classes of `asng` only, and not where a searchable module has a twin of its own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, Searchable):
            return type(m).extract is not Searchable.extract
        return not _is_own(m)


def _is_own(module: nn.Module) -> bool:
    return any(base.__module__.partition(".")[0] == "asng" for base in type(module).__mro__)


def _attribute(module: nn.Module, path: str) -> Any:
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)


def _recorded_calls(model: nn.Module, examples: list[Inputs]) -> dict[nn.Module, list[Call]]:
    """Run the supernet's model, in evaluation mode unless a call was in training, without a trace in it."""
    calls: dict[nn.Module, list[Call]] = {}

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.setdefault(module, []).append((args, kwargs))

    training = {m: m.training for m in model.modules()}
    trains = any(example.training for example in examples)
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()] if trains else []
    searchable = [m for m in model.modules() if isinstance(m, Searchable)]
    hooks = [m.register_forward_pre_hook(note, with_kwargs=True) for m in searchable]
    try:
        with torch.no_grad():
            for example in examples:
                model.train(bool(example.training))
                example.call(model)
    finally:
        for buffer, before in buffers:
            buffer.data.copy_(before)
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    return calls
