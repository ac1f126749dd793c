"""Leaving out of a child what a run of it never touches."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asng.errors import InputError
from asng.nn.inputs import Inputs

__all__ = ["drop_unused"]


def drop_unused(child: nn.Module, calls: Sequence[Inputs]) -> nn.Module:
    """Replace by `torch.nn.Identity()` the modules with weights that a run of `calls` does not touch.

    A module is touched if it is called, if any function of torch is given one of its tensors (a user's
    module may read `self.linear.weight`), or if a module in it is touched. Modules without weights
    stay. An `Identity` keeps the indices of lists, and loops over them, right.

    Args:
        child: A plain module. It is edited; its weights and batch-norm statistics are not.
        calls: Inputs, one or several.

    Returns:
        The child.

    Raises:
        InputError: The child fails without them.
    """
    used = _touched(child, calls)
    dropped = list(_droppable(child, "", used))
    for path in dropped:
        owner, _, name = path.rpartition(".")
        setattr(child.get_submodule(owner), name, nn.Identity())
    if dropped:
        try:
            _run(copy.deepcopy(child), calls)
        except Exception as error:
            raise InputError(
                f"example: the child fails without {', '.join(dropped)}, which no call used: {error!r}. "
                "Call extract without an example to keep them."
            ) from error
    return child


class _Reads(TorchFunctionMode):
    """Collects the identities of the tensors given to functions of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self._note(args)
        self._note(kwargs)
        return func(*args, **(kwargs or {}))

    def _note(self, value: Any) -> None:
        if isinstance(value, Tensor):
            self.seen.add(id(value))
        elif isinstance(value, (list, tuple)):
            for part in value:
                self._note(part)
        elif isinstance(value, dict):
            for part in value.values():
                self._note(part)


def _touched(child: nn.Module, calls: Sequence[Inputs]) -> set[str]:
    """Return the paths of the modules that a run calls or reads tensors of."""
    # A copy, so that training mode leaves the child's batch-norm statistics alone.
    twin = copy.deepcopy(child)
    called: set[nn.Module] = set()
    for module in twin.modules():
        module.register_forward_pre_hook(lambda m, _: called.add(m))
    reads = _Reads()
    _run(twin, calls, reads)
    return {
        path
        for path, module in twin.named_modules(remove_duplicate=False)
        if module in called or any(id(t) in reads.seen for t in _tensors(module, recurse=False))
    }


def _run(
    module: nn.Module, calls: Sequence[Inputs], watch: AbstractContextManager[Any] | None = None
) -> None:
    devices = {t.device for t in _tensors(module, recurse=True) if t.device.type == "cuda"}
    with torch.no_grad(), torch.random.fork_rng(devices), watch or nullcontext():
        for call in calls:
            if call.training is not None:
                module.train(call.training)
            call.call(module)


def _droppable(module: nn.Module, path: str, used: set[str]) -> Iterator[str]:
    """Yield the paths of the largest unused submodules with weights."""
    # Not named_children: a module that has two names is to go from both.
    for name, child in module._modules.items():
        inner = f"{path}.{name}" if path else name
        if child is None:
            continue
        if any(p == inner or p.startswith(f"{inner}.") for p in used):
            yield from _droppable(child, inner, used)
        elif any(True for _ in _tensors(child, recurse=True)):
            yield inner


def _tensors(module: nn.Module, *, recurse: bool) -> Iterator[Tensor]:
    yield from module.parameters(recurse)
    yield from module.buffers(recurse)
