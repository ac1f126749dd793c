"""Save and load the weights of a child, in a file that any torch can read."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from asng.checks import as_path
from asng.errors import RunError, SpaceError, in_one_line
from asng.nn import Supernet
from asng.runs.tensors import check_format, read_tensors, write_tensors
from asng.space import Architecture
from asng.training.batch_norm import give_averages

__all__ = ["child_from", "load_child", "load_child_weights", "load_into", "save_child"]

FORMAT = 1
"""Number of the format of child.pt."""


def save_child(path: str | Path, child: nn.Module, architecture: Architecture) -> Path:
    """Write the weights and the architecture of a child.

    The file holds a dictionary of "format", "architecture" (JSON) and "state_dict", and opens anywhere with
    `torch.load(path, weights_only=True)`.

    Args:
        path: For instance `run/child.pt`; its folder must exist.
        child: A plain network.
        architecture: Its architecture.

    Raises:
        InputError: The extra state of a module could not be read back.
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
    return write_tensors(as_path("path", path), content)


def load_child(path: str | Path, supernet: Supernet, example: Any = None) -> nn.Module:
    """Return the child that `SearchResult.save` or `save_child` wrote, in eval mode.

    Args:
        path: The file, for instance `run/child.pt`.
        supernet: Supernet of the model that was searched, with any weights.
        example: Inputs, if a layer needs them: see `asng.nn.Supernet.extract`.

    Raises:
        InputError: The path is none, or the system cannot look for it.
        RunError: The file is missing, torn, foreign, of another format, or of another network.
        SpaceError: The architecture is not in the supernet's space.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from asng.nn import Choice
        >>> def net():
        ...     return Choice({"tanh": nn.Tanh(), "linear": nn.Linear(3, 1)}, label="op")
        >>> architecture = Architecture({"op": "linear"})
        >>> child = Supernet(net()).extract(architecture)
        >>> with TemporaryDirectory() as folder:
        ...     path = save_child(Path(folder) / "child.pt", child, architecture)
        ...     again = load_child(path, Supernet(net()))
        >>> torch.equal(again(torch.ones(2, 3)), child(torch.ones(2, 3)))
        True
    """
    architecture, weights = load_child_weights(path)
    return child_from(supernet, architecture, weights, as_path("path", path), example)


def child_from(
    supernet: Supernet,
    architecture: Architecture,
    weights: dict[str, torch.Tensor],
    path: Path,
    example: Any,
) -> nn.Module:
    """Return a child with the weights that were read from `path`, in eval mode.

    Raises:
        RunError: They do not fit the child.
        SpaceError: The architecture is not in the supernet's space.
    """
    child = supernet.extract(architecture, example=example)
    if weights.keys() - child.state_dict().keys():  # a searchable batch norm gets averages in training
        give_averages(child)
    load_into(child, weights, path)
    return child.eval()


def load_child_weights(path: str | Path) -> tuple[Architecture, dict[str, torch.Tensor]]:
    """Return the architecture and the weights that `save_child` wrote.

    `load_child` returns the network itself.

    Raises:
        InputError: The path is none, or the system cannot look for it.
        RunError: The file is missing, torn, foreign, or of another format.
    """
    path = as_path("path", path, to_read=True)
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
        isinstance(name, str) and (isinstance(value, torch.Tensor) or name.endswith("_extra_state"))
        for name, value in weights.items()
    ):
        raise RunError(f"{path}: expected weights by name, got {in_one_line(repr(weights), 80)}.")
    return architecture, weights


def load_into(child: nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Load the weights that were read from `path` into a child.

    A buffer that the child has under a name only, because a first pass makes its value, gets the stored one.

    Raises:
        RunError: They do not fit the child; the message says how.
    """
    device = next((p.device for p in child.parameters()), torch.device("cpu"))
    for owner, module in child.named_modules():
        for name, buffer in module._buffers.items():
            stored = weights.get(f"{owner}.{name}" if owner else name)
            if buffer is None and stored is not None:
                module._buffers[name] = torch.empty_like(stored, device=device)
    try:
        child.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"{path}: does not fit the network that is described: {in_one_line(error)}."
        ) from error
