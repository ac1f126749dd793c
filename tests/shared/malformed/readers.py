"""Every reader of files, with a whole file for it, and what can be wrong with that."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from malformed.mutations import (
    Mutation,
    bytes_of,
    gzipped,
    json_of,
    lines_of,
    tarred,
    xzipped,
    yaml_of,
    zipped,
)

import asng
import asng.errors
import asng.runs.stored
from asng.cli.tell import KINDS
from asng.data import read_cifar, read_idx, read_image_folder, read_mnist_like, read_svhn, read_ts
from asng.data.readers import cifar
from asng.experiments.benchmark.store import BenchmarkStore
from asng.experiments.toy.store import ToyStore
from asng.pipeline.retrain import read_architecture
from asng.report import read_run, summary_table
from asng.runs.checkpoint import load_checkpoint
from asng.settings import ToySettings
from asng.tasks.reopen import stored_run
from malformed import whole

__all__ = ["READERS", "Reader"]


@dataclass(frozen=True)
class Reader:
    """What reads a folder, and what may be wrong in it.

    Attributes:
        write: Writes whole files into a folder.
        read: Reads them.
        mutations: What is done to which file, by its name.
        vouch: Whether a list of checksums may be made of the malformed files, so that they are read on.
    """

    write: Callable[[Path], None]
    read: Callable[[Path], Any]
    mutations: dict[str, Mutation] = field(default_factory=dict)
    vouch: bool = False

    def spoil(self, folder: Path, rng: random.Random) -> Path:
        """Make one of the whole files malformed; return which."""
        name = rng.choice(list(self.mutations))
        path = folder / name
        path.write_bytes(self.mutations[name](path.read_bytes(), rng))
        if self.vouch and rng.random() < 0.8:
            listed = (file for file in sorted(folder.iterdir()) if file.name != "SHA256SUMS")
            lines = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in listed)
            (folder / "SHA256SUMS").write_text("".join(lines))
        return path


def _report(folder: Path) -> None:
    read_run(folder)
    summary_table(folder, kinds=KINDS)


def _config(folder: Path) -> None:
    read_run(folder)
    stored_run(folder)


def _cifar_archive(folder: Path) -> None:
    """Read an archive as if it were the published one: else its MD5 would be all that is looked at."""
    path = folder / cifar._CIFAR10.archive
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    version = replace(cifar._CIFAR10, md5=md5)
    contents = cifar._read_archive(path, version)
    cifar._assemble(contents, version, where=str(path), any_count=True)


def _benchmark(folder: Path) -> None:
    _report(folder)
    BenchmarkStore(folder).close()


def _toy(folder: Path) -> None:
    _report(folder)
    ToyStore(folder, ToySettings(), seeds=[0, 1]).write()


def _minimize(folder: Path) -> None:
    asng.minimize(whole.loss, whole.SPACE, 24, run_dir=folder, resume=True)


def _optimizer(folder: Path) -> None:
    """Load the state of an optimiser from JSON, and go on with it."""
    path = folder / "state.json"
    state = asng.runs.stored.read_json(path)
    for optimizer in whole.optimizers():
        if isinstance(state, dict) and optimizer.state_dict()["settings"] == state.get("settings"):
            break
    try:
        optimizer.load_state_dict(state)
    except asng.errors.RunError as error:
        raise asng.errors.RunError(f"{path}: {error}") from error
    candidates = optimizer.ask()
    optimizer.tell(candidates, [float(index) for index in range(len(candidates))])


_RUN = {
    "config.yaml": yaml_of,
    "log.jsonl": lines_of,
    "result.json": json_of,
    "architecture.json": json_of,
    "graphs.json": json_of,
    "pictures.json": json_of,
}

READERS: dict[str, Reader] = {
    "IDX": Reader(whole.write_idx, lambda folder: read_idx(folder / "x.idx"), {"x.idx": bytes_of}),
    "IDX, gzip": Reader(whole.write_idx, lambda folder: read_idx(folder / "x.gz"), {"x.gz": gzipped}),
    "IDX, xz": Reader(whole.write_idx, lambda folder: read_idx(folder / "x.xz"), {"x.xz": xzipped}),
    "MNIST's four files": Reader(
        whole.write_mnist_like, read_mnist_like, dict.fromkeys(whole.MNIST, bytes_of), vouch=True
    ),
    "CIFAR-10, binary": Reader(
        whole.write_cifar, read_cifar, dict.fromkeys(whole.CIFAR10, bytes_of), vouch=True
    ),
    "CIFAR-10, archive": Reader(whole.write_cifar_archive, _cifar_archive, {cifar._CIFAR10.archive: tarred}),
    "CIFAR-10, archive with its MD5": Reader(
        whole.write_cifar_archive, read_cifar, {cifar._CIFAR10.archive: tarred}
    ),
    "SVHN, .mat": Reader(
        whole.write_svhn, read_svhn, {"train_32x32.mat": bytes_of, "test_32x32.mat": whole.mat_of}
    ),
    "time series, .ts": Reader(whole.write_ts, lambda folder: read_ts(folder / "x.ts"), {"x.ts": bytes_of}),
    "folder of pictures": Reader(
        whole.write_pictures, read_image_folder, dict.fromkeys(whole.PICTURES, bytes_of), vouch=True
    ),
    "list of checksums": Reader(whole.write_listed, read_cifar, {"SHA256SUMS": bytes_of}),
    "checkpoint": Reader(
        whole.write_checkpoint,
        lambda folder: load_checkpoint(folder / "checkpoint.pt"),
        {"checkpoint.pt": zipped},
    ),
    "checkpoint, resumed": Reader(whole.write_search, whole.resume_search, {"checkpoint.pt": whole.state_of}),
    "child.pt": Reader(whole.write_child, whole.load_child, {"child.pt": zipped}),
    "child.pt, its values": Reader(whole.write_child, whole.load_child, {"child.pt": whole.state_of}),
    "architecture.json": Reader(whole.write_run, read_architecture, {"architecture.json": json_of}),
    "config.yaml": Reader(whole.write_run, _config, {"config.yaml": yaml_of}),
    "run folder of a search": Reader(whole.write_run, _report, _RUN),
    "log.jsonl": Reader(whole.write_run, _report, {"log.jsonl": lines_of}),
    "summary.json": Reader(whole.write_seeds, _report, {"summary.json": json_of}),
    "log.jsonl of a black box, report": Reader(whole.write_minimize, _report, {"log.jsonl": lines_of}),
    "log.jsonl of a black box, resumed": Reader(whole.write_minimize, _minimize, {"log.jsonl": lines_of}),
    "benchmark.jsonl": Reader(whole.write_benchmark, _benchmark, {"benchmark.jsonl": lines_of}),
    "toy.json": Reader(whole.write_toy, _toy, {"toy.json": json_of}),
    "state of an optimiser, JSON": Reader(whole.write_state, _optimizer, {"state.json": json_of}),
}
