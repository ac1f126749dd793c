"""Checkpoints: whole, recognisable, and with the one before kept."""

from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.search.tensor_files import check_format, read_tensors, write_tensors

__all__ = ["FORMAT", "load_checkpoint", "previous", "save_checkpoint"]

FORMAT = 3
"""Number of the format; a file with a greater one is of a newer asng."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`; what was there before stays as `<name>.previous<suffix>`.

    Args:
        path: For instance `run/checkpoint.pt`.
        state: Tensors, numbers, strings, and lists and dictionaries of them.

    Raises:
        RunError: The file cannot be written.
    """
    write_tensors(path, {"format": FORMAT, **state}, rotate_to=previous(path))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the newest whole checkpoint: that at `path`, or else the one before.

    Raises:
        RunError: There is none, none is whole, or the newest whole one is of another format.
    """
    reasons = []
    for candidate in (path, previous(path)):
        if candidate.exists():
            try:
                state = read_tensors(candidate, "a checkpoint")
            except RunError as error:
                reasons.append(str(error))
                continue
            # Not a reason to take the one before: that would throw away steps of a newer asng.
            check_format(candidate, "a checkpoint", state, FORMAT)
            return state
    if not reasons:
        raise RunError(f"{path}: expected a checkpoint to resume from, found none. Search without resume.")
    raise RunError(" ".join(reasons) + " No whole checkpoint is left: search anew with overwrite.")


def previous(path: Path) -> Path:
    """Return where the checkpoint before the one at `path` is."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")
