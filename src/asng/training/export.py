"""A trained child in forms that run without this library: a torch program, ONNX."""

import copy
import inspect
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from asng.errors import InputError, RunError
from asng.runs.files import write_atomically

__all__ = ["save_onnx", "save_program"]


def save_program(path: Path, child: nn.Module, example: tuple[Any, ...]) -> Path:
    """Write a child as a torch.export program: `torch.export.load(path).module()` runs without asng.

    Args:
        path: Ends in `.pt2`.
        child: A plain network.
        example: Positional inputs; their first dimension may differ when the program runs.

    Raises:
        RunError: torch.export cannot follow the network, or the file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> child = nn.Linear(3, 1)
        >>> with TemporaryDirectory() as folder:
        ...     path = save_program(Path(folder) / "child.pt2", child, (torch.ones(4, 3),))
        ...     program = torch.export.load(path).module()
        >>> program(torch.ones(7, 3)).shape
        torch.Size([7, 1])
    """
    program = _exported(child, example, path)
    return write_atomically(path, lambda temporary: _save_program(program, temporary))


def save_onnx(path: Path, child: nn.Module, example: tuple[Any, ...]) -> Path:
    """Write a child as ONNX, its first dimension free.

    Args:
        path: Ends in `.onnx`.
        child: A plain network.
        example: Positional inputs.

    Raises:
        InputError: The packages for it are not installed.
        RunError: The network cannot be converted, or the file cannot be written.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"format onnx: {error.name} is not installed: pip install 'asng[onnx]'.") from None
    program = _exported(child, example, path)
    with warnings.catch_warnings():  # of torch's about its own parts
        warnings.simplefilter("ignore")
        converted = torch.onnx.export(program, dynamo=True, verbose=False)
    if converted is None:
        raise RunError(f"{path}: torch.onnx gave no program for this network.")
    return write_atomically(path, lambda temporary: converted.save(temporary, external_data=False))


def _exported(child: nn.Module, example: tuple[Any, ...], path: Path) -> torch.export.ExportedProgram:
    # torch.export.save takes a weight that is channels last for a part of a larger one, and warns.
    child = copy.deepcopy(child).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    size = next((len(x) for x in example if isinstance(x, torch.Tensor) and x.ndim), 0)
    # torch.export takes a first dimension of 1 for a constant.
    inputs = tuple(torch.cat([x, x]) if size == 1 and _is_batch(x, 1) else x for x in example)
    shapes = tuple({0: Dim("batch")} if _is_batch(x, max(size, 2)) else None for x in inputs)
    try:
        # By argument: torch.export takes what goes to `*inputs` as one, a tuple.
        by_argument = tuple(inspect.signature(child.forward).bind(*shapes).arguments.values())
        return torch.export.export(child.eval(), inputs, dynamic_shapes=by_argument)
    except Exception as error:  # torch.export raises errors of many kinds
        raise RunError(f"{path}: torch.export cannot follow the network: {error}") from error


def _is_batch(value: Any, size: int) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == size


def _save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    with path.open("wb") as handle:
        torch.export.save(program, handle)
