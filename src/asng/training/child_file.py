"""Save and load the weights of a child, in a file that any torch can read."""

from pathlib import Path

import torch
from torch import nn

from asng.errors import RunError, SpaceError, in_one_line
from asng.runs.tensors import check_format, read_tensors, write_tensors
from asng.space import Architecture

__all__ = ["load_child_weights", "load_into", "save_child"]

FORMAT = 1
"""Number of the format of child.pt."""


def save_child(path: Path, child: nn.Module, architecture: Architecture) -> Path:
    """Write the weights and the architecture of a child.

    The file holds a dictionary of "format", "architecture" (JSON) and "state_dict", and opens anywhere with
    `torch.load(path, weights_only=True)`.

    Args:
        path: For instance `run/child.pt`; its folder must exist.
        child: A plain network.
        architecture: Its architecture.

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
        RunError: The file is missing, torn, foreign, or of another format.
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
    """Load the weights that were read from `path` into a child.

    Raises:
        RunError: They do not fit the child; the message says how.
    """
    try:
        child.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"{path}: does not fit the network that is described: {in_one_line(error)}."
        ) from error
