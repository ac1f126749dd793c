"""A child in the safetensors format: weights that can be read without running any code."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asng.checks import as_path, require
from asng.errors import InputError, RunError, SpaceError, in_one_line
from asng.runs.files import make_folder, write_atomically, writes
from asng.runs.guarded import open_plain
from asng.space import Architecture

__all__ = ["load_safetensors", "save_safetensors"]

_FORMAT = "1"
"""Version of the metadata."""
_OURS = ("format", "asng_format", "architecture")


def save_safetensors(path: str | Path, child: nn.Module, architecture: Architecture) -> Path:
    """Write the weights and the architecture of a child as `.safetensors`.

    A weight with several names, such as a tied one, is stored once. The metadata say which name stands for
    which, as `safetensors.torch.save_model` writes them, so that its `load_model` reads the file too.

    Args:
        path: For instance `run/child.safetensors`. Its folder is created if it is missing.
        child: A plain network.
        architecture: Its architecture.

    Returns:
        The path.

    Raises:
        RunError: The extra `safetensors` is not installed, or the file cannot be written.
        InputError: The child's state contains something that is not a tensor, or has a type that the format
            lacks.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> child, architecture = nn.Linear(3, 1), Architecture({"op": "linear"})
        >>> with TemporaryDirectory() as folder:
        ...     path = save_safetensors(Path(folder) / "child.safetensors", child, architecture)
        ...     found, weights = load_safetensors(path)
        >>> found, sorted(weights)
        (Architecture({'op': 'linear'}), ['bias', 'weight'])
    """
    tensors, other_names = _stored_once(child.state_dict())
    metadata = {"format": "pt", "asng_format": _FORMAT, "architecture": json.dumps(dict(architecture))}
    library = require("safetensors.torch", extra="safetensors")
    try:
        content = library.save(tensors, metadata | other_names)
    except KeyError as error:  # the library looks the type up
        raise InputError(
            f"child: expected tensors of types that safetensors has, got {error}. Save it with "
            "asng.training.save_child."
        ) from error
    path = as_path("path", path)
    with writes(path):
        make_folder(path.parent)
    return write_atomically(path, lambda temporary: temporary.write_bytes(content))


def load_safetensors(path: str | Path) -> tuple[Architecture, dict[str, torch.Tensor]]:
    """Return the architecture and the weights that `save_safetensors` wrote, on the CPU.

    Args:
        path: The file.

    Raises:
        InputError: The path is none, or the system cannot look for it.
        RunError: The extra `safetensors` is not installed, or the file is missing, damaged, not from asng, or
            of a newer format.
    """
    library, path = require("safetensors", extra="safetensors"), as_path("path", path, to_read=True)
    try:
        open_plain(path).close()
        with library.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except FileNotFoundError:
        raise RunError(f"{path}: expected the weights of a child, found no file. Check the path.") from None
    except (library.SafetensorError, OSError) as error:
        raise RunError(
            f"{path}: expected a file of safetensors, got a truncated or foreign file: {in_one_line(error)}."
        ) from error
    if metadata.get("asng_format") != _FORMAT:
        got = in_one_line(repr(metadata.get("asng_format")), 80)
        raise RunError(f"{path}: expected a child of asng of format {_FORMAT}, got {got}. Update asng?")
    try:
        architecture = Architecture.from_json(metadata["architecture"])
    except (KeyError, SpaceError) as error:
        raise RunError(f"{path}: expected an architecture, got {in_one_line(repr(error))}.") from error
    same = {name: kept for name, kept in metadata.items() if name not in _OURS and kept in weights}
    return architecture, weights | {name: weights[kept] for name, kept in same.items()}


def _stored_once(state: dict[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors to store, and for each further name of a tensor the name that it is stored under."""
    tensors: dict[str, torch.Tensor] = {}
    names: dict[Any, str] = {}
    others: dict[str, str] = {}
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(
                f"{name}: expected only tensors in the child's state, got {type(value).__name__}. Save it "
                "with asng.training.save_child."
            )
        same = (value.data_ptr(), value.shape, value.stride(), value.dtype, value.device)
        first = names.setdefault(same, name) if value.numel() else name
        if first != name and name not in _OURS:
            others[name] = first
        else:  # a view of another tensor is copied: a file has no overlaps
            tensors[name] = value.detach().to("cpu", copy=True).contiguous()
    return tensors, others
