"""What checkpoints cost a search: the time that each takes, and their share of it at the default interval.

Several supernets are searched for a while with a checkpoint every few steps, and each checkpoint is timed.
The share at the default interval follows from that time t: a checkpoint is written every max(60 s, 50 t), so
the share is t / (t + max(60 s, 50 t)). The share is measured too: a search of a cell network runs with the
default interval, and the times of its checkpoints are added up.

python -m benchmarks.faults.checkpoint_cost
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng import OneShotSearch, supervised
from asng.nn import Choice, Supernet
from asng.search import Loop
from asng.supernets import EnasCellNetwork
from benchmarks.record import write

SEED, IMAGES = 0, 512
INTERVAL, SHARE = 60.0, 0.02
"""The defaults of `OneShotSearch`: least seconds between checkpoints, and their largest share of the time."""


def two_layers() -> nn.Module:
    choice = Choice({"tanh": nn.Tanh(), "relu": nn.ReLU()}, label="op")
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 8), choice, nn.Linear(8, 10))


def wide() -> nn.Module:
    """Return a network of 64 million weights and hardly any work: a bad case, 512 MB with the momentum."""
    first = nn.Linear(3 * 16 * 16, 8000)
    choice = Choice({"tanh": nn.Tanh(), "relu": nn.ReLU()}, label="op")
    return nn.Sequential(nn.Flatten(), first, choice, nn.Linear(8000, 7200), nn.Linear(7200, 10))


def cells(channels: int, nodes: int) -> Callable[[], nn.Module]:
    sizes = {"in_channels": 3, "classes": 10, "image_size": 16, "cells": 3}
    return lambda: EnasCellNetwork(**sizes, nodes=nodes, channels=channels)


SUBJECTS: dict[str, Callable[[], nn.Module]] = {
    "two layers": two_layers,
    "cells of the demo, 4 channels": cells(4, 2),
    "cells of 5 nodes, 20 channels": cells(20, 5),
    "64 million weights in two layers": wide,
}


def search_of(build: Callable[[], nn.Module], **settings: Any) -> tuple[OneShotSearch, DataLoader[Any]]:
    torch.manual_seed(SEED)
    images, labels = torch.randn(IMAGES, 3, 16, 16), torch.randint(0, 10, (IMAGES,))
    loader = DataLoader(TensorDataset(images, labels), 16, shuffle=True)
    loss = supervised(nn.functional.cross_entropy)
    return OneShotSearch(Supernet(build()), loss, final=0.0, warmup=0.2, seed=SEED, **settings), loader


def timed(build: Callable[[], nn.Module], seconds: float, **settings: Any) -> dict[str, Any]:
    """Search for at least some seconds; return the times of the steps and of the checkpoints."""
    search, loader = search_of(build, **settings)
    took: list[float] = []
    save = Loop.save

    def saving(loop: Loop) -> None:
        began = time.perf_counter()
        save(loop)
        took.append(time.perf_counter() - began)

    began = time.perf_counter()

    def loss(forward: Any, batch: Any) -> Any:
        if time.perf_counter() - began > seconds:
            raise TimeoutError
        return search_loss(forward, batch)

    search_loss, search.loss = search.loss, loss
    Loop.save = saving  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            with suppress(TimeoutError):
                search.fit(loader, loader, epochs=10_000, run_dir=folder, progress=False)
            size = (Path(folder) / "checkpoint.pt").stat().st_size / 2**20
    finally:
        Loop.save = save  # type: ignore[method-assign]
    return {"took": took, "megabytes": size, "seconds": time.perf_counter() - began}


def row_of(name: str, build: Callable[[], nn.Module], seconds: float) -> dict[str, Any]:
    often = timed(build, seconds, checkpoint_steps=5)
    median = float(np.median(often["took"]))
    interval = max(INTERVAL, median / SHARE)
    return {
        "subject": name,
        "checkpoint_mb": round(often["megabytes"], 2),
        "checkpoints": len(often["took"]),
        "seconds_each": np.percentile(often["took"], [25, 50, 75]).tolist(),
        "interval": interval,
        "share_at_default": median / (median + interval),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each search with many checkpoints")
    parser.add_argument("--default-seconds", type=float, default=200.0, help="of the search at the default")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, build in SUBJECTS.items():
        rows.append(row_of(name, build, arguments.seconds))
        print(rows[-1], flush=True)
    name = "cells of 5 nodes, 20 channels"
    whole = timed(SUBJECTS[name], arguments.default_seconds)
    spent = sum(whole["took"][1:])  # without the first, which every search writes before its first step
    default = {
        "subject": name,
        "seconds": whole["seconds"],
        "checkpoints": len(whole["took"]) - 1,
        "share": spent / whole["seconds"],
    }
    print(default)
    print(write("checkpoint_cost", {"seed": SEED, "rows": rows, "at_default": default}))


if __name__ == "__main__":
    main()
