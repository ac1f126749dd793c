"""Operations of a supernet, compiled by torch."""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import nn
from torch._C import _len_torch_function_stack

from asng.nn.base import Searchable

__all__ = ["compile_operations"]

_VARIANTS = 256
"""Of a function; torch's default of 8 is less than a supernet has kinds and sizes of operations."""


def compile_operations(supernet: nn.Module) -> int:
    """Have the operations of a supernet run compiled by `torch.compile`; return how many that are.

    An operation is a largest module in which nothing is searchable, of several layers and with weights. Each
    is compiled when it first runs, once for all of the same kind and size, in training and in scoring. What
    torch cannot compile runs as it is; without a compiler of C++ (on a GPU: without Triton) all do. So does a
    pass within a `TorchFunctionMode`.

    It pays in long searches of convolutional cells: `docs/performance.md` has figures. Compiled, results
    differ in their last digits from those of the child, which is extracted, copied and saved uncompiled.
    Names of weights stay, and checkpoints fit. `torch._dynamo.config.recompile_limit` is raised to 256.

    Args:
        supernet: Changed in place.

    Example:
        >>> from asng.nn import Choice, Supernet
        >>> small = nn.Sequential(nn.Linear(2, 4), nn.GELU(), nn.Linear(4, 2))
        >>> supernet = Supernet(Choice({"small": small, "none": nn.Identity()}, label="op"))
        >>> compile_operations(supernet) in (1, 0)  # 0 without a compiler
        True
    """
    operations = [operation for operation in _operations(supernet) if operation._compiled_call_impl is None]
    if not operations or not _can_compile():
        return 0
    config = torch._dynamo.config
    limit = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"  # up to torch 2.6
    setattr(config, limit, max(getattr(config, limit), _VARIANTS))
    for operation in operations:
        # As by Module.compile(), which leaves out torch's own containers. Copies are made without it.
        operation._compiled_call_impl = _compiled(operation._call_impl)
    return len(operations)


def _operations(module: nn.Module) -> Iterator[nn.Module]:
    within = list(module.modules())
    plain = not any(isinstance(part, Searchable) for part in within)
    if plain and not isinstance(module, (nn.ModuleDict, nn.ModuleList)):
        if len(within) > 2 and next(module.parameters(), None) is not None:
            yield module
    else:
        for child in module.children():
            yield from _operations(child)


def _compiled(call: Callable[..., Any]) -> Callable[..., Any]:
    def run(*inputs: Any, **words: Any) -> Any:
        return call(*inputs, **words)

    compiled, works = torch.compile(run, dynamic=False), True

    def tried(*inputs: Any, **words: Any) -> Any:
        nonlocal works
        if works and not _len_torch_function_stack():
            try:
                return compiled(*inputs, **words)
            except torch._dynamo.exc.TorchDynamoException:
                works = False  # a fault of the operation itself comes again, as its own error
        return call(*inputs, **words)

    return tried


@cache
def _can_compile() -> bool:
    """Whether a small function can be compiled, forth and back."""
    x = torch.ones(2, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own old modules, which compiling imports
        try:
            torch.compile(lambda x: torch.relu(x).sum())(x).backward()  # type: ignore[no-untyped-call]
        except Exception:  # each backend has errors of its own
            return False
    return True
