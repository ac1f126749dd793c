"""Export a trained child to formats that run without this library: a torch program, ONNX."""

import copy
import inspect
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from asng.checks import as_path, require
from asng.errors import InputError, RunError
from asng.nn import Inputs
from asng.nn.inputs import calls_of
from asng.runs.files import make_folder, write_atomically, writes
from asng.training.data.nested import tensors_in
from asng.training.onnx_sizes import keep_what_holds

__all__ = ["onnx_runner", "save_onnx", "save_program"]


def save_program(path: str | Path, child: nn.Module, example: Any) -> Path:
    """Write a child as a torch.export program: `torch.export.load(path).module()` runs without asng.

    Args:
        path: Ends in `.pt2`. A missing folder is created.
        child: A plain network.
        example: Inputs: one, a tuple of them, a mapping by name, or `asng.nn.Inputs`; tensors may be nested
            in dictionaries and lists. The program takes any size of their first dimension, and of others,
            such as the length of a sequence, if the network does.

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
    path = _made_way(path)
    with _quiet():
        program = _exported(child, example, path)
    return write_atomically(path, lambda temporary: _save_program(program, temporary))


def save_onnx(path: str | Path, child: nn.Module, example: Any) -> Path:
    """Write a child as an ONNX program.

    The conversion can fix numbers at the sizes of the example, such as the windows of an adaptive pooling. So
    onnxruntime runs the program at two other sizes, on two or three items, and the outputs are compared with
    those of the child. A size at which the program fails or differs is fixed, and a warning names the input
    and the dimension.

    Args:
        path: Ends in `.onnx`. A missing folder is created.
        child: A plain network.
        example: Inputs, as in `save_program`. The same dimensions are free, if the check above succeeds.
            Without onnxruntime, only the first dimension is free.

    Raises:
        InputError: The packages for ONNX are not installed.
        RunError: The network cannot be converted, or the file cannot be written.
    """
    _need_onnx("onnx", "onnxscript")
    path = _made_way(path)
    with _quiet():
        program = _exported(child, example, path)
        converted = _converted(program, path)
    keep_what_holds(converted, program, _contiguous(child).eval())
    return write_atomically(path, lambda temporary: converted.save(temporary, external_data=False))


def onnx_runner(path: Path, child: nn.Module, example: Any, *, threads: int) -> Callable[[], object]:
    """Return a function that runs a child once as an ONNX program in onnxruntime, on the CPU.

    The program is like that of `save_onnx`, but takes only the sizes of the example.

    Args:
        path: Where to write the program; the file must stay while the function is in use.
        child: A plain network.
        example: Inputs, as in `save_program`.
        threads: Number of threads that onnxruntime uses, >= 1.

    Raises:
        InputError: The packages for ONNX are not installed.
        RunError: The network cannot be converted, or onnxruntime cannot run it.
    """
    _need_onnx("onnx", "onnxscript", "onnxruntime")
    import onnxruntime

    inputs = _plain(calls_of(child, example)[0])
    with _quiet():
        _converted(_fixed(_contiguous(child), inputs, path), path).save(path, external_data=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_inputs()]
        arrays = [tensor.detach().cpu().numpy() for tensor in tensors_in([inputs, inputs.named])]
        feed = dict(zip(names, arrays, strict=True))
        session.run(None, feed)
    except Exception as error:  # there are many kinds
        raise RunError(f"{path}: onnxruntime cannot run the network: {error}") from error
    return lambda: session.run(None, feed)


def _need_onnx(*packages: str) -> None:
    for package in packages:
        try:
            require(package, extra="onnx")
        except RunError as error:
            raise InputError(f"format {error}") from None


def _converted(program: torch.export.ExportedProgram, path: Path) -> Any:
    with warnings.catch_warnings():  # torch warns about its own internals
        warnings.simplefilter("ignore")
        try:
            converted = torch.onnx.export(program, dynamo=True, verbose=False)
        except Exception as error:  # there are many kinds
            raise RunError(f"{path}: torch.onnx cannot convert the network: {error}") from error
    if converted is None:
        raise RunError(f"{path}: torch.onnx gave no program for this network.")
    return converted


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch logs about its own internals, and about sizes that are tried here."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "torch._export")]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)


def _contiguous(child: nn.Module) -> nn.Module:
    # torch.export.save mistakes a channels-last weight for a part of a larger one, and warns.
    return copy.deepcopy(child).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]


def _fixed(child: nn.Module, inputs: Inputs, path: Path) -> torch.export.ExportedProgram:
    """Export a network for inputs whose sizes are all fixed."""
    try:
        return torch.export.export(child.eval(), tuple(inputs), dict(inputs.named), strict=False)
    except Exception as error:  # torch.export raises errors of many kinds
        raise RunError(f"{path}: torch.export cannot follow the network: {error}") from error


def _exported(child: nn.Module, example: Any, path: Path) -> torch.export.ExportedProgram:
    child = _contiguous(child)
    inputs = _plain(calls_of(child, example)[0])
    size = _batch_size(inputs)
    if size == 1:  # torch.export treats a first dimension of 1 as a constant.
        inputs, size = _mapped(inputs, lambda x: torch.cat([x, x]) if x.shape[0] == 1 else x), 2
    # torch 2.5 rejects a named dimension beside one that it should infer.
    for batch in (Dim("batch"), Dim.AUTO):
        with suppress(Exception):  # torch.export raises errors of many kinds
            program = _followed(child, inputs, size, batch=batch, others=Dim.AUTO)
            if _is_free(program, size):
                return program
    try:
        return _followed(child, inputs, size, batch=Dim("batch"), others=None)
    except Exception as error:
        raise RunError(f"{path}: torch.export cannot follow the network: {error}") from error


def _is_free(program: torch.export.ExportedProgram, size: int) -> bool:
    """Whether no input is bound to a first dimension of this size."""
    names = set(program.graph_signature.user_inputs)
    values = [node.meta.get("val") for node in program.graph.nodes if node.name in names]
    shapes = [value.shape for value in values if isinstance(value, torch.Tensor) and value.ndim]
    return not any(isinstance(shape[0], int) and shape[0] == size for shape in shapes)


def _followed(
    child: nn.Module, inputs: Inputs, size: int, *, batch: Any, others: Any
) -> torch.export.ExportedProgram:
    """Export a network for inputs whose first dimension is free.

    Args:
        child: The network.
        inputs: Its inputs.
        size: First dimension of the inputs that are batches.
        batch: How to declare that dimension.
        others: How to declare other dimensions, such as to be inferred; None for fixed.
    """

    def free(x: torch.Tensor) -> dict[int, Any]:
        shape = {} if others is None else dict.fromkeys(range(1, x.ndim), others)
        return shape | {0: batch} if x.shape[0] == size else shape

    shapes = _mapped(inputs, free, other=None)
    # By argument: torch.export takes all that goes to `*inputs` as one tuple.
    by_argument = inspect.signature(child.forward).bind(*shapes, **shapes.named).arguments
    return torch.export.export(
        child.eval(), tuple(inputs), dict(inputs.named), dynamic_shapes=dict(by_argument), strict=False
    )


def _plain(inputs: Inputs) -> Inputs:
    """Return inputs with all mappings as dictionaries, the only ones that torch.export looks into."""
    return _mapped(inputs, lambda x: x)


def _mapped(inputs: Inputs, function: Any, **other: Any) -> Inputs:
    args = (_mapped_in(value, function, other) for value in inputs)
    return Inputs(args, {name: _mapped_in(value, function, other) for name, value in inputs.named.items()})


def _mapped_in(value: Any, function: Any, other: dict[str, Any]) -> Any:
    """Apply a function to nested tensors with a dimension; the rest stays, or becomes `other` if given."""
    if isinstance(value, torch.Tensor):
        return function(value) if value.ndim else other.get("other", value)
    if isinstance(value, Mapping):
        return {key: _mapped_in(part, function, other) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_mapped_in(part, function, other) for part in value)
    return other.get("other", value)


def _batch_size(inputs: Inputs) -> int:
    """Return the most frequent first dimension of the tensors; of equally frequent ones, the first."""
    sizes: list[int] = []
    _mapped(inputs, lambda x: sizes.append(len(x)))
    return Counter(sizes).most_common(1)[0][0] if sizes else 0


def _made_way(path: str | Path) -> Path:
    """Make the folder of a file before the work, so that a wrong path is told at once."""
    path = as_path("path", path)
    with writes(path):
        make_folder(path.parent)
    return path


def _save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    packed = BytesIO()  # torch's own writer ends the process if the disk is full
    torch.export.save(program, packed)
    path.write_bytes(packed.getbuffer())
