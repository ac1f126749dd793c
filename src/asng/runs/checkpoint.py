"""Write and read checkpoints, keep the one before, and say when the next is due."""

import time
import warnings
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.runs.tensors import check_format, read_tensors, write_tensors

__all__ = ["FORMAT", "PASSED_OVER", "load_checkpoint", "previous", "save_checkpoint", "CheckpointPace"]

FORMAT = 5
"""Number of the format; a file with a greater one is from a newer asng."""
PASSED_OVER = "passed_over"
"""Key under which a loaded state says why a newer checkpoint was not used; empty if it is the newest."""
LEAST_RATIO = 50
"""The interval is at least so many times what the last checkpoint took, so that checkpoints take at most 2 %
of the time."""


def save_checkpoint(path: Path, state: dict[str, Any], *, keep: bool = True) -> None:
    """Write `state` to `path`; what was there before stays as `<name>.previous<suffix>`.

    Args:
        path: For instance `run/checkpoint.pt`.
        state: Tensors, numbers, strings, and lists and dictionaries of them.
        keep: Whether to keep what was there before. Give False if it was passed over: it would take the place
            of the checkpoint that was read instead.

    Raises:
        InputError: The state holds something that could not be read back.
        RunError: The file cannot be written.
    """
    write_tensors(path, {"format": FORMAT, **state}, rotate_to=previous(path) if keep else None)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the newest checkpoint that can be used: that at `path`, or else the one before.

    If the one at `path` is passed over, because it is torn, foreign, or of another format, a warning names
    it, and the state has the reason under `PASSED_OVER`.

    Raises:
        RunError: There is none, or none that can be used.
    """
    reasons: list[str] = []
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            state = read_tensors(candidate, "a checkpoint")
            check_format(candidate, "a checkpoint", state, FORMAT)
        except RunError as error:
            reasons.append(str(error))
            continue
        if reasons:
            warnings.warn(
                f"{reasons[0]} Continuing from {candidate.name}, the previous checkpoint.", stacklevel=2
            )
        return {**state, PASSED_OVER: " ".join(reasons)}
    if not reasons:
        raise RunError(f"{path}: expected a checkpoint to resume from, found none. Search without resume.")
    raise RunError(
        " ".join(reasons) + " No usable checkpoint is left: pass overwrite=True (--overwrite) to start again."
    )


def previous(path: Path) -> Path:
    """Return the path of the checkpoint before the one at `path`."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


class CheckpointPace:
    """Says when a checkpoint is due, by the seconds and the pieces of work since the last one.

    Args:
        seconds: A checkpoint is due after so many seconds, but not before 50 times what the last one took.
            With 0, one is due after every piece of work, whatever it takes.
        steps: One is also due after so many pieces of work, whatever it takes; or None.

    Example:
        >>> pace = CheckpointPace(60.0, 2)
        >>> [pace.due() for _ in range(4)]
        [False, True, True, True]
        >>> pace.saved(took=0.1)
        >>> pace.due(), pace.interval
        (False, 60.0)
        >>> pace.saved(took=3.0)
        >>> pace.interval
        150.0
    """

    def __init__(self, seconds: float, steps: int | None) -> None:
        self.seconds, self.steps = seconds, steps
        self.interval = seconds
        self._pieces = 0
        self._since = time.perf_counter()  # not moved by a change of the clock

    def due(self) -> bool:
        """Count a piece of work, and say whether a checkpoint is due."""
        self._pieces += 1
        if self.steps is not None and self._pieces >= self.steps:
            return True
        return time.perf_counter() - self._since > self.interval

    def saved(self, *, took: float) -> None:
        """Start counting anew after a checkpoint that took so many seconds."""
        self._pieces, self._since = 0, time.perf_counter()
        self.interval = max(self.seconds, LEAST_RATIO * took) if self.seconds > 0.0 else 0.0
