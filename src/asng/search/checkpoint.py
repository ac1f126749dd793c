"""Checkpoints: whole, recognisable, and with the one before kept."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from asng.errors import RunError
from asng.files import write_atomically

__all__ = ["FORMAT", "load_checkpoint", "save_checkpoint"]

FORMAT = 1
"""Number of the format; a file with a greater one is of a newer asng."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`; what was there before stays as `<name>.previous<suffix>`.

    Args:
        path: For instance `run/checkpoint.pt`.
        state: Tensors, numbers, strings, and lists and dictionaries of them.

    Raises:
        RunError: The file cannot be written.
    """

    def write(temporary: Path) -> None:
        torch.save({"format": FORMAT, **state}, temporary)

    if path.exists():
        path.replace(_previous(path))
    write_atomically(path, write)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the newest whole checkpoint: that at `path`, or else the one before.

    Raises:
        RunError: There is none, none is whole, or one is of a newer format.
    """
    reasons = []
    for candidate in (path, _previous(path)):
        if candidate.exists():
            try:
                return _read(candidate)
            except RunError as error:
                reasons.append(str(error))
    if not reasons:
        raise RunError(f"{path}: expected a checkpoint to resume from, found none. Search without resume.")
    raise RunError(" ".join(reasons) + " No whole checkpoint is left: search anew with overwrite.")


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def _read(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            torn = archive.testzip()  # torch.load does not look at the checksums
        if torn is not None:
            raise RunError(f"{path}: the part {torn!r} of the checkpoint fails its checksum.")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except RunError:
        raise
    except Exception as error:  # whatever a foreign file makes of zipfile and torch.load
        kind = type(error).__name__
        raise RunError(f"{path}: expected a checkpoint, got a torn or foreign file ({kind}).") from error
    number = state.get("format") if isinstance(state, dict) else None
    if number != FORMAT:
        raise RunError(f"{path}: expected a checkpoint of format {FORMAT}, got {number!r}. Update asng?")
    return state  # type: ignore[no-any-return]
