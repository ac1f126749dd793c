"""A run folder: the names of its files, whether a run may use it, and when its run was resumed."""

import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.runs.config import read_yaml, write_yaml
from asng.runs.files import is_half, writes_into
from asng.runs.log import JsonLines, read_lines, refuse_running

__all__ = [
    "ARCHITECTURE",
    "BENCHMARK",
    "CHECKPOINT",
    "CHILD",
    "COMPRESSION",
    "COMPRESSION_FILES",
    "COMPRESSION_LOG",
    "CONFIG",
    "FILES",
    "GRAPHS",
    "INNER_FILES",
    "LOG",
    "NAMES",
    "PICTURES",
    "REPORT",
    "RESULT",
    "RESUMES",
    "SHARED_WEIGHTS",
    "SUMMARY",
    "TOY",
    "note_resume",
    "read_config",
    "refuse_earlier_run",
    "refuse_link",
    "refuse_no_run",
    "remove_halves",
    "remove_run",
    "resumes_of",
    "seed_folder",
    "write_config",
]

CONFIG = "config.yaml"
LOG = "log.jsonl"
CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
RESUMES = "resumes.jsonl"
"""When a run was resumed. This is kept beside the log, which is thus, apart from clocks, the same as that of
a run that was never stopped."""
ARCHITECTURE = "architecture.json"
GRAPHS = "graphs.json"
PICTURES = "pictures.json"
CHILD = "child.pt"
RESULT = "result.json"
SUMMARY = "summary.json"
TOY = "toy.json"
BENCHMARK = "benchmark.jsonl"
COMPRESSION_LOG = "compression.jsonl"
COMPRESSION = "compression.json"
SHARED_WEIGHTS = "shared.pt"
REPORT = "report.html"

FILES = {
    REPORT: "the report: open it in a browser",
    ARCHITECTURE: "the found architecture",
    CHILD: "its weights, for torch.load(..., weights_only=True)",
    RESULT: "all scores",
    TOY: "all cells of the grid, seed by seed",
    BENCHMARK: "all runs, one per line",
    COMPRESSION: "the model and its children: scores, costs, widths",
    SUMMARY: "all scores, seed by seed",
    LOG: "the log of the search",
    CONFIG: "the settings",
}
"""Files that a user opens, and what is in them."""

INNER_FILES = {
    GRAPHS: "the cells of the found network, to draw",
    PICTURES: "outputs of the found network on test data",
    CHECKPOINT: "what a resumed search continues from",
    PREVIOUS: "the previous checkpoint",
    RESUMES: "when the run was resumed",
    COMPRESSION_LOG: "what a resumed compression continues from",
    SHARED_WEIGHTS: "weights that narrow networks share, for the same purpose",
}
"""Files that commands read, and what is in them."""

NAMES = (*FILES, *INNER_FILES)
"""Every file that a run may write."""

WRITTEN = (*(name for name in NAMES if name != REPORT), "child.onnx", "pretrained")
"""Files that only the process that holds the folder writes, whatever kind of run it is."""

SEARCH_FILES = (LOG, RESUMES, CHECKPOINT, PREVIOUS, ARCHITECTURE)
"""Files of a one-shot search itself; the files of a task lie beside them."""
EXPERIMENT_FILES = (TOY, BENCHMARK, COMPRESSION_LOG)
"""Files that no search has: each marks its own kind of run."""
COMPRESSION_FILES = (COMPRESSION_LOG, COMPRESSION, SHARED_WEIGHTS, REPORT)
"""Files of `asng.compress`; each child has its own folder."""
BLACK_BOX_FILES = (LOG, RESUMES, ARCHITECTURE, REPORT)
"""Files of `asng.minimize`."""


def seed_folder(folder: Path, seed: int) -> Path:
    """Return the folder of one of several seeds of a run."""
    return folder / f"seed-{seed}"


def refuse_earlier_run(folder: Path, names: Collection[str] = NAMES) -> None:
    """Raise if the folder, or that of one of its seeds, holds a run, finished or not.

    Args:
        folder: The run folder.
        names: The files that count. Default: those of every kind of run.

    Raises:
        RunError: There is a run, or the folder cannot be looked into.
    """
    with writes_into(folder):  # its name may be too long for the file system
        earlier = next(
            (place / name for place in _places(folder) for name in names if (place / name).exists()), None
        )
    if earlier is not None:
        raise RunError(
            f"{folder}: already contains a run ({earlier.relative_to(folder)}). Pass resume=True (--resume) "
            "to continue it, overwrite=True (--overwrite) to replace it, or choose another run_dir."
        )


def refuse_no_run(folder: Path) -> None:
    """Raise unless the folder holds a file of a run.

    Raises:
        RunError: There is no such folder, or no file of a run is in it.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: expected a run folder, got no such folder. Check the path.")
    if not any((folder / name).exists() for name in NAMES):
        names = ", ".join(NAMES)
        raise RunError(f"{folder}: expected a run folder, with at least one of {names}; got none of them.")


def refuse_link(folder: Path) -> None:
    """Raise if a folder within a run folder is a link: it may lead anywhere, and is not written through.

    Raises:
        RunError: It is a link.
    """
    if folder.is_symlink():
        raise RunError(
            f"{folder}: expected a folder, got a link, which is never followed for writing. Put a folder "
            "there."
        )


def remove_run(folder: Path, names: Collection[str] = NAMES, *, alone: bool = False) -> None:
    """Remove the files of a run, by name, and those that a killed run left half-written; nothing else.

    Otherwise a new run that ends early would lie beside the architecture of the old one.

    Args:
        folder: The run folder.
        names: The files of the run, in the folder and in those of its seeds.
        alone: Whether to refuse a folder that has files of another kind of run too.

    Raises:
        RunError: A run is going on in the folder, it has files of another kind, or settings that are none of
            asng's; it cannot be changed, or the folder of a seed is a link.
    """
    with writes_into(folder):
        others = [name for name in NAMES if alone and name not in names and (folder / name).exists()]
        if others:
            raise RunError(f"{folder}: contains a run of another kind ({others[0]}). Choose another run_dir.")
        for place in _places(folder):
            if place != folder:  # the run folder itself is the user's to choose
                refuse_link(place)
            refuse_running(place / LOG)
            if CONFIG in names and (place / CONFIG).exists():
                _refuse_foreign(place)
        for place in _places(folder):
            for name in names:
                (place / name).unlink(missing_ok=True)
            remove_halves(place, names)


def _refuse_foreign(folder: Path) -> None:
    try:
        read_config(folder)
    except RunError as error:  # many programs have a file of this name
        raise RunError(
            f"{error} It is none of asng's: remove it yourself, or choose another run_dir (--run-dir)."
        ) from error


def remove_halves(folder: Path, names: Collection[str] = WRITTEN, *, inner: bool = False) -> None:
    """Remove the files that a killed run left half-written: a checkpoint may be large.

    Only the process that holds the folder, or the log in it, may call this.

    Args:
        folder: The run folder.
        names: Names of the files that the run writes. Default: all but the report, which any process may be
            writing.
        inner: Whether to look into the folders in it too.
    """
    with writes_into(folder):
        places = [folder]
        if inner:
            places += [one for one in folder.iterdir() if one.is_dir() and not one.is_symlink()]
        for place in places:
            for half in place.glob(".*"):
                if not is_half(half, names):
                    continue
                if half.is_dir() and not half.is_symlink():
                    shutil.rmtree(half)
                else:
                    half.unlink(missing_ok=True)


def _places(folder: Path) -> tuple[Path, ...]:
    """Return a run folder, and those in it that `seed_folder` names."""
    seeds = (one for one in folder.glob("seed-*") if one.name[5:].isdecimal() and one.is_dir())
    return (folder, *seeds)


def note_resume(folder: Path, **fields: Any) -> None:
    """Note in a run folder that the run is resumed, with the time of day and the given fields.

    Raises:
        RunError: The file cannot be written, or a line of it is not a JSON object.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> note_resume(folder, step=120)
        >>> [sorted(note) for note in resumes_of(folder)]
        [['step', 'time']]
    """
    file = JsonLines(folder / RESUMES)  # this cuts off a line that a killed process left unfinished
    try:
        file.append({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **fields})
    finally:
        file.close()


def resumes_of(folder: Path) -> list[dict[str, Any]]:
    """Return the notes of `note_resume`, the earliest first.

    Raises:
        RunError: A line is not a JSON object.
    """
    path = folder / RESUMES
    return read_lines(path) if path.exists() else []


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write the settings as `config.yaml`."""
    write_yaml(folder / CONFIG, config)


def read_config(folder: Path) -> dict[str, Any]:
    """Return the settings of a run.

    Raises:
        RunError: The folder holds no run, or its config.yaml is damaged.
    """
    path = folder / CONFIG
    try:
        config = read_yaml(path)
    except FileNotFoundError:
        raise RunError(
            f"{folder}: expected a run folder with a {CONFIG}, found none. Check the path."
        ) from None
    if not isinstance(config, dict) or not isinstance(config.get("task"), str):
        raise RunError(f"{path}: expected the settings of a run with a 'task', got {str(config)[:80]!r}.")
    return config
