"""10,000 malformed files, divided evenly among all readers: how each ends.

Run: python -m benchmarks.faults.malformed_files [--files 10000] [--only READER] [--show] [--keep FOLDER]
Writes results/malformed_files.json. Aim: no crash, no hang of more than 2 s, no error that is unclear.

A file counts as an error if one of asng.errors is raised, in one line that names the file or its folder. It
counts as accepted if it is read after all, which is right if the change does not matter or is still valid.
The readers of run folders also make the table of the report, and the reader of optimisers takes one more
step.
"""

import argparse
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from benchmarks import record

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "shared"))
from malformed.judge import LIMIT, Verdict, judge
from malformed.readers import READERS

_KINDS = ("error", "accepted", "unclear", "crash", "hang")
_ROOM = 3 * 2**30
"""Bytes of address space that reading may take beyond the libraries: a bomb must not fill the memory."""


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (_taken() + _ROOM,) * 2)
    names = [name for name in READERS if arguments.only in name]
    counts = {name: Counter[str]() for name in names}
    slowest = dict.fromkeys(names, 0.0)
    clock = time.perf_counter()
    for number in range(arguments.files):
        name = names[number % len(names)]
        with tempfile.TemporaryDirectory() as home:
            # Each file has a generator of its own, so that any single one can be made again.
            verdict = judge(READERS[name], Path(home), random.Random(f"{arguments.seed} {name} {number}"))
            if verdict.kind in ("unclear", "crash", "hang"):
                _tell(name, number, verdict, Path(home), arguments.keep)
        counts[name][verdict.kind] += 1
        slowest[name] = max(slowest[name], verdict.seconds)
    total = sum(counts.values(), Counter())
    rows = [
        {"reader": n, **{k: counts[n][k] for k in _KINDS}, "slowest_s": round(slowest[n], 3)} for n in names
    ]
    for row in rows:
        print("  ".join(f"{value!s:>{34 if key == 'reader' else 9}}" for key, value in row.items()))
    print(dict(total))
    if arguments.only == "":
        figures = {
            "files": arguments.files,
            "seed": arguments.seed,
            "limit_s": LIMIT,
            **{kind: total[kind] for kind in _KINDS},
            "slowest_s": max(slowest.values()),
            "seconds": round(time.perf_counter() - clock, 1),
        }
        record.write("malformed_files", figures, rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers whose name has this in it; nothing is written")
    parser.add_argument("--keep", type=Path, help="folder for the files of crashes, hangs and unclear errors")
    return parser.parse_args()


def _taken() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _tell(name: str, number: int, verdict: Verdict, folder: Path, keep: Path | None) -> None:
    said = verdict.said if len(verdict.said) < 1_500 else f"{verdict.said[:600]} ... {verdict.said[-800:]}"
    print(f"--- {name}, file {number}: {verdict.kind} after {verdict.seconds:.2f} s\n{said}", flush=True)
    if keep is not None:
        shutil.copytree(folder, keep / f"{name}-{number}".replace(" ", "-"), dirs_exist_ok=True)


if __name__ == "__main__":
    main()
