"""Whole files, as small as they may be, written anew for each malformed one."""

import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from malformed.mutations import bytes_of
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.nn import Choice, Supernet
from asng.search import OneShotSearch
from asng.training import load_child_weights, save_child, supervised

# --- data -------------------------------------------------------------------------------------------

MNIST = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CIFAR10 = (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin", "batches.meta.txt")
PICTURES = ("a.png", "b.jpg", "c.bmp", "d.webp", "e.ppm", "f.png")
_ARCHIVE = "cifar-10-binary.tar.gz"
_RNG = np.random.default_rng(0)
_CLASSES = b"airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n"
_RECORDS = {name: bytes([3]) + _RNG.bytes(3072) + bytes([9]) + _RNG.bytes(3072) for name in CIFAR10[:-1]}
_CIFAR = _RECORDS | {"batches.meta.txt": _CLASSES}


def _idx(*shape: int, high: int = 256) -> bytes:
    head = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return head + _RNG.integers(0, high, shape, dtype=np.uint8).tobytes()


_IDX = _idx(5, 4, 3)
_MNIST = dict(
    zip(MNIST, (_idx(4, 6, 5), _idx(4, high=3), _idx(3, 6, 5), bytes([*_idx(3)[:8], 0, 1, 2])), strict=True)
)


def write_idx(folder: Path) -> None:
    """Write an IDX file, plain and compressed."""
    (folder / "x.idx").write_bytes(_IDX)
    (folder / "x.gz").write_bytes(gzip.compress(_IDX))
    (folder / "x.xz").write_bytes(lzma.compress(_IDX))


def write_mnist_like(folder: Path) -> None:
    """Write the four files of MNIST's layout."""
    _write_all(folder, _MNIST)


def write_cifar(folder: Path) -> None:
    """Write CIFAR-10's files, of two records each."""
    _write_all(folder, _CIFAR)


def write_listed(folder: Path) -> None:
    """Write CIFAR-10's files, and the list of their checksums."""
    import hashlib

    _write_all(folder, _CIFAR)
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in _CIFAR.items())
    (folder / "SHA256SUMS").write_text("".join(lines))


@cache
def _archive() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in _CIFAR.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def write_cifar_archive(folder: Path) -> None:
    """Write an archive of the same files."""
    (folder / _ARCHIVE).write_bytes(_archive())


@cache
def _mat(*, compressed: bool) -> bytes:
    from scipy.io import savemat

    file = io.BytesIO()
    numbers = {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [10]], np.uint8)}
    savemat(file, numbers, do_compression=compressed)
    return file.getvalue()


def write_svhn(folder: Path) -> None:
    """Write SVHN's files: a plain one for training, a compressed one for the test."""
    (folder / "train_32x32.mat").write_bytes(_mat(compressed=False))
    (folder / "test_32x32.mat").write_bytes(_mat(compressed=True))


def mat_of(content: bytes, rng: random.Random) -> bytes:
    """Change what is in a compressed variable of a MATLAB file; or the file; or let it be a bomb."""
    if rng.random() < 0.4:
        return bytes_of(content, rng)
    (size,) = struct.unpack_from("<I", content, 132)
    inside = zlib.decompress(content[136 : 136 + size])
    if rng.random() < 0.02:
        inside = struct.pack("<2I", 14, 300 * 2**20) + bytes(300 * 2**20)
        packed = zlib.compress(inside, 1)
    else:
        packed = zlib.compress(bytes_of(inside, rng))
    return content[:128] + struct.pack("<2I", 15, len(packed)) + packed + content[136 + size :]


def write_ts(folder: Path) -> None:
    """Write a file of two time series."""
    head = "# none\n@problemName Tiny\n@timeStamps false\n@dimensions 2\n@classLabel true a b\n@data\n"
    (folder / "x.ts").write_text(f"{head}1,2.5,-3e2:4,5,6:b\n0.1,0.2,0.3:7,8,9:a\n")


@cache
def _picture(name: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    if name == "f.png":
        image = image.convert("P")
    image.save(file, format={"jpg": "JPEG"}.get(name[2:], name[2:].upper()))
    return file.getvalue()


def write_pictures(folder: Path) -> None:
    """Write pictures of every format that is read."""
    _write_all(folder, {name: _picture(name) for name in PICTURES})


# --- searches ---------------------------------------------------------------------------------------


def _supernet() -> Supernet:
    torch.manual_seed(3)
    return Supernet(
        Choice({"wide": nn.Linear(3, 1), "none": nn.Sequential(nn.Flatten(), nn.Linear(3, 1))}, label="op")
    )


def _searched(folder: Path, *, resume: bool) -> None:
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(7))
    loader = DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), batch_size=8, shuffle=True)
    search = OneShotSearch(_supernet(), supervised(nn.functional.mse_loss))
    search.fit(loader, loader, epochs=2, run_dir=folder, resume=resume, overwrite=not resume, progress=False)


@cache
def _search() -> dict[str, bytes]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as home:
        _searched(Path(home), resume=False)
        return {name: (Path(home) / name).read_bytes() for name in ("checkpoint.pt", "log.jsonl")}


def write_search(folder: Path) -> None:
    """Write the log and the checkpoint of a finished search."""
    _write_all(folder, _search())


def write_checkpoint(folder: Path) -> None:
    """Write its checkpoint alone."""
    (folder / "checkpoint.pt").write_bytes(_search()["checkpoint.pt"])


def resume_search(folder: Path) -> None:
    """Go on with it."""
    _searched(folder, resume=True)


@cache
def _child() -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as home:
        return save_child(
            Path(home, "child.pt"), nn.Linear(3, 1), asng.Architecture({"op": "wide"})
        ).read_bytes()


def write_child(folder: Path) -> None:
    """Write the weights of a child."""
    (folder / "child.pt").write_bytes(_child())


def load_child(folder: Path) -> None:
    """Load them into a network."""
    from asng.training.child_file import load_into

    _, weights = load_child_weights(folder / "child.pt")
    load_into(nn.Linear(3, 1), weights, folder / "child.pt")


_JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        10**30,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "[" * 100_000,
        "null",
        "{}",
        "[]",
    ),
    *([], [1], [[]], {}, {"a": 1}, {1: 2}, torch.zeros(2), torch.zeros(0), torch.zeros(3, 3).bool()),
)


def state_of(content: bytes, rng: random.Random) -> bytes:
    """Replace or leave out a value of a file of torch, at any depth; its checksums are right."""
    state = torch.load(io.BytesIO(content), weights_only=True)
    places, waiting = [], [state]
    while waiting:
        owner = waiting.pop()
        keys = list(owner) if isinstance(owner, dict) else range(len(owner))
        places += [(owner, key) for key in keys]
        waiting += [owner[key] for key in keys if isinstance(owner[key], (dict, list))]
    owner, key = rng.choice(places)
    if rng.random() < 0.15:
        del owner[key]
    elif isinstance(owner[key], torch.Tensor) and rng.random() < 0.5:
        owner[key] = rng.choice((owner[key][:0], owner[key].double(), owner[key] * float("nan")))
    else:
        owner[key] = rng.choice(_JUNK)
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


# --- run folders ------------------------------------------------------------------------------------

_VARIABLES = {
    "op": {"type": "categorical", "choices": ["conv", "skip"]},
    "width": {"type": "integer", "low": 8, "high": 64, "log": True, "step": 1},
    "drop": {"type": "real", "low": 0.0, "high": 0.5, "log": False},
}
_FOUND = {"op": "conv", "width": 32, "drop": 0.1}
_CIRCUMSTANCES = {"versions": {"asng": "0.1.0"}, "machine": {"system": "Linux", "cores": 2}}
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def _log() -> list[dict[str, Any]]:
    steps = [
        {"event": "step", "step": n, "epoch": 0, "loss": 2.0 - 0.1 * n, "objective": 1.0, "entropy": 0.9}
        | {"delta": 1.0, "gamma": 0.1, "seconds": 0.5 * n}
        for n in range(1, 5)
    ]
    theta = {"op": [0.75, 0.25], "width": {"mean": 3.1, "std": 0.4}, "drop": {"mean": 0.1, "std": 0.05}}
    start = {"event": "start", "time": "now", "seed": 0, "space": _VARIABLES, "n_theta": 5, **_CIRCUMSTANCES}
    last = {"event": "end", "step": 4, "reason": "finished", "over_budget": 1, "evaluated": 8}
    return [
        start,
        *steps,
        {"event": "theta", "step": 4, "theta": theta},
        {"event": "resume", "step": 2},
        *steps[2:],
        last,
    ]


def _scored(score: float) -> dict[str, Any]:
    return {"score": score, "parameters": 41, "seconds": 2.0, "architecture": _FOUND, "others": {"F1": score}}


_RESULT = {
    "metric": "accuracy",
    "higher_is_better": True,
    "seed": 0,
    "search_seconds": 8.5,
    "steps": 4,
    "reason": "finished",
    "inherited": 0.5,
    "found": _scored(0.9),
    "random": [_scored(0.7), _scored(0.8), _scored(0.75)],
    "baseline": _scored(0.85),
    "test_items": 20,
}
_CONFIG = {
    "task": "classification",
    "data": "tiny",
    "fingerprint": None,
    "seed": 0,
    "network": {"cells": 3},
    "search": {"epochs": 2, "peers": 1, "warmup": 0.5, "update": "default", "device": "cpu"},
}
_GRAPH = {
    "title": "cell",
    "nodes": [{"id": "a", "label": "in"}, {"id": "b", "label": "out"}],
    "edges": [{"from": "a", "to": "b", "label": "conv"}],
}


def write_run(folder: Path) -> None:
    """Write the run folder of a search."""
    _write_lines(folder / "log.jsonl", _log())
    for name, data in (
        *(("config.yaml", _CONFIG), ("result.json", _RESULT), ("architecture.json", _FOUND)),
        *(
            ("graphs.json", [_GRAPH]),
            ("pictures.json", {"caption": "c", "rows": [{"label": "l", "png": _PNG}]}),
        ),
    ):
        (folder / name).write_text(json.dumps(data))


def write_seeds(folder: Path) -> None:
    """Write the run folder of several seeds."""
    scores = {"found": 0.9, "random_mean": 0.8, "random_sd": 0.1}
    more = {"peers": [0.7, 0.8, 0.75], "baseline": 0.85, "trainings": 4.5, "test_items": 20}
    seeds = [
        {**scores, **more, "inherited": 0.5, "others": {"F1": scores}, "seed": n, "folder": f"seed-{n}"}
        for n in (0, 1)
    ]
    data = {"metric": "accuracy", "higher_is_better": True, "seeds": seeds}
    (folder / "summary.json").write_text(json.dumps(data))


SPACE = asng.Space({"op": asng.Categorical(["a", "b"]), "n": asng.Integer(1, 9), "r": asng.Real(0.0, 1.0)})


def loss(architecture: asng.Architecture) -> float:
    """Be least where n is 4."""
    return abs(architecture["n"] - 4) + architecture["r"] + (architecture["op"] == "a")


@cache
def _minimized() -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as home:
        asng.minimize(loss, SPACE, 24, run_dir=home)
        return Path(home, "log.jsonl").read_bytes()


def write_minimize(folder: Path) -> None:
    """Write the log of a black box."""
    (folder / "log.jsonl").write_bytes(_minimized())


def write_benchmark(folder: Path) -> None:
    """Write three cells of a benchmark."""
    cell = {"problem": "onemax", "budget": 50, "evaluated": 20, "distinct": 19, "microseconds": 11.5}
    rows = [
        {**cell, "method": method, "seed": seed, "hit": hit, "regret": [[1, 2.5], [9, 0.0]], **_CIRCUMSTANCES}
        for method, seed, hit in (("ASNG", 0, 9), ("random", 0, None), ("ASNG", 1, 12))
    ]
    _write_lines(folder / "benchmark.jsonl", rows)


def write_toy(folder: Path) -> None:
    """Write two cells of the toy problem."""
    settings = {
        "variables": 30,
        "choices": 5,
        "iterations": 100,
        "methods": ["ASNG", "SNG"],
        "momentum": 0.9,
        "exponents": [0.0, 0.5],
        "learning_rates": [0.05],
    }
    columns = {
        "stopped": [40, None],
        "right_when_stopped": [30, None],
        "found": [35, 90],
        "settled": [36, None],
        "right_at_end": [30, 29],
    }
    cells = [
        {
            "method": method,
            "exponent": 0.5,
            "learning_rate": 0.05,
            "delta_init": 0.1,
            "seeds": [0, 1],
            **columns,
        }
        for method in ("ASNG", "SNG")
    ]
    data = {"settings": settings, "seconds": 3.5, **_CIRCUMSTANCES, "cells": cells}
    (folder / "toy.json").write_text(json.dumps(data))


def optimizers() -> list[Any]:
    """Return an optimiser of each kind."""
    return [
        *(
            asng.ASNG(SPACE),
            asng.ASNG.paper(SPACE),
            asng.ASNG(SPACE, lam=2),
            asng.SNG(SPACE),
            asng.Adam(SPACE),
        ),
        asng.RandomSearch(SPACE),
    ]


@cache
def _states() -> list[str]:
    states = []
    for optimizer in optimizers():
        for _ in range(3):
            candidates = optimizer.ask()
            optimizer.tell(candidates, [loss(candidate.architecture) for candidate in candidates])
        states.append(json.dumps(optimizer.state_dict()))
    return states


_TURN = iter(range(10**9))


def write_state(folder: Path) -> None:
    """Write the state of an optimiser, of each kind in turn."""
    states = _states()
    (folder / "state.json").write_text(states[next(_TURN) % len(states)])


def _write_all(folder: Path, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
