"""Record which modules the calls of a model reach, and with which inputs."""

import random
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from asng.nn.base import Call, Searchable
from asng.nn.extraction.sparing import SparedWeights
from asng.nn.inputs import Inputs

__all__ = [
    "ByShape",
    "CallRecord",
    "compiled_of",
    "contents_of",
    "is_script",
    "left_alone",
    "recorded",
    "refill",
    "seed_torch",
    "tensors_within",
]


class ByShape(TorchFunctionMode):
    """For passes in which only shapes matter: let batch norms accept a single value per channel."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.batch_norm and _is_one_value(*args, **(kwargs or {})):
            return args[0].clone()  # torch refuses it, since the variance would be 0
        return func(*args, **(kwargs or {}))


def _is_one_value(
    x: Tensor,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    *_: Any,
    **__: Any,
) -> bool:
    """Whether a batch norm would take statistics of one value per channel."""
    return training and x.numel() == x.shape[1]


class CallRecord(ByShape):
    """A record of what a model did, filled while it is entered and its hooks are on the model.

    Attributes:
        calls: Searchable module to the arguments of its calls in the first run, and of calls in later runs
            whose arguments have other shapes or types.
        reached: Modules that were called.
        read: The ids of tensors that were passed to a function of torch, since a module may read the weight
            of another without calling it.
        first: Whether no run has succeeded yet.
        certain: Whether the calls ran in both modes, and drew no random numbers on the CPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[nn.Module, list[Call]] = {}
        self.reached: set[nn.Module] = set()
        self.read: set[int] = set()
        self.first = True
        self.certain = True
        self._seen: dict[nn.Module, set[Any]] = {}

    def called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Record a call; this is a forward pre-hook."""
        self.reached.add(module)
        if isinstance(module, Searchable):
            seen, kind = self._seen.setdefault(module, set()), _kind((args, kwargs))
            if self.first or kind not in seen:
                self.calls.setdefault(module, []).append((args, kwargs))
            seen.add(kind)

    def touches(self, module: nn.Module) -> bool:
        """Whether a module was called, or one of its own tensors was read; a script does not tell."""
        read = any(id(t) in self.read for t in _own_tensors(module))
        return read or module in self.reached or is_script(module)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self._note(args)
        self._note(kwargs)
        return super().__torch_function__(func, types, args, kwargs)

    def _note(self, value: Any) -> None:
        if isinstance(value, Tensor):
            self.read.add(id(value))
        elif isinstance(value, (list, tuple)):
            for part in value:
                self._note(part)
        elif isinstance(value, dict):
            for part in value.values():
                self._note(part)


def recorded(model: nn.Module, calls: Sequence[Inputs]) -> CallRecord:
    """Run a model on each of the inputs, in training and in evaluation mode, and record what it reaches.

    A loss runs a model in training mode and an objective in evaluation mode, and the model may behave
    differently in each. It is enough if one of the modes runs: in training, a detector needs targets, and a
    batch norm needs more than one item. The model is left as it was.

    Args:
        model: A supernet's model, under the architecture that is followed.
        calls: The inputs of each call.

    Raises:
        Exception: The model fails in both modes of a call. The error is that of the mode of the call, by
            default the model's present mode.
    """
    record = CallRecord()
    with left_alone(model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # known from earlier passes, or of one mode only
        for module in model.modules():
            if not is_script(module) and (module._parameters or isinstance(module, Searchable)):
                module.register_forward_pre_hook(record.called, with_kwargs=True)
        before = _states()
        ran: set[bool] = set()
        for inputs in calls:
            own = model.training if inputs.training is None else inputs.training
            errors = {mode: _run(model, inputs, record, mode) for mode in (own, not own)}
            if all(errors.values()):
                raise errors[own]  # type: ignore[misc]
            ran.update(mode for mode, error in errors.items() if error is None)
            record.certain = record.certain and errors[own] is None
        record.certain = record.certain and len(ran) == 2 and before == _states()
    return record


def _states() -> tuple[Any, ...]:
    """Return the states of the random number generators of Python, NumPy and torch on the CPU."""
    state: Any = np.random.get_state()  # noqa: NPY002
    return random.getstate(), state[1].tobytes(), state[2], torch.random.get_rng_state().numpy().tobytes()


def _run(model: nn.Module, inputs: Inputs, record: CallRecord, training: bool) -> Exception | None:
    """Run a call in one mode, and return its error, if any, since the other mode may work."""
    _set_mode(model, training)
    try:
        with SparedWeights(model), record:
            inputs.call(model)
    except Exception as error:  # whatever a model raises
        return error
    record.first = False
    return None


def _set_mode(model: nn.Module, training: bool) -> None:
    """Switch the mode as `model.train` does, in a tenth of the time if no module overrides `train`."""
    modules = list(model.modules())
    if any(type(m).train is not nn.Module.train or "train" in vars(m) for m in modules):
        model.train(training)
    else:
        for module in modules:
            vars(module)["training"] = training


@contextmanager
def left_alone(model: nn.Module) -> Iterator[None]:
    """Restore the state of a model, and of the random number generators, when the block ends.

    State is what passes change: attributes, buffers, modes, hooks, lists of tensors. Inside the block,
    compiled modules run uncompiled, since hooks would cause a recompilation. A model with lazy weights
    (`torch.nn.LazyLinear`) keeps what its first pass makes; of it, only the modes are restored.
    """
    modules = list(model.modules())  # once, since a walk takes long in a small network
    parameters = [p for module in modules for p in module._parameters.values() if p is not None]
    modes = [(module, module.training) for module in modules]
    if any(map(is_lazy, parameters)):
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
        return
    kept = [(module, dict(vars(module)), contents_of(module)) for module in modules]
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - a model may draw from either
    devices = {t.device.index for t in parameters if t.is_cuda}
    try:
        with torch.random.fork_rng([device for device in devices if device is not None]):
            _spare_tensors(modules)
            for module in modules:
                _uncompile(module)
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        for module, attributes, contents in kept:
            vars(module).clear()
            vars(module).update(attributes)
            for name, content in contents.items():
                refill(attributes[name], content)
        for module, mode in modes:
            if is_script(module):  # its mode is no attribute of Python
                module.training = mode


def is_script(module: nn.Module) -> bool:
    """Whether a module is compiled by TorchScript; it has no hooks, and its code cannot be followed."""
    return isinstance(module, torch.jit.ScriptModule)


def seed_torch(number: int) -> None:
    """Seed torch's generators as `torch.manual_seed` does, but only for devices that are in use.

    For each device that may come into use later, `torch.manual_seed` records the stack of the caller, which
    takes longer than a pass of a small network.
    """
    if torch.cuda.is_initialized() or torch.backends.mps.is_available():  # type: ignore[no-untyped-call]
        torch.manual_seed(number)
    else:
        torch.default_generator.manual_seed(number)


_CONTAINERS = (list, dict, set, deque)


def contents_of(module: nn.Module) -> dict[str, Any]:
    """Return copies of the containers among a module's attributes, including its tables of tensors."""
    contents = vars(module).items()
    return {name: value.copy() if value else () for name, value in contents if isinstance(value, _CONTAINERS)}


def refill(container: Any, content: Any) -> None:
    """Restore the content of a container that `contents_of` has returned."""
    if container or content:  # a module has a dozen tables of hooks, nearly all of them empty
        container.clear()
        (container.extend if isinstance(container, (list, deque)) else container.update)(content)


def _spare_tensors(modules: Sequence[nn.Module]) -> None:
    """Make modules work on copies of the tensors that they may change in place, all but their parameters."""
    copies: dict[int, Tensor] = {}
    for module in modules:
        for table in (module._buffers, vars(module)):
            for name, value in table.items():
                if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
                    table[name] = copies.setdefault(id(value), value.detach().clone())


def compiled_of(module: nn.Module) -> nn.Module | None:
    """Return the module that `torch.compile(module)` has wrapped, or None for any other module."""
    return module._modules.get("_orig_mod") if type(module).__name__ == "OptimizedModule" else None


def _uncompile(module: nn.Module) -> None:
    if module._compiled_call_impl is not None:
        vars(module)["_compiled_call_impl"] = None
    inner = compiled_of(module)
    if inner is not None:
        vars(module)["forward"] = inner.__call__


def _kind(value: Any) -> Any:
    """Return the structure of a call's arguments: the shapes of tensors, and the types of the others."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, dict):
        return tuple((name, _kind(part)) for name, part in value.items())
    return tuple(map(_kind, value)) if isinstance(value, (list, tuple)) else type(value)


def _own_tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters(recurse=False)
    yield from module.buffers(recurse=False)


def tensors_within(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value of any type, such as what a model returns.

    They are those of `tensors_of`, of sets, and of attributes of other objects, such as data classes and
    distributions. Modules and functions are left out. A complex tensor comes as pairs of real numbers.

    Example:
        >>> from types import SimpleNamespace
        >>> list(tensors_within({"answer": SimpleNamespace(logits=torch.ones(1), loss=None)}))
        [tensor([1.])]
    """
    yield from _within(value, {})


def _within(value: Any, seen: dict[int, Any]) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
    elif id(value) not in seen and not isinstance(value, _NO_DATA):
        seen[id(value)] = value  # kept, for its id
        if isinstance(value, Mapping):
            parts = list(value.values())
        elif isinstance(value, (list, tuple, set, frozenset, deque)):
            parts = list(value)
        else:
            slots = [name for name in getattr(type(value), "__slots__", ()) if hasattr(value, name)]
            parts = [*getattr(value, "__dict__", {}).values(), *(getattr(value, name) for name in slots)]
        for part in parts:
            yield from _within(part, seen)


_NO_DATA = (nn.Module, type, FunctionType, MethodType, ModuleType, str, bytes, int, float, np.ndarray)
