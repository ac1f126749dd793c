"""What a search keeps in its run folder, and when the folder may be used anew."""

from pathlib import Path

from asng.errors import RunError
from asng.files import writes_into
from asng.lines import refuse_running
from asng.resumes import RESUMES
from asng.search.checkpoint import previous

__all__ = [
    "architecture_path",
    "checkpoint_path",
    "clear",
    "log_path",
    "refuse_earlier_run",
    "remove_halves",
]


def checkpoint_path(folder: Path) -> Path:
    """Where the newest checkpoint is."""
    return folder / "checkpoint.pt"


def log_path(folder: Path) -> Path:
    """Where the log is."""
    return folder / "log.jsonl"


def architecture_path(folder: Path) -> Path:
    """Where the found architecture is, once there is one."""
    return folder / "architecture.json"


def refuse_earlier_run(folder: Path) -> None:
    """Raise where the folder holds a run, finished or not.

    Raises:
        RunError: It does.
    """
    if any(path.exists() for path in _files(folder)):
        raise RunError(
            f"{folder}: holds an earlier run. Go on with it by resume, replace it by overwrite, or "
            "choose another run_dir."
        )


def clear(folder: Path) -> None:
    """Remove what an earlier search left, and what it was writing when it was killed.

    Otherwise a run that ends early would lie beside the architecture of another.

    Raises:
        RunError: The folder is none, may not be written to, or holds a search that goes on.
    """
    refuse_running(log_path(folder))
    with writes_into(folder):
        for path in _files(folder):
            path.unlink(missing_ok=True)
        remove_halves(folder)


def remove_halves(folder: Path) -> None:
    """Remove what a search was writing when it was killed: a checkpoint may be large.

    To be called by the process that holds the log.
    """
    for path in _files(folder):
        for half in folder.glob(f".{path.name}.*"):
            half.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    checkpoint = checkpoint_path(folder)
    others = (log_path(folder), architecture_path(folder), folder / RESUMES)
    return [checkpoint, previous(checkpoint), *others]
