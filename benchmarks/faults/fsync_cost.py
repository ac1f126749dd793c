"""What forcing files to the disk costs: a file renamed into place, and the lines of a log.

A file is written and renamed in three ways: nothing is forced to the disk, the file is, or file and folder
are, as for all files of a run. Lines are appended to a log that is forced to the disk never, once a second,
as all logs are, or at each line. The ways take turns, so that other load of the disk affects all of them.

python -m benchmarks.faults.fsync_cost
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import write

SIZES = {"result.json": 10_000, "checkpoint.pt of 0.3 MB": 300_000, "checkpoint.pt of 20 MB": 20_000_000}
PAUSES = {"never": float("inf"), "once a second": 1.0, "each line": -1.0}
LINE = {"event": "evaluation", "architecture": {f"layer{n}": "conv3x3" for n in range(20)}, "loss": 0.123}


def renamed(folder: Path, content: bytes, *, file: bool, names: bool) -> None:
    path = folder / ".file"
    with path.open("wb") as handle:
        handle.write(content)
        handle.flush()
        if file:
            os.fsync(handle.fileno())
    path.replace(folder / "file")
    if names:
        number = os.open(folder, os.O_RDONLY)
        os.fsync(number)
        os.close(number)


def ways_of_files(folder: Path, content: bytes) -> dict[str, Callable[[], None]]:
    forced = {"nothing": (False, False), "file": (True, False), "file and folder": (True, True)}
    return {
        name: lambda file=file, names=names: renamed(folder, content, file=file, names=names)  # type: ignore[misc]
        for name, (file, names) in forced.items()
    }


def in_turns(ways: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Return the quartiles of the seconds that each way takes."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            took[name].append(time.perf_counter() - began)
    return {name: np.percentile(seconds, [25, 50, 75]).tolist() for name, seconds in took.items()}


class Log:
    """A log that is forced to the disk if `pause` seconds have passed since it last was."""

    def __init__(self, path: Path, pause: float) -> None:
        self.file, self.pause, self.forced = path.open("a+b"), pause, time.monotonic()

    def append(self) -> None:
        self.file.write(f"{json.dumps(LINE)}\n".encode())
        self.file.flush()
        if time.monotonic() - self.forced > self.pause:
            os.fsync(self.file.fileno())
            self.forced = time.monotonic()


def lines(folder: Path, repeats: int) -> list[dict[str, Any]]:
    """Return the cost of a line in logs that are forced to the disk never, once a second, or at each line."""
    logs = {name: Log(folder / f"{name}.jsonl", pause) for name, pause in PAUSES.items()}
    quartiles = in_turns({name: one.append for name, one in logs.items()}, repeats)
    for one in logs.values():
        one.file.close()
    return [{"part": "line", "forced": name, "seconds": seconds} for name, seconds in quartiles.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=100, help="of each file; of lines ten times as many")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk that is measured")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        for subject, size in SIZES.items():
            repeats = arguments.repeats if size < 1_000_000 else max(5, arguments.repeats // 5)
            for forced, seconds in in_turns(ways_of_files(folder, os.urandom(size)), repeats).items():
                rows.append({"part": "file", "subject": subject, "forced": forced, "seconds": seconds})
                print(rows[-1], flush=True)
        rows += lines(folder, 10 * arguments.repeats)
    print(rows[-3:])
    print(write("fsync_cost", {"repeats": arguments.repeats}, rows))


if __name__ == "__main__":
    main()
