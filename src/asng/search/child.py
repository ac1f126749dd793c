"""The child on the disk: weights that any torch can read, and forms that run without asng."""

import copy
import inspect
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim
from torch.utils.data import DataLoader

from asng.errors import InputError, RunError, SpaceError, in_one_line
from asng.files import write_atomically
from asng.nn import Supernet
from asng.search.batches import to_device
from asng.search.modes import cuda_devices, evaluating
from asng.search.objective import Loss
from asng.search.tensor_files import check_format, read_tensors, write_tensors
from asng.space import Architecture

__all__ = [
    "example_inputs",
    "inputs_of",
    "load_child_weights",
    "load_into",
    "save_child",
    "save_onnx",
    "save_program",
]

FORMAT = 1
"""Number of the format of child.pt."""


def example_inputs(
    supernet: Supernet, architecture: Architecture, loss: Loss, loader: DataLoader[Any]
) -> tuple[Any, ...]:
    """Return the inputs that `loss` gives the network for the loader's first batch, by position.

    Raises:
        InputError: The loss never runs the network, or gives it an input that goes by name only.
    """
    with torch.random.fork_rng(devices=cuda_devices()):
        return inputs_of(supernet, architecture, loss, next(iter(loader)))


def inputs_of(supernet: Supernet, architecture: Architecture, loss: Loss, batch: Any) -> tuple[Any, ...]:
    """Return the inputs that `loss` gives the network for a batch, by position.

    Raises:
        InputError: The loss never runs the network, or gives it an input that goes by name only.
    """
    seen: list[tuple[Any, ...]] = []

    def forward(*inputs: Any, **named: Any) -> Any:
        seen.append(_positional(supernet, inputs, named))
        return supernet(*inputs, architecture=architecture, **named)

    device = next(supernet.parameters()).device
    with evaluating(supernet), torch.random.fork_rng(devices=cuda_devices()):
        loss(forward, to_device(batch, device))
    if not seen:
        raise InputError("loss: expected it to call forward once at least, got a loss that never does.")
    return seen[0]


def _positional(supernet: Supernet, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    if not named:
        return inputs
    bound = inspect.signature(supernet.model.forward).bind(*inputs, **named)
    if bound.kwargs:
        raise InputError(
            f"loss: expected inputs of forward that can go by position, got {sorted(bound.kwargs)} by name "
            "only. Let the model take them without the * before them, or call supernet.extract yourself."
        )
    bound.apply_defaults()  # of inputs before a named one
    return bound.args


def save_child(path: Path, child: nn.Module, architecture: Architecture) -> Path:
    """Write the weights and the architecture of a child.

    The file holds a dictionary of "format", "architecture" (JSON) and "state_dict", and opens anywhere with
    `torch.load(path, weights_only=True)`.

    Args:
        path: For instance `run/child.pt`.
        child: A plain network.
        architecture: What it is.

    Raises:
        RunError: The file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> child, architecture = nn.Linear(3, 1), Architecture({"op": "linear"})
        >>> with TemporaryDirectory() as folder:
        ...     path = save_child(Path(folder) / "child.pt", child, architecture)
        ...     found, weights = load_child_weights(path)
        >>> found, sorted(weights)
        (Architecture({'op': 'linear'}), ['bias', 'weight'])
    """
    content = {"format": FORMAT, "architecture": architecture.to_json(), "state_dict": child.state_dict()}
    return write_tensors(path, content)


def load_child_weights(path: Path) -> tuple[Architecture, dict[str, torch.Tensor]]:
    """Return the architecture and the weights that `save_child` wrote.

    Raises:
        RunError: The file is missing, torn, foreign, or of a newer format.
    """
    if not path.exists():
        raise RunError(f"{path}: expected the weights of a child, found no file. Let the search finish.")
    content = read_tensors(path, "a child")
    check_format(path, "a child", content, FORMAT)
    try:
        architecture, weights = Architecture.from_json(content["architecture"]), content["state_dict"]
    except (KeyError, TypeError, SpaceError) as error:
        raise RunError(
            f"{path}: expected a child of asng, got a foreign file: {in_one_line(repr(error))}."
        ) from error
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in weights.items()
    ):
        raise RunError(f"{path}: expected weights by name, got {in_one_line(repr(weights), 80)}.")
    return architecture, weights


def load_into(child: nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Give a child the weights that were read from `path`.

    Raises:
        RunError: They are those of another network; the message names the first misfit.
    """
    try:
        child.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"{path}: does not fit the network that is described: {in_one_line(error)}."
        ) from error


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
