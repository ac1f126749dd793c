"""Whole run folders damaged in 10,000 ways, read as commands read them: how each ends.

Run: python -m benchmarks.faults.malformed_folders [--folders 10000] [--only KIND] [--show]
Writes results/malformed_folders.json. Aim: no code run, no crash, nothing over 2 s or 1 GB, all errors clear.

Files are removed, exchanged, replaced by pipes, devices, links and folders, truncated, extended and changed
in their structure (tests/shared/malformed/folders.py). Each folder is read in a process of its own, which
writes and prints its report, and reads all that a resumed run reads first. Rows are kept beside the results
as they are made, so that an interrupted run continues where it stopped.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch

from benchmarks import record

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "shared"))
from malformed.folders import FOLDERS, ROOM, SECONDS, judge_folder, warm_up

_KINDS = ("read", "error", "unclear", "crash", "code", "time", "memory")
_BAD = _KINDS[2:]


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    kinds = [kind for kind in FOLDERS if arguments.only in kind]
    rows = arguments.rows or record.RESULTS / f"malformed_folders.{arguments.seed}.rows.jsonl"
    done = {} if arguments.only or not rows.exists() else _read(rows)
    warm_up()
    with rows.open("a") as file:
        for number in range(arguments.folders):
            if number in done:
                continue
            kind = kinds[number % len(kinds)]
            with tempfile.TemporaryDirectory() as home:
                outcome = judge_folder(kind, Path(home), random.Random(f"{arguments.seed} {kind} {number}"))
            row = {"number": number, "folder": kind, **outcome._asdict()}
            if outcome.kind in _BAD or arguments.show:
                print(f"--- {kind}, {number}: {outcome}", flush=True)
            else:
                row.pop("said")
            done[number] = row
            if not arguments.only:
                file.write(json.dumps(row) + "\n")
                file.flush()
    total = Counter(row["kind"] for row in done.values())
    print({kind: total[kind] for kind in _KINDS})
    if not arguments.only and not arguments.dry:
        _write(arguments.seed, list(done.values()), total)
        rows.unlink()


def _write(seed: int, rows: list[dict], total: Counter[str]) -> None:
    figures = {
        "folders": len(rows),
        "seed": seed,
        "limit_s": SECONDS,
        "limit_mb": ROOM / 2**20,
        **{kind: total[kind] for kind in _KINDS},
        "slowest_s": max(row["seconds"] for row in rows),
        "largest_mb": max(row["megabytes"] for row in rows),
    }
    runs = []
    for kind in FOLDERS:
        own = [row for row in rows if row["folder"] == kind]
        counts = Counter(row["kind"] for row in own)
        most = {"slowest_s": max((r["seconds"] for r in own), default=0)}
        runs.append({"folder": kind, **{name: counts[name] for name in _KINDS}, **most})
    record.write("malformed_folders", figures, runs)


def _read(rows: Path) -> dict[int, dict]:
    lines = [line for line in rows.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return {row["number"]: row for row in map(json.loads, lines)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folders", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="folders whose kind has this in it; nothing is written")
    parser.add_argument("--show", action="store_true", help="every folder, not the bad ones alone")
    parser.add_argument("--dry", action="store_true", help="write no results, and keep the rows")
    parser.add_argument("--rows", type=Path, help="where rows are kept")
    return parser.parse_args()


if __name__ == "__main__":
    main()
