"""Does a child that was found under a budget of latency keep it in another process?

A small residual network is searched under a budget of half of its own latency, by a short search with each of
ten seeds. The objective is size alone, so that searches go to the limit, where they would select a
measurement that is too low by chance. Every child is then timed in a fresh process by two clocks, CPU time of
the thread, and the wall clock. It runs by itself, as a budget is measured, and then pass by pass in turn with
the whole network, which slows down both but leaves their ratio. There are three measures:

- `latency`, in torch;
- `onnx_latency`, the exported program in onnxruntime (fewer steps, since an export takes seconds);
- `wall`, a user's own function: the median of 15 passes by the wall clock, measured once, as "latency" was
  before.

There is no final: theta determines what is found. The load of the machine is noted beside each row. All runs
have one thread.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

import asng
from asng.data import load_fashion_mnist_subset
from asng.search import SearchResult
from asng.space import Architecture, Integer
from asng.supernets import ResidualCNN
from asng.training import save_onnx
from benchmarks.record import RESULTS, write

SHARE = 0.5
STEPS = {"latency": 40, "onnx_latency": 6, "wall": 40}
BATCH, ITEMS, PASSES = 50, 32, 60


def supernet() -> asng.nn.Supernet:
    widths = (Integer(4, 16), Integer(8, 32), Integer(16, 64))
    model = ResidualCNN(in_channels=1, outputs=10, widths=widths, depth=1, kernel=3, activation="ReLU")
    return asng.nn.Supernet(model)


def example() -> torch.Tensor:
    return torch.randn(ITEMS, 1, 14, 14, generator=torch.Generator().manual_seed(0))


def whole() -> Architecture:
    return Architecture({name: variable.high for name, variable in supernet().space.items()})


def wall(child: nn.Module, inputs: tuple[Any, ...]) -> float:
    """Return the median of 15 passes by the wall clock, after 3 for warm-up."""
    times = []
    with torch.inference_mode():
        for _ in range(18):
            start = time.perf_counter()
            child(*inputs)
            times.append(time.perf_counter() - start)
    return statistics.median(times[3:])


def size(forward: Any, batch: Any) -> float:
    """Return an objective for which more channels are better, each stage alike."""
    return sum(forward.architecture[f"stage{n}.width"] ** 2 / 4**n for n in (1, 2, 3))


def found(measure: str, seed: int) -> SearchResult:
    torch.manual_seed(seed)
    images = load_fashion_mnist_subset()
    data = TensorDataset(images.train_images.float().div(255).sub(0.5), images.train_labels)
    half = STEPS[measure] * BATCH // 2
    train, valid = (Subset(data, range(half * k, half * (k + 1))) for k in (0, 1))
    search = asng.OneShotSearch(
        supernet(),
        asng.supervised(nn.functional.cross_entropy),
        cost=asng.Budget(wall if measure == "wall" else measure, share=SHARE),
        example=example(),
        maximize=size,
        warmup=0.0,
        final=0.0,
        seed=seed,
    )
    loaders = [DataLoader(part, batch_size=BATCH, shuffle=True) for part in (train, valid)]
    return search.fit(*loaders, epochs=2, progress=False)


def beside(measure: str, architecture: str, folder: Path) -> dict[str, float]:
    """Time the child alone, then in turn with the whole network; run in a fresh process."""
    child, all_ = (_pass(measure, a, folder) for a in (Architecture.from_json(architecture), whole()))
    [(alone, _)] = _timed([child])
    (ours, our_wall), (theirs, their_wall) = _timed([child, all_])
    return {"seconds": alone, "in_turn": ours, "whole": theirs, "ratio": ours / theirs} | {
        "wall_ratio": our_wall / their_wall
    }


def _timed(runs: Sequence[Callable[[], Any]]) -> list[list[float]]:
    """Return for each run its median seconds of the processor and of the wall clock, taken in turn."""
    times: list[list[tuple[float, float]]] = [[] for _ in runs]
    with torch.inference_mode():
        for number in range(PASSES + 10):
            for run, own in zip(runs, times, strict=True):
                start, before = time.perf_counter(), time.thread_time()
                run()
                if number >= 10:
                    own.append((time.thread_time() - before, time.perf_counter() - start))
    return [[statistics.median(column) for column in zip(*own, strict=True)] for own in times]


def _pass(measure: str, architecture: Architecture, folder: Path) -> Any:
    x = example()
    child = supernet().extract(architecture, example=x).eval()
    if measure != "onnx_latency":
        return lambda: child(x)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = save_onnx(folder / f"{len(list(folder.iterdir()))}.onnx", child, x)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x.numpy()}
    return lambda: session.run(None, feed)


def one(measure: str, seed: int) -> dict[str, Any]:
    began, clock = time.perf_counter(), time.process_time()
    result = found(measure, seed)
    [limit] = result.limits
    seconds, processor = time.perf_counter() - began, time.process_time() - clock
    words = [sys.executable, "-m", "benchmarks.trained.latency_budget", "--beside", measure]
    said = subprocess.run([*words, result.architecture.to_json()], capture_output=True, text=True, check=True)
    again = json.loads(said.stdout.splitlines()[-1])
    return {
        "measure": measure,
        "seed": seed,
        "architecture": dict(result.architecture),
        "limit": limit.limit,
        "measured": result.cost[measure],
        "over_limit": again["seconds"] / limit.limit - 1.0,
        "over_share": again["ratio"] / SHARE - 1.0,
        "over_share_wall": again["wall_ratio"] / SHARE - 1.0,
        "again": again,
        "load": os.getloadavg()[0],
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "measured_architectures": result.evaluated,
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    table = {}
    for measure in dict.fromkeys(run["measure"] for run in runs):
        own = [run for run in runs if run["measure"] == measure]
        row: dict[str, Any] = {"runs": len(own)}
        for name in ("over_limit", "over_share", "over_share_wall"):
            values = [run[name] for run in own]
            row[name] = {
                "at_most_0.05": sum(value <= 0.05 for value in values),
                "worst": round(max(values), 3),
                "median": round(statistics.median(values), 3),
            }
        row["load"] = [round(f(run["load"] for run in own), 1) for f in (min, max)]
        table[measure] = row
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--measures", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--beside", nargs=2)
    parser.add_argument("--name", default="latency_budget")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.beside:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(beside(*args.beside, Path(folder))))
        return
    # Rows of other measures stay, so that each measure can be run by itself.
    before = json.loads(path.read_text())["runs"] if (path := RESULTS / f"{args.name}.json").exists() else []
    runs: list[dict[str, Any]] = [run for run in before if run["measure"] not in args.measures]
    for measure in args.measures:
        for seed in range(args.seeds):
            runs.append(one(measure, seed))
            last = runs[-1]
            words = [f"{name} {last[name]:+.3f}" for name in ("over_limit", "over_share", "over_share_wall")]
            print(measure, seed, *words, f"load {last['load']:.1f}, {last['seconds']} s", flush=True)
            write(args.name, {"share": SHARE, "steps": STEPS, "table": summary(runs)}, runs)
    print(json.dumps(summary(runs), indent=2))


if __name__ == "__main__":
    main()
