"""A step of our paper search over one of NNI 3.0's RandomOneShot, and over one of its DARTS.

python3.11 -m venv PEER
PEER/bin/pip install -r benchmarks/peers/nni_peer/requirements.txt
OMP_NUM_THREADS=2 python -m benchmarks.peers.nni_step PEER/bin/python

Both have 16 channels, 8 cells of 5 nodes, batches of 64 random images of 32 x 32, and the same number of
threads. Ours is a step of the loop of `asng classify --preset paper`: it trains 2 architectures, scores 2,
and moves theta. NNI's are on the ENAS space of its hub, with NNI's own defaults (`nni_peer/inner.py`).
RandomOneShot trains 1 architecture a step and scores none, so it is compared with half of our step. DARTS
computes all operators for the weights and again for its own theta, so its step is compared with all of ours.
The spaces are similar, not the same: in NNI's, all nodes of a cell are its output, and the parts between
cells differ.

The two sides take turns, alternately first, while the other idles; figures are ratios within repeats. Memory
is the peak of a process of its own over the same number of steps. A process of DARTS takes over 10 GB, and is
not started if less is free.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import spread
from benchmarks.peers.nni_peer import NniStep
from benchmarks.record import write
from benchmarks.step.paper_step import Ours, memory_of, seconds, write_noise

TRAINED = {"ours": 2, "random": 1}
"""Architectures that a step trains. DARTS trains no single one, so whole steps are compared."""
LIMIT_RATIO = {"random": 0.5, "darts": 1 / 12}
"""The aims for our time over NNI's: per trained architecture with RandomOneShot, per step with DARTS."""
LIMIT_MEMORY = {"darts": 1 / 7}
"""The aim for our memory over NNI's."""
REPEATS = {"random": 30, "darts": 4}
DARTS_GB = 12.0
"""Memory that must be free, with some to spare."""
SMALL = {"channels": 4, "cells": 5}
SMALL_BATCH = 16


def free_gb() -> float:
    """Return how much memory is available to new processes, in GB (1e9 bytes)."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    return int(text.partition("MemAvailable:")[2].split()[0]) * 1024 / 1e9


def turns(ours: Ours, peer: NniStep, repeats: int) -> list[tuple[float, float]]:
    """Return the seconds of a step of ours and of the peer's, in turns."""
    pairs = []
    for index in range(repeats + 1):
        drawn = ours.draw()
        sides = [("ours", lambda drawn=drawn: seconds(ours.step, drawn)), ("peer", peer.step)]
        taken = {name: step() for name, step in sides[:: 1 if index % 2 else -1]}
        pairs.append((taken["ours"], taken["peer"]))
    return pairs[1:]  # the first turn includes one-time setup


def compared(strategy: str, pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return the figures of time; `ratio` is ours over the peer's."""
    share = TRAINED["random"] / TRAINED["ours"] if strategy == "random" else 1.0
    means = [statistics.fmean(side) for side in zip(*pairs, strict=True)]
    return {
        "compared": "per architecture trained" if strategy == "random" else "per step",
        "repeats": len(pairs),
        "ours_seconds": spread([mine for mine, _ in pairs]),
        "nni_seconds": spread([other for _, other in pairs]),
        "ratio": spread([share * mine / other for mine, other in pairs]),
        "ratio_of_means": round(share * means[0] / means[1], 4),
        "limit_ratio": round(LIMIT_RATIO[strategy], 4),
        "pairs_of_seconds": [[round(mine, 4), round(other, 4)] for mine, other in pairs],
    }


def measured(strategy: str, python: str, ours: Ours, repeats: int, sizes: dict[str, int]) -> dict[str, Any]:
    """Return the figures of a strategy of NNI's."""
    if strategy == "darts" and not sizes and free_gb() < DARTS_GB:
        raise SystemExit(
            f"DARTS: expected {DARTS_GB:.0f} GB of free memory, got {free_gb():.1f}; end other processes"
        )
    with closing(NniStep(python, strategy, threads=torch.get_num_threads(), **sizes)) as peer:
        pairs = turns(ours, peer, repeats)
        memory = round(peer.peak_gb(), 3)
        told = {"versions_of_peer": peer.versions, "weights_of_supernet": peer.parameters}
    return {"strategy": strategy, **told, **compared(strategy, pairs), "nni_memory_gb": memory}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("python", help="of the environment that has NNI")
    parser.add_argument("--strategies", nargs="+", choices=list(REPEATS), default=list(REPEATS))
    parser.add_argument("--repeats", type=int, help="2 or more (default: 30 of random, 4 of darts)")
    parser.add_argument("--small", action="store_true", help="networks and batches of a test; implies --dry")
    parser.add_argument("--dry", action="store_true", help="print only, and write no results")
    arguments = parser.parse_args()
    mine: dict[str, Any] = (
        {**SMALL, "batch_size": SMALL_BATCH, "max_parameters": None} if arguments.small else {}
    )
    theirs = {**SMALL, "batch": SMALL_BATCH} if arguments.small else {}
    with tempfile.TemporaryDirectory() as place:
        folder = write_noise(Path(place), records=200)
        ours = Ours(folder, **mine)
        runs = []
        for strategy in arguments.strategies:
            repeats = arguments.repeats or REPEATS[strategy]
            run = measured(strategy, arguments.python, ours, repeats, theirs)
            if not arguments.small:
                memory = memory_of("ours", folder, repeats + 1)
                run |= {
                    "ours_memory_gb": round(memory, 3),
                    "memory_ratio": round(memory / run["nni_memory_gb"], 4),
                    "limit_memory_ratio": LIMIT_MEMORY.get(strategy),
                }
            runs.append(run)
            print(json.dumps(run, indent=2), flush=True)
    if not (arguments.dry or arguments.small):
        print(write("nni_step", {"trained_a_step": TRAINED}, runs))


if __name__ == "__main__":
    main()
