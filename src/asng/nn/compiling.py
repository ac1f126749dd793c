"""Operations of a supernet, compiled by torch."""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import nn
from torch._C import _len_torch_function_stack

from asng.errors import InputError
from asng.nn.base import Searchable

__all__ = ["compile_operations", "compile_or_refuse", "refuse_whole", "release_operations"]

_VARIANTS = 256
"""Of a function; torch's default of 8 is less than a supernet has kinds and sizes of operations."""


def compile_operations(
    supernet: nn.Module, *, backend: str | Callable[..., Any] = "inductor", mode: str | None = None
) -> int:
    """Have the operations of a supernet run compiled by `torch.compile`; return how many that are.

    An operation is a largest module in which nothing is searchable, of several layers and with weights. Each
    is compiled when it first runs, once for all of the same kind and size, in training and in scoring. What
    torch cannot compile runs as it is; without a compiler of C++ (on a GPU: without Triton) all do. So does a
    pass within a `TorchFunctionMode`.

    It pays in long searches of convolutional cells: `docs/performance.md` has figures. Compiled, results
    differ in their last digits from those of the child, which is extracted, copied and saved uncompiled.
    Names of weights stay, and checkpoints fit. `torch._dynamo.config.recompile_limit` is raised to 256.

    Args:
        supernet: Changed in place; `release_operations` undoes it.
        backend: Of `torch.compile`. Default: torch's own compiler.
        mode: Of `torch.compile`: "reduce-overhead" records CUDA graphs where that can be. Default: torch's.

    Example:
        >>> from asng.nn import Choice, Supernet
        >>> small = nn.Sequential(nn.Linear(2, 4), nn.GELU(), nn.Linear(4, 2))
        >>> supernet = Supernet(Choice({"small": small, "none": nn.Identity()}, label="op"))
        >>> compile_operations(supernet) in (1, 0)  # 0 without a compiler
        True
    """
    operations = [operation for operation in _operations(supernet) if operation._compiled_call_impl is None]
    if not operations or (backend == "inductor" and not _can_compile()):
        return 0
    config = torch._dynamo.config
    limit = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"  # up to torch 2.6
    setattr(config, limit, max(getattr(config, limit), _VARIANTS))
    for operation in operations:
        # As by Module.compile(), which leaves out torch's own containers. Copies are made without it.
        operation._compiled_call_impl = _compiled(operation._call_impl, backend, mode)
    return len(operations)


def compile_or_refuse(
    supernet: nn.Module, *, backend: str | Callable[..., Any] = "inductor", mode: str | None = None
) -> int:
    """Compile as `compile_operations` does; return how many operations are compiled then.

    Raises:
        InputError: There is no such operation, or no compiler.
    """
    compile_operations(supernet, backend=backend, mode=mode)
    operations = list(_operations(supernet))
    if not operations:
        raise InputError(
            "compile: expected parts of several layers that have weights and nothing searchable in them, got "
            "none in this supernet. Leave it out: nothing here would be compiled."
        )
    if all(operation._compiled_call_impl is None for operation in operations):
        raise InputError(
            "compile: expected a compiler that torch can use (g++ or clang; on a GPU Triton), got none. "
            "Install one, or leave it out."
        )
    return len(operations)


def release_operations(supernet: nn.Module) -> None:
    """Have all operations of a supernet run as they are again.

    Args:
        supernet: Changed in place.
    """
    for operation in _operations(supernet):
        operation._compiled_call_impl = None


def _operations(module: nn.Module) -> Iterator[nn.Module]:
    within = list(module.modules())
    plain = not any(isinstance(part, Searchable) for part in within)
    if plain and not isinstance(module, (nn.ModuleDict, nn.ModuleList)):
        if len(within) > 2 and next(module.parameters(), None) is not None:
            yield module
    else:
        for child in module.children():
            yield from _operations(child)


def _compiled(
    call: Callable[..., Any], backend: str | Callable[..., Any], mode: str | None
) -> Callable[..., Any]:
    def run(*inputs: Any, **words: Any) -> Any:
        return call(*inputs, **words)

    compiled, works = torch.compile(run, dynamic=False, backend=backend, mode=mode), True

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


def refuse_whole() -> None:
    """Refuse a supernet that torch compiles as a whole: which layers run, and how wide, is new in every pass.

    Torch would compile it anew for one architecture after the other, and stop at its limit of recompilations.
    The tracer leaves this function out, so that it runs, and raises, where the compiled model is called.

    Raises:
        InputError: Always.
    """
    raise InputError(_WHOLE)


_WHOLE = (
    "torch.compile: expected a plain network, got a Supernet, which runs other layers in every pass: torch "
    "would compile it anew for each architecture. Call supernet.compile(), which compiles its operations, "
    "once each, or search with OneShotSearch(compile=True); compile the child that you extract as a whole."
)
refuse_whole._torchdynamo_disable = True  # type: ignore[attr-defined]
refuse_whole._torchdynamo_disable_msg = _WHOLE  # type: ignore[attr-defined]
