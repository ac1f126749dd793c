"""Processes of one search that differ, raise, exit, are killed, stopped, slow or hang, at random places.

Each run is a search with a final in two or three processes, one of which fails at one of its training passes.
The run is right if all remaining processes end within 30 s of that, by one error that names the process and
the cause. If the process is only slow for a moment, the search must end as it does without the fault.

python -m benchmarks.faults.rank_faults --faults 200
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import write

sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / part) for part in ("shared", "distributed")]
from processes import together  # noqa: E402
from small_search import DIFFERENCES, at_pass, differing  # noqa: E402

WITHIN = 30.0
ACTS = ("raises", "exits", "leaves", "killed", "stopped", "slow", "hangs")
NAMED = {
    "raises": "got an error in process {rank}: ValueError: this loss is wrong",
    "leaves": "got an error in process {rank}: SystemExit: 3",
    "exits": "but process {rank} has ended without a word",
    "killed": "but process {rank} has ended without a word",
    "stopped": "but process {rank} is stopped (SIGSTOP",
    "hangs": "process {rank}",
}


def fault(act: str, rank: int, at: int, step_seconds: float | None, note: str) -> str:
    """Search in this process, make one process fail at one of its passes, and note when."""

    def noted() -> None:
        Path(note).write_text(str(time.monotonic()))
        _acting(act)()

    return at_pass(noted, rank, at, step_seconds)


def _acting(act: str) -> Any:
    def raises() -> None:
        raise ValueError("this loss is wrong")

    def leaves() -> None:
        raise SystemExit(3)

    return {
        "raises": raises,
        "leaves": leaves,
        "exits": lambda: os._exit(0),
        "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
        "slow": lambda: time.sleep(4.0),
        "hangs": lambda: time.sleep(3600.0),
        "nothing": lambda: None,
    }[act]


def one(number: int, seed: int, whole: dict[int, str]) -> dict[str, Any] | None:
    """Make one fault, and judge it; None if the search was over before."""
    rng = random.Random(f"{seed}/{number}")
    kinds = [*ACTS, *DIFFERENCES]
    act, size = kinds[number % len(kinds)], rng.choice([2, 2, 3])
    rank, at, note = rng.randrange(size), rng.randint(1, 24), Path.cwd() / f"note{number}"
    begun = str(time.monotonic())
    note.write_text(begun)
    if act in DIFFERENCES:
        rank, at = size - 1, 0
        ended = together(differing, act, size=size)
    else:
        ended = together(fault, act, rank, at, 5.0 if act == "hangs" else None, str(note), size=size)
    seconds, came = time.monotonic() - float(note.read_text()), note.read_text() != begun
    note.unlink()
    if not came and act not in DIFFERENCES:  # its passes were over before
        return None
    others = [one for number, one in enumerate(ended) if number != rank]
    named = NAMED.get(act, "got another in process {rank}: ").format(rank=rank)
    if act == "slow":
        right = all(one.code == 0 and one.value == whole[size] for one in ended)
    else:
        right = all(one.code == 1 and named in one.error for one in others)
        right = right and (seconds < WITHIN or act in DIFFERENCES)  # which also takes what comes before
    return {
        "number": number,
        "act": act,
        "processes": size,
        "rank": rank,
        "at": at,
        "right": right,
        "seconds": round(seconds, 2),
        "codes": [one.code for one in ended],
        "told": [one.error[:200] for one in ended],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, default=Path("build/rank_faults.jsonl"))
    arguments = parser.parse_args()
    arguments.rows.parent.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in arguments.rows.open()] if arguments.rows.exists() else []
    os.chdir(tempfile.mkdtemp())
    whole = {}
    for size in (2, 3) if len(rows) < arguments.faults else ():
        whole[size] = together(fault, "nothing", 0, 1, None, "note", size=size)[0].value
    number = 1 + max((row["number"] for row in rows), default=-1)
    while len(rows) < arguments.faults:
        row = one(number, arguments.seed, whole)
        number += 1
        if row is None:
            continue
        rows.append(row)
        print(row, flush=True)
        with arguments.rows.open("a") as file:
            file.write(json.dumps(row) + "\n")
    figures = {
        "seed": arguments.seed,
        "faults": len(rows),
        "right": sum(row["right"] for row in rows),
        "slowest_s": max(row["seconds"] for row in rows),
    }
    print(write("rank_faults", figures, rows), figures)


if __name__ == "__main__":
    main()
