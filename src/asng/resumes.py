"""When a run was taken up again: a file beside the log, `resumes.jsonl`, one JSON object a line.

Not in the log itself, which is so the same, apart from clocks, as that of a run that was never stopped.
"""

import time
from pathlib import Path
from typing import Any

from asng.lines import JsonLines, parse_lines

__all__ = ["RESUMES", "note_resume", "resumes_of"]

RESUMES = "resumes.jsonl"
"""Name of the file in a run folder."""


def note_resume(folder: Path, **fields: Any) -> None:
    """Append one line: the time of day, and what is given.

    Raises:
        RunError: The file cannot be written, or a line of it is no JSON object.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> note_resume(folder, step=120)
        >>> [sorted(note) for note in resumes_of(folder)]
        [['step', 'time']]
    """
    file = JsonLines(folder / RESUMES)  # which cuts off what a killed process has half written
    try:
        file.append({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **fields})
    finally:
        file.close()


def resumes_of(folder: Path) -> list[dict[str, Any]]:
    """Return the notes of a run folder, the earliest first; none where there is no such file.

    Raises:
        RunError: A line is no JSON object.
    """
    path = folder / RESUMES
    return parse_lines(path.read_bytes(), path) if path.exists() else []
