"""What forcing files to the disk costs: a file renamed into place, and the lines of a log.

A file is written and renamed without anything forced to the disk, with the file forced, and with file and
folder forced, as `write_atomically` does. Lines are appended to a log with none forced, as `JsonLines` does
(at most one a second), and with each forced. The ways take turns, so that what else the disk does is shared.

python -m benchmarks.faults.fsync_cost
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from asng.runs import log
from asng.runs.files import sync_folder
from benchmarks.record import write

SIZES = {"result.json": 10_000, "checkpoint.pt of 0.3 MB": 300_000, "checkpoint.pt of 20 MB": 20_000_000}
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
        sync_folder(folder)


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


def lines(folder: Path, repeats: int) -> list[dict[str, Any]]:
    """Return what a line costs in logs that are forced to the disk never, once a second, and at each line."""
    default = log._SYNC
    pauses = {"never": float("inf"), "once a second": default, "each line": -1.0}
    files = {name: log.JsonLines(folder / f"{name}.jsonl") for name in pauses}

    def append(name: str) -> None:
        log._SYNC = pauses[name]
        files[name].append(LINE)

    began = time.perf_counter()
    quartiles = in_turns({name: lambda name=name: append(name) for name in pauses}, repeats)  # type: ignore[misc]
    log._SYNC = default
    print(f"lines: {time.perf_counter() - began:.1f} s")
    for file in files.values():
        file.close()
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
