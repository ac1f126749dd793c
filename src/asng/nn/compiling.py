"""Compile the operations of a supernet with `torch.compile`."""

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
"""Compiled variants per function; torch's default of 8 is too few for a supernet's kinds and sizes."""


def compile_operations(
    supernet: nn.Module, *, backend: str | Callable[..., Any] = "inductor", mode: str | None = None
) -> int:
    """Compile the operations of a supernet with `torch.compile`; return the number of newly compiled ones.

    An operation is a largest module that has several layers, weights and nothing searchable. Each is compiled
    when it first runs, once for all of the same kind and size, in training and in scoring. Operations that
    torch cannot compile run uncompiled; without a C++ compiler (on a GPU: without Triton) all of them do. All
    of them also run uncompiled inside a `TorchFunctionMode`.

    It pays off in long searches over convolutional cells; `docs/performance/faster.md` has figures. Compiled
    results differ in the last digits from those of the child, which is extracted, copied and saved
    uncompiled. Names of weights do not change, so checkpoints still load.
    `torch._dynamo.config.recompile_limit` is raised to 256 if it is lower.

    Args:
        supernet: Changed in place; `release_operations` undoes it.
        backend: Passed to `torch.compile`. Default: torch's own compiler.
        mode: Passed to `torch.compile`: "reduce-overhead" records CUDA graphs where possible. Default:
            torch's.

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
        # Like Module.compile(), which leaves out torch's own containers. Copies do not inherit it.
        operation._compiled_call_impl = _compiled(operation._call_impl, backend, mode)
    return len(operations)


def compile_or_refuse(
    supernet: nn.Module, *, backend: str | Callable[..., Any] = "inductor", mode: str | None = None
) -> int:
    """Compile as `compile_operations` does, or raise if that is impossible; return the number of operations.

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
    """Make all operations of a supernet run uncompiled again.

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
                works = False  # an error of the operation itself is raised again below
        return call(*inputs, **words)

    return tried


@cache
def _can_compile() -> bool:
    """Whether a small function can be compiled, forward and backward."""
    x = torch.ones(2, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from torch's own old modules, which compiling imports
        try:
            torch.compile(lambda x: torch.relu(x).sum())(x).backward()  # type: ignore[no-untyped-call]
        except Exception:  # each backend has errors of its own
            return False
    return True


def refuse_whole() -> None:
    """Refuse to compile a supernet as a whole, because other layers and widths run in every pass.

    Torch would recompile it for one architecture after the other, until it reached its recompilation limit.
    The tracer skips this function, so that it runs, and raises, when the compiled model is called.

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
