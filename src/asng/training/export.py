"""A trained child in forms that run without this library: a torch program, ONNX."""

import copy
import inspect
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from asng.errors import InputError, RunError
from asng.nn import Inputs
from asng.nn.inputs import calls_of
from asng.runs.files import write_atomically

__all__ = ["save_onnx", "save_program"]


def save_program(path: Path, child: nn.Module, example: Any) -> Path:
    """Write a child as a torch.export program: `torch.export.load(path).module()` runs without asng.

    Args:
        path: Ends in `.pt2`.
        child: A plain network.
        example: Inputs: one, a tuple of them, a mapping by name, or `asng.nn.Inputs`; tensors may lie in
            dictionaries and lists. Their first dimension is free when the program runs, and so are others,
            such as the length of a sequence, if the network takes any.

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


def save_onnx(path: Path, child: nn.Module, example: Any) -> Path:
    """Write a child as ONNX. What is free, and what an example may be, is as in `save_program`.

    Args:
        path: Ends in `.onnx`.
        child: A plain network.
        example: Inputs.

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


def _exported(child: nn.Module, example: Any, path: Path) -> torch.export.ExportedProgram:
    # torch.export.save takes a weight that is channels last for a part of a larger one, and warns.
    child = copy.deepcopy(child).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    inputs = _plain(calls_of(child, example)[0])
    size = _batch_size(inputs)
    if size == 1:  # torch.export takes a first dimension of 1 for a constant.
        inputs, size = _mapped(inputs, lambda x: torch.cat([x, x]) if x.shape[0] == 1 else x), 2
    try:
        try:
            return _followed(child, inputs, size, others=Dim.AUTO)
        except Exception:  # torch.export raises errors of many kinds
            return _followed(child, inputs, size, others=None)
    except Exception as error:
        raise RunError(f"{path}: torch.export cannot follow the network: {error}") from error


def _followed(child: nn.Module, inputs: Inputs, size: int, *, others: Any) -> torch.export.ExportedProgram:
    """Have torch follow a network on inputs whose first dimension is free.

    Args:
        child: The network.
        inputs: Its inputs.
        size: Length of the first dimension of those that are batches.
        others: What to say of other dimensions: to be found out, or None for fixed.
    """
    batch = Dim("batch")

    def free(x: torch.Tensor) -> dict[int, Any]:
        shape = {} if others is None else dict.fromkeys(range(1, x.ndim), others)
        return shape | {0: batch} if x.shape[0] == size else shape

    shapes = _mapped(inputs, free, other=None)
    # By argument: torch.export takes what goes to `*inputs` as one, a tuple.
    by_argument = inspect.signature(child.forward).bind(*shapes, **shapes.named).arguments
    return torch.export.export(
        child.eval(), tuple(inputs), dict(inputs.named), dynamic_shapes=dict(by_argument), strict=False
    )


def _plain(inputs: Inputs) -> Inputs:
    """Return inputs whose mappings are dictionaries, the only ones that torch.export looks into."""
    return _mapped(inputs, lambda x: x)


def _mapped(inputs: Inputs, function: Any, **other: Any) -> Inputs:
    args = (_mapped_in(value, function, other) for value in inputs)
    return Inputs(args, {name: _mapped_in(value, function, other) for name, value in inputs.named.items()})


def _mapped_in(value: Any, function: Any, other: dict[str, Any]) -> Any:
    """Apply a function to all tensors with a dimension in dictionaries, lists and tuples; the rest stays."""
    if isinstance(value, torch.Tensor):
        return function(value) if value.ndim else other.get("other", value)
    if isinstance(value, Mapping):
        return {key: _mapped_in(part, function, other) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_mapped_in(part, function, other) for part in value)
    return other.get("other", value)


def _batch_size(inputs: Inputs) -> int:
    """Return the first dimension that most tensors have, that of the first one if none is more frequent."""
    sizes: list[int] = []
    _mapped(inputs, lambda x: sizes.append(len(x)))
    return Counter(sizes).most_common(1)[0][0] if sizes else 0


def _save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    with path.open("wb") as handle:
        torch.export.save(program, handle)
