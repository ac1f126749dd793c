"""One step of the paper's search (B = 5, 16 channels, 8 cells, batches of 64), ours over a plain version.

OMP_NUM_THREADS=2 python -m benchmarks.step.paper_step

Ours is a step of the loop of `asng classify --preset paper`, on random images of the size and number of
CIFAR-10's. The other is a step of `plain_supernet.py`. A repeat gives both the same batches and
architectures, two to train and two to score, and each is first in turn; figures are ratios within repeats.
Memory is the peak of a process of its own: with few images, and for ours also with all of them.
"""

import argparse
import hashlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from asng import OneShotSearch
from asng.nn import Supernet
from asng.pipeline import Loaders, SearchSettings, Task, one_shot_search
from asng.space import Candidate
from asng.supernets import EnasCellNetwork
from asng.tasks.classification import PRESETS, classification
from benchmarks.measuring import peak_bytes, spread
from benchmarks.record import write
from benchmarks.step.plain_supernet import PlainSupernet, plain_step

LIMIT_RATIO, LIMIT_GB = 0.6, 1.6
RECORDS = 10_000


def write_noise(folder: Path, records: int = RECORDS) -> Path:
    """Write random images in the files of CIFAR-10's binary version."""
    draw = np.random.default_rng(0)
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        labels = draw.integers(0, 10, (records, 1), dtype=np.uint8)
        pixels = draw.integers(0, 256, (records, 3072), dtype=np.uint8)
        np.concatenate([labels, pixels], axis=1).tofile(folder / name)
    (folder / "batches.meta.txt").write_text("\n".join(f"class{n}" for n in range(10)))
    # A data set of another size than the published one is read if a list of checksums vouches for it.
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in folder.iterdir()]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


def search_of(task: Task, settings: SearchSettings, *, seed: int) -> tuple[OneShotSearch, Loaders]:
    """Return the search that `run_task` makes, and its data."""
    torch.manual_seed(seed)
    supernet = Supernet(task.build()).to(memory_format=torch.channels_last)
    loaders = task.loaders(seed)
    torch.manual_seed(seed)
    return one_shot_search(task, settings, supernet, seed=seed), loaders


class Ours:
    """The loop of the preset, with given batches and candidates.

    Args:
        folder: The folder with the images.
        changes: Settings that replace those of the preset, for tests.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        preset = PRESETS["paper"]
        settings = replace(preset.search, device="cpu")
        task = classification(replace(preset.task, data_dir=str(folder), **changes))
        search, loaders = search_of(task, settings, seed=0)
        halves = loaders.search_train, loaders.search_valid
        self.loop = ExitStack().enter_context(search.stepping(*halves, epochs=settings.epochs))  # for good
        self.ask = self.loop.theta.ask

    def draw(self) -> tuple[Any, Any, list[Candidate], list[Candidate]]:
        """Return the batches and the candidates of a step, training before scoring."""
        return self.loop.trainer.stream.next(), self.loop.scorer.stream.next(), self.ask(2), self.ask(2)

    def step(self, train: Any, valid: Any, trained: list[Candidate], scored: list[Candidate]) -> Any:
        """Take a step on what was drawn."""
        loop, asked = self.loop, iter((trained, scored))
        loop.trainer.stream.next, loop.scorer.stream.next = lambda: train, lambda: valid
        loop.theta.ask = lambda count: next(asked)
        try:
            return loop.one_step()
        finally:
            del loop.trainer.stream.next, loop.scorer.stream.next, loop.theta.ask


class Plain:
    """The plainly written supernet, with the weights of ours."""

    def __init__(self, ours: Ours, **sizes: int) -> None:
        self.model = PlainSupernet(**sizes).train()
        weights = dict(ours.loop.trainer.supernet.model.named_parameters())
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(weights.pop(name))
        assert not weights
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, ours.loop.state.steps)

    def step(self, train: Any, valid: Any, trained: list[Candidate], scored: list[Candidate]) -> Any:
        """Take a step on what was drawn."""
        architectures = ([c.architecture for c in some] for some in (trained, scored))
        loss, scores = plain_step(self.model, self.optimizer, train, valid, *architectures)
        self.schedule.step()
        return loss, statistics.fmean(scores)


def seconds(step: Callable[..., Any], drawn: Sequence[Any]) -> float:
    start = time.perf_counter()
    step(*drawn)
    return time.perf_counter() - start


def times(ours: Ours, plain: Plain, repeats: int) -> list[tuple[float, float]]:
    pairs = []
    for index in range(repeats + 1):
        drawn = ours.draw()
        sides = [("ours", ours.step), ("plain", plain.step)]
        taken = {name: seconds(step, drawn) for name, step in sides[:: 1 if index % 2 else -1]}
        pairs.append((taken["ours"], taken["plain"]))
    return pairs[1:]  # the first turn includes one-time setup of torch


def remember(which: str, folder: Path, steps: int) -> float:
    """Take steps of one kind, and return the peak memory of this process, in GB (1e9 bytes)."""
    if which == "ours":
        ours = Ours(folder)
        for _ in range(steps):
            ours.step(*ours.draw())
    else:
        plain_steps(steps)
    return peak_bytes() / 1e9


def plain_steps(steps: int) -> None:
    """Take plain steps on noise."""
    with torch.device("meta"):
        space = Supernet(EnasCellNetwork(in_channels=3, classes=10, image_size=32)).space
    model, draw = PlainSupernet().train(), random.Random(0)
    for cell in model.cells:
        nn.init.kaiming_uniform_(cell.conv.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
    for _ in range(steps):
        train, valid = ((torch.randn(64, 3, 32, 32), torch.randint(10, (64,))) for _ in range(2))
        trained, scored = ([space.sample(draw) for _ in range(2)] for _ in range(2))
        plain_step(model, optimizer, train, valid, trained, scored)


def memory_of(which: str, folder: Path, steps: int) -> float:
    """Return the result of `remember` in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.step.paper_step", "--remember", which]
    words += ["--folder", str(folder), "--steps", str(steps)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--steps", type=int, default=20, help="of the processes whose memory is measured")
    parser.add_argument("--remember", choices=["ours", "plain"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.remember:
        print(remember(arguments.remember, arguments.folder, arguments.steps))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = write_noise(Path(place))
        ours = Ours(folder)
        pairs = times(ours, Plain(ours), arguments.repeats)
        memory = {"ours_with_all_images": memory_of("ours", folder, arguments.steps)}
    with tempfile.TemporaryDirectory() as place:
        folder = write_noise(Path(place), records=200)
        memory |= {which: memory_of(which, folder, arguments.steps) for which in ("ours", "plain")}
    figures = {
        "repeats": arguments.repeats,
        "ours_seconds": spread([mine for mine, _ in pairs]),
        "plain_seconds": spread([other for _, other in pairs]),
        "ratio": spread([mine / other for mine, other in pairs]),
        "ratio_of_means": round(sum(mine for mine, _ in pairs) / sum(other for _, other in pairs), 4),
        "limit_ratio": LIMIT_RATIO,
        "memory_gb": {which: round(gb, 3) for which, gb in memory.items()},
        "limit_gb": LIMIT_GB,
    }
    print(json.dumps(figures, indent=2))
    print(write("paper_step", figures))


if __name__ == "__main__":
    main()
