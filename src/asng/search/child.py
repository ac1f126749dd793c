"""The child on the disk: weights that any torch can read, and forms that run without asng."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim
from torch.utils.data import DataLoader

from asng.errors import InputError, RunError
from asng.files import write_atomically
from asng.nn import Supernet
from asng.search.batches import to_device
from asng.search.objective import Loss
from asng.space import Architecture

__all__ = ["example_inputs", "load_child_weights", "save_child", "save_onnx", "save_program"]

FORMAT = 1
"""Number of the format of child.pt."""


def example_inputs(
    supernet: Supernet, architecture: Architecture, loss: Loss, loader: DataLoader[Any]
) -> tuple[Any, ...]:
    """Return the positional inputs that `loss` gives the network for the loader's first batch."""
    seen: list[tuple[Any, ...]] = []

    def forward(*inputs: Any) -> Any:
        seen.append(inputs)
        return supernet(*inputs, architecture=architecture)

    device = next(supernet.parameters()).device
    mode, state = supernet.training, torch.get_rng_state()
    supernet.eval()
    with torch.no_grad():
        loss(forward, to_device(next(iter(loader)), device))
    supernet.train(mode)
    torch.set_rng_state(state)
    if not seen:
        raise InputError("loss: expected it to call forward once at least, got a loss that never does.")
    return seen[0]


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
    """
    content = {"format": FORMAT, "architecture": architecture.to_json(), "state_dict": child.state_dict()}
    return write_atomically(path, lambda temporary: torch.save(content, temporary))


def load_child_weights(path: Path) -> tuple[Architecture, dict[str, torch.Tensor]]:
    """Return the architecture and the weights that `save_child` wrote.

    Raises:
        RunError: The file is missing, torn, foreign, or of a newer format.
    """
    if not path.exists():
        raise RunError(f"{path}: expected the weights of a child, found no file. Let the search finish.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        number, weights = content["format"], content["state_dict"]
        architecture = Architecture.from_json(content["architecture"])
    except Exception as error:  # whatever a foreign file makes of torch.load
        kind = type(error).__name__
        raise RunError(f"{path}: expected a child of asng, got a torn or foreign file ({kind}).") from error
    if number != FORMAT:
        raise RunError(f"{path}: expected a child of format {FORMAT}, got {number!r}. Update asng?")
    return architecture, weights


def save_program(path: Path, child: nn.Module, example: tuple[Any, ...]) -> Path:
    """Write a child as a torch.export program: `torch.export.load(path).module()` runs without asng.

    Args:
        path: Ends in `.pt2`.
        child: A plain network.
        example: Positional inputs; their first dimension may differ when the program runs.

    Raises:
        RunError: torch.export cannot follow the network, or the file cannot be written.
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
    converted = torch.onnx.export(program, dynamo=True, verbose=False)
    if converted is None:
        raise RunError(f"{path}: torch.onnx gave no program for this network.")
    return write_atomically(path, lambda temporary: converted.save(temporary, external_data=False))


def _exported(child: nn.Module, example: tuple[Any, ...], path: Path) -> torch.export.ExportedProgram:
    shapes = tuple({0: Dim("batch")} if isinstance(x, torch.Tensor) and x.ndim else None for x in example)
    try:
        return torch.export.export(child.eval(), example, dynamic_shapes=shapes)
    except Exception as error:  # torch.export raises errors of many kinds
        raise RunError(f"{path}: torch.export cannot follow the network: {error}") from error


def _save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    with path.open("wb") as handle:
        torch.export.save(program, handle)
